// Package vector is the inner loops: what a processor does with arrays that
// are in its cache, on one thread.
//
// An Engine is all of these loops in one kind of instructions: Portable in
// plain Go for float32 and float64, and a Set for each vector instruction set,
// float32 only. For chooses the best one of the processor at run time; the
// environment variable LIKENESS_INSTRUCTIONS (avx512, avx2, neon, portable) forces
// another. The assembly and its tables are written by command generate, in a
// module of its own; see there.
//
// The two forms of matrix product, Rows and Outer, are nearly all arithmetic of
// a convolutional network. Both keep their sums in registers, read their
// operands in place by tables of offsets, and so need no matrix of columns.
package vector
