// Package speed measures how close the layers of a network come to the peak performance of
// the processor.
//
// Ceiling measures that peak: the rate of multiplications and additions in registers, Peaks that of
// shorter numbers, and Bandwidth that of memory. A
// Layer is a convolution of a published network, and a Measurement is the time of one of
// its passes: forward, the gradient of its input, or the gradient of its weights.
package speed
