// Package likeness compares images by a trained siamese or triplet network.
//
// A Model is loaded from one file, embeds images as vectors and compares two of them
// by the distance of their embeddings. A Model may be used by several goroutines at
// once.
//
//	model, err := likeness.Load("model.safetensors") // or zoo.Load("photo")
//	comparison, err := model.CompareFiles("a.jpg", "b.jpg")
//
// Package zoo has models for photographs and for drawings that need no file and no training.
// Package run trains a model from settings, and package trainer with data, losses and
// networks of your own. Networks are in package backbone, distances in heads, losses in
// objectives, data in datasets, metrics in evaluate, galleries of known classes in
// gallery, and search among the images of folders in retrieval.
package likeness
