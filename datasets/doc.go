// Package datasets holds labelled images and draws tuples from them. It knows
// nothing of networks: what it returns are bytes, indices and, at the very end,
// batches of normalised numbers.
//
// There are few nouns:
//
//   - A Dataset is labelled images of one size. Open reads the Splits of a
//     folder (training, validation, test), whatever its format, and
//     Splits.Experiment cuts them into what an honest experiment needs.
//   - Samplers draw indices into a Dataset: pairs, triplets, batches of P classes
//     × K images, and one-shot episodes. A sampler is a function of the
//     *rand.Rand that it is given and of nothing else.
//   - An Augmentation distorts images at random, by an affine motion, elastically
//     or as another pen would draw them, each by itself or a batch alike. Fill
//     turns indices into a batch, normalised and, if asked, distorted, the same on
//     any number of threads.
//
// A pair carries Different: true when its classes differ, everywhere.
package datasets
