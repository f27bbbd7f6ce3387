// Package retrieval finds images in folders by their embeddings: those that are
// near one another, and those that are nearest to one.
//
// There are few nouns. A [Collection] is image files with their embeddings and
// the metric of the model that made them. Its [Pair]s within a threshold make
// [Group]s; a [Match] is how far a file is from a query.
//
//	collection, err := retrieval.Embed(ctx, model, files, retrieval.Options{})
//	pairs, err := collection.Near(ctx, threshold, nil)
//	groups := retrieval.Groups(pairs)
//	matches, err := collection.Nearest(query, 10)
//
// Search is exact: every distance is measured, on all processors, and what is
// found does not depend on how many there are.
//
// A distance of images that a model is not made for means nothing and looks like
// any other. [Traits] are what can be measured of an image, and [Suits] says when
// a model should not be asked.
package retrieval
