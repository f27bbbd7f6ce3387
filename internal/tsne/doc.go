// Package tsne lays points out on a plane so that those that are near one
// another stay near: t-SNE (van der Maaten & Hinton 2008, "Visualizing Data
// using t-SNE"), exact, for the few hundred points that a picture has room for.
//
// Its nouns are the paper's: the affinities p of the points, a distribution
// over all pairs that gives each point about as many neighbours as the
// perplexity says; the map y, whose own affinities are q; and the divergence
// KL(p‖q), which Map makes small. What is far apart on a map, how large its
// groups are and how it is turned mean nothing: only who is next to whom does.
package tsne
