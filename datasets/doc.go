// Package datasets reads labeled images and samples training examples from them. It does
// not depend on networks: it returns bytes, indices and batches of normalized numbers.
//
// The main types are:
//
//   - Images is a labeled set of images that need not be in memory: the interface from
//     which a training reads. A Dataset implements it for images of one size, in memory or
//     read from other Images. Files are image files that are decoded when they are read,
//     with a cache of decoded images.
//   - Open reads the Splits of a folder (training, validation, test), whatever its
//     format, and Splits.Experiment divides them so that no image is in both training and
//     test data and some classes occur in the test data only.
//   - A Sampler draws the Tuples of one step, which are indices into Images: pairs,
//     triplets or labeled batches of P classes × K images. It is a function of the
//     *rand.Rand that it is given. Episodes draws one-shot episodes for evaluation.
//   - An Augmentation changes images at random: drawings by affine transformations, elastic
//     deformation and stroke-width changes, independently for each image or alike for all
//     images of a batch, and photographs by random resized crops, flips, color jitter, blur
//     and erasing (Photo). Fill writes the augmented and normalized images of some indices
//     as a batch; the result does not depend on the number of threads.
//
// A pair carries Different: true if its classes differ.
package datasets
