// Package datasets holds labeled images and draws training examples from them. It
// does not depend on networks: it returns bytes, indices and batches of normalized
// numbers.
//
// The main types are:
//
//   - Images is a labeled set of images that need not lie in memory: the interface
//     that a training reads from. A Dataset is one in memory, of images of one size.
//   - Open reads the Splits of a folder (training, validation, test), whatever its
//     format, and Splits.Experiment divides them so that no image is both trained and
//     tested on and some classes are seen in the test only.
//   - A Sampler draws the Tuples of one step, which are indices into Images: pairs,
//     triplets or labeled batches of P classes × K images. It is a function of the
//     *rand.Rand that it is given. Episodes draws one-shot episodes for evaluation.
//   - An Augmentation changes images at random, by an affine transformation, an
//     elastic deformation or another stroke width, each image by itself or all images
//     of a batch alike. Fill turns indices into a batch, normalized and augmented, the
//     same for any number of threads.
//
// A pair carries Different: true if its classes differ.
package datasets
