// Package quantized computes networks in integers of 8 bits.
//
// Quantize makes a Network from the blocks and the weights of a network in float32, and a few
// hundred images:
//
//   - Weights have 8 bits, from -127 to 127, with one scale for each filter or unit. Batch norm is
//     part of the weights before it. What rounding changes in the mean of a filter's results is
//     corrected in its bias (Nagel et al. 2019, "Data-free quantization through weight equalization
//     and bias correction", section 4.2).
//   - Activations of images are bytes with one scale and one zero point for a tensor. Its range is
//     the one with the least squared error of the activations of the images when they are rounded and
//     limited to it. Vectors, such as those after global average pooling, have 16 bits, the range of the
//     images, and multipliers that are integers.
//   - Pixels become bytes by a table, which contains the normalization.
//   - Sums of products are exact, and a sum becomes a byte by a shift and an integer multiplier of 16 bits
//     for each channel. ReLU, ReLU6 and PReLU are part of the rounding of sums, and so is the
//     sum at the end of a residual block whose body ends in a convolution; other activations are
//     tables.
//   - The last sums, or the last bytes, are multiplied by one number in float64 for each feature.
//
// So an embedding is the same, bit for bit, with any instructions of the processor, any number of
// threads and any other images in the batch.
//
// All blocks of package graph have an integer form except LayerNorm (ErrUnsupported); a block of a
// user's own has none. Normalize divides by an integer square root.
package quantized
