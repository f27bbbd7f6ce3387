// Package speed measures how close the layers of a network come to the peak performance of
// the processor.
//
// Ceiling measures that peak: the rate of multiplications and additions that need no
// memory. A Layer is a convolution of one of the papers' networks, and a Measurement is the
// time of one of its passes: the forward pass, the gradient of its input, or that of its
// weights.
package speed
