// Package speed measures how near the layers of a network come to what the
// processor can do.
//
// Ceiling is that: the rate of multiplications and additions that need no
// memory. A Layer is a convolution of one of the papers' networks, and a
// Measurement the time of one of its passes: forward, the gradient of its
// input or that of its weights.
package speed
