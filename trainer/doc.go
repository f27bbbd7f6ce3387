// Package trainer trains a model: in each step it samples a batch, runs the graph and
// updates the weights by the solver; after each epoch it validates.
//
// A Trainer holds the model, the loss, the images and the settings; its method Run
// trains, and the model's weights change in place. The other main types are:
//
//   - A Validation measures the model after each epoch; the weights of the best epoch are
//     kept.
//   - A checkpoint is a file with the whole state of a training, from which a later
//     run continues as if it had never stopped.
//   - A Collapse is a warning, given once, that the embeddings do not distinguish images.
//   - CopyWeights and ReplaceLast prepare a trained model for fine-tuning, and Interpolate
//     averages the weights before and after it.
//
// Images and samplers are interfaces of package datasets: data that are read lazily and
// user-defined samplers work with all features of this package.
//
// Contributors begin with Trainer.Run in trainer.go, which has the loop over
// epochs and steps. One step, from the examples to the next weights, is in step.go;
// a checkpoint is written and read in checkpoint.go, and identity.go decides which
// training may resume from it.
//
// A run is determined by its settings and seed, bit for bit on one kind of
// processor, whatever the number of threads: batches, augmentations and dropout
// are functions of the seed and the number of the step.
package trainer
