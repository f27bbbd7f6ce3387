// Package index finds the nearest of many vectors by a head's distance.
//
// Vectors is a growing matrix of float32 vectors, which Nearest searches
// exactly: what it finds is what sorting all distances finds, to the last bit.
// Cheap float32 kernels leave out what is certainly too far, and the little
// that remains is measured by the head itself.
//
// Graph is an index of them, a hierarchical navigable small world (Malkov &
// Yashunin 2016, "Efficient and robust approximate nearest neighbor search using
// Hierarchical Navigable Small World graphs"). It is built once, by Build, finds
// most of the nearest in a time that hardly grows with their number, and is
// faster than an exact search from about Crossover vectors on. One seed gives
// one graph, on any number of processors.
//
// Both give Neighbours: rows with their distances, nearest first. Rows may
// belong to groups, of which each then counts once, by its nearest row: the
// nearest classes where rows are examples.
//
//	head                what Build says
//	l2, squared-l2      indexed
//	l1, weighted-l1     indexed
//	cosine              indexed, by the vectors brought to length 1
//	signed-weighted-l1  refused: its distances may be negative
package index
