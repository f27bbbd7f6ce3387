// Package heads implements the distance between two embeddings.
//
// A Head is the distance as part of a graph that Gorgonia differentiates: of aligned rows
// (Paired) or of all rows of one batch and all rows of another (Pairwise). Its Properties
// state what a loss may assume. A Distance is the same function on plain slices with the
// trained weights, for evaluation, search and export. Most distances have a Form, a
// formula from which package gallery/index makes a fast exact search and package onnx an
// ONNX graph.
//
//	name                distance                 metric            trainable     float32 error below
//	l2                  √Σ(xⱼ − yⱼ)²             yes               –             1e-6·D
//	squared-l2          Σ(xⱼ − yⱼ)²              no (triangle)     –             1e-6·D
//	l1                  Σ|xⱼ − yⱼ|               yes               –             1e-6·D
//	weighted-l1         Σ wⱼ|xⱼ − yⱼ|, w > 0     yes               head.weight   1e-6·D
//	signed-weighted-l1  Σ wⱼ|xⱼ − yⱼ|            no (sign)         head.weight   1e-6·Σ|wⱼ||xⱼ − yⱼ|
//	cosine              1 − x·y/(‖x‖‖y‖)         no (triangle)     –             1e-6·√D + 1e-13
//
// The error is that of the distance D in a float32 graph, compared with exact arithmetic
// on the same float32 embeddings. Equal embeddings are at distance exactly zero, also in
// Pairwise. Values and gradients are finite wherever float32 can represent them. Where a
// derivative does not exist, at distance zero or for the zero vector, the gradient is
// zero.
//
// A user-defined head is one type with the five methods of Head; the package's example
// shows one. Package objectives documents which losses and heads can be combined.
package heads
