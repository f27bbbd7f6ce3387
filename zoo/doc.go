// Package zoo contains trained models that are embedded in the program, so that images
// can be compared without any file.
//
//	model, err := zoo.Load(zoo.Photo) // zoo.Default is for drawings
//	comparison, err := model.CompareFiles("a.jpg", "b.jpg")
//
// [Names] lists the models and [Load] returns one. [Choose] finds the one for the kind of
// given images: photographs or drawings. The model card of each, NAME.md in the
// folder of this package, describes its training data, protocol, accuracy and limits, and
// names the command that made it. [License] returns the license of weights that others
// published.
package zoo
