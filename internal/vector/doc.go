// Package vector has the inner loops of the kernels: operations on arrays that fit in the
// cache, on one thread, in the vector instructions of the processor.
//
// Engine is the interface of all of these loops. Portable implements it in plain Go, for
// float32 and float64; a Set implements it for one vector instruction set, for float32
// only, and falls back to Portable for loops that have no assembly. For returns the best
// engine for the processor at run time. The environment variable LIKENESS_INSTRUCTIONS
// (avx512, avx2, neon or portable) selects another.
//
// The two forms of matrix product, Rows and Outer, are nearly all of the arithmetic of a
// convolutional network. Both keep their sums in registers and read their operands in
// place through tables of offsets, so that no matrix of columns (im2col) is needed.
//
// InnerProducts, for distances, adds products of float32 in float64, where they are exact, in the
// order of the features: every engine gives the same bits.
//
// A PairEngine multiplies pairs of bfloat16 numbers in the place of float32 numbers, twice as many
// at a time; Pairs says whether that is faster on this processor.
//
// Depthwise, the sum of a few taps for each channel of a depthwise convolution, keeps the sums
// of neighboring pixels in registers, because it is limited by loads.
//
// ByteEngine has the loops of networks whose activations and weights have 8 bits, for package
// integer. Their sums are exact, and become bytes in registers.
//
// Begin reading with Engine in engine.go and the two products in products.go; portable.go
// and portable_elements.go show what each loop computes. set_amd64.go and set_arm64.go call
// the assembly. The assembly and the tables of its functions (table_*.go) are written by
// the command in the folder generate, a module of its own, so that this module does not
// depend on the tools that it uses.
package vector
