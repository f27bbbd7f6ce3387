// Package index searches the nearest neighbors of a vector by the distance of a head,
// exactly: the result is bit for bit that of sorting all distances.
//
// Vectors is a growing matrix of float32 vectors. Nearest returns Neighbors: rows with their
// distances, nearest first, and of equal distances the lower row first. Rows may belong to
// groups, such as classes; each group is then returned once, with its nearest row.
//
// Most vectors are excluded by cheaper lower bounds, which the form of the distance
// (heads.Form) gives; the distances of the others are computed in float64:
//
//   - Euclidean and cosine distances and unweighted L1 distances are bounded by codes of 8
//     bits, see below, and then by a distance in float32.
//   - Weighted L1 distances are bounded by a distance in float32.
//   - A distance without a form is computed for every vector.
//
// # Compression
//
// Blocks of 1,024 rows are compressed when they are full. Each has a step s, and a row x has
// the codes c = round(x/s), between -127 and 127. Its error e = ‖x − s·c‖ is computed in
// float64 and rounded up; the block keeps the largest. A query y is compressed with the step
// of each block in the same way, which gives codes d and an error f; codes of larger
// elements are clipped, which makes f larger.
//
// Let r be an upper bound of the distances ‖x − y‖ that are still of interest. By the
// triangle inequality
//
//	s·‖c − d‖ ≤ ‖x − y‖ + ‖x − s·c‖ + ‖y − s·d‖ ≤ r + e + f
//
// so that a row with ‖c − d‖ > (r + e + f)/s is excluded. This holds for the Euclidean
// norm, whose square is the integer ‖c‖² + ‖d‖² − 2·c·d, and for the sum of absolute
// values, which is an integer itself. Integers are exact, so every instruction set excludes
// the same rows. The right side is computed in float64 and enlarged by 1e-9 of itself, more
// than all of its rounding.
//
// For n rows of d features the codes take n·d bytes, d being rounded up to a multiple of 4
// (of L1 distances 8), and with Euclidean and cosine distances 4·n more: a quarter of the
// memory of the vectors. Compressing a row takes about as long as reading it several times;
// Append does so once, Set again, and Remove again for all rows behind the first that it
// removes.
package index
