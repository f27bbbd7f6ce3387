// Package heads says how two embeddings are compared.
//
// Its one interface is Head: a distance as part of a graph, of aligned pairs
// or of all pairs of a batch, which Gorgonia differentiates. Its second noun is
// Distance, the same function on plain slices, for evaluation and search.
//
//	name                distance                 a metric          learns        float32 error below
//	l2                  √Σ(xⱼ − yⱼ)²             yes               nothing       1e-6·D
//	squared-l2          Σ(xⱼ − yⱼ)²              no (triangle)     nothing       1e-6·D
//	l1                  Σ|xⱼ − yⱼ|               yes               nothing       1e-6·D
//	weighted-l1         Σ wⱼ|xⱼ − yⱼ|, w > 0     yes               head.weight   1e-6·D
//	signed-weighted-l1  Σ wⱼ|xⱼ − yⱼ|            no (sign)         head.weight   1e-6·Σ|wⱼ||xⱼ − yⱼ|
//	cosine              1 − x·y/(‖x‖‖y‖)         no (triangle)     nothing       1e-6·√D + 1e-13
//
// The error is that of the distance D in a float32 graph against the same
// float32 embeddings in exact arithmetic; equal embeddings are at distance zero
// exactly, also in a matrix. Values and gradients are finite wherever float32
// can hold them. Where a derivative does not exist, at distance zero or in the
// zero vector, the gradient is zero.
//
// Which head goes with which objective is told in package objectives.
package heads
