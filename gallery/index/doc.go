// Package index searches the nearest neighbors of a vector by the distance of a head.
//
// Vectors is a growing matrix of float32 vectors, which Nearest searches exactly: the
// result is exactly that of sorting all distances. The form of the distance (heads.Form)
// gives a cheap float32 lower bound, by which vectors that are certainly too far are
// skipped; the distances of the others are computed in float64. A distance without a form
// is computed for every vector.
//
// Graph is an approximate index, a hierarchical navigable small world graph (Malkov &
// Yashunin 2016, "Efficient and robust approximate nearest neighbor search using
// Hierarchical Navigable Small World graphs"). It is built once, by Build, finds most of
// the nearest neighbors in a time that hardly grows with the number of vectors, and is
// faster than an exact search from about Crossover vectors on. The same seed gives the
// same graph, on any number of threads.
//
// Both return Neighbors: rows with their distances, nearest first. Rows may belong to
// groups, such as classes; each group is then returned once, with its nearest row.
//
// Build accepts every distance that has a form without negative weights; see Indexable.
package index
