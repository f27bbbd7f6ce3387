// Package likeness learns how alike two images are.
//
// It is the front door: a trained Model is loaded from one file, embeds images
// as vectors and compares two of them by their distance. A Model may be used
// by many goroutines at once.
//
//	model, err := likeness.Load("model.safetensors")
//	comparison, err := model.Compare(a, b)
//
// Training lives in package trainer, networks in backbone, distances in heads,
// losses in objectives, data in datasets, figures of merit in evaluate, and search
// among the images of folders in retrieval.
package likeness
