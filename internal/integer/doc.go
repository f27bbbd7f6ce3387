// Package integer computes networks whose activations are bytes and whose weights have 8 bits.
//
// A tensor of activations is (batch, height, width, channels), row-major, of unsigned bytes
// with one zero point: byte a stands for (a − zero)·scale, with a scale that only the program
// which quantizes the network knows. Weights are signed bytes, symmetric about zero.
//
//   - Conv is a convolution, Linear a fully connected layer. Their sums of products are exact
//     in 32 bits; NewConv and NewLinear refuse weights with which a sum could overflow. Winograd's
//     algorithms compute the same sums of some convolutions.
//   - Requantize turns sums into the bytes of the result: a scale for each channel, a zero
//     point, bounds (ReLU and ReLU6 are bounds), a second scale below zero (PReLU), a table of
//     256 bytes (any other activation), and the sum with another tensor (the end of a residual
//     block).
//   - MaxPool, AveragePool, Add, Multiply, Lookup and Flatten are the other layers.
//
// All of it is in integers, the scaling of sums too: shifts and products. So the results are the same
// bits with every instruction set and any number of threads.
//
// Layers are immutable: several goroutines may use one at the same time. They divide their
// work with package parallel.
package integer
