// Package clusters makes vectors to measure searches with, distributed like embeddings of a
// trained network: on the unit sphere, in clusters of clusters. See [Vector].
package clusters
