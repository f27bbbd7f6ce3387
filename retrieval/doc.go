// Package retrieval finds similar images in folders by their embeddings: pairs and groups
// of near-duplicates, and the images nearest to a query.
//
// A [Collection] holds image files with their embeddings and the metric of the model. Its
// [NearPair]s within a threshold form [Group]s; a [Match] is a file with its distance
// from a query.
//
//	collection, err := retrieval.Embed(ctx, model, files, retrieval.Options{})
//	pairs, err := collection.Near(ctx, threshold, nil)
//	groups := retrieval.Groups(pairs)
//	matches, err := collection.Nearest(query, 10)
//
// With Options.Flips, images are embedded in the eight symmetries of the square, and Near
// finds copies that are flipped or rotated by a multiple of 90°.
//
// With a [cache.Cache] in the [Options], image files that were embedded before are neither
// read nor embedded again.
//
// With Options.Communicator, the ranks of an MPI job divide the files, and the comparisons of Near.
//
// Search is exact and parallel, and its result does not depend on the number of threads.
//
// The distances of out-of-domain images are meaningless. [Traits] are measured properties
// of images, and [CheckTraits] rejects images for which a model was not trained.
package retrieval
