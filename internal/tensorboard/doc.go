// Package tensorboard writes what TensorBoard reads: event files with the
// scalars of a training, and the files of its embedding projector.
//
// Its nouns:
//
//   - Events is an event file that Scalar appends to.
//   - A Projection is embeddings with their classes and images, which Write
//     leaves in a folder for the projector.
package tensorboard
