// Package trainer trains a model: it draws a batch, runs the graph, steps the
// solver and validates after each epoch.
//
// A Trainer holds the model, the loss, the images and the settings; its method Run
// trains, and the model's weights change in place. The other main types are:
//
//   - Validation measures the model after each epoch; the weights of the best epoch
//     are kept.
//   - A checkpoint is a file with the whole state of a training, from which a later
//     run continues as if it had never stopped.
//   - Collapse is a warning, given once, that a training does not tell images apart.
//   - CopyWeights and ReplaceLast prepare a trained model for fine-tuning.
//
// Images and samplers are interfaces of package datasets: a data set that is read
// lazily and a sampler of a user's own train with everything that the package has.
//
// To read the package, begin with Trainer.Run in trainer.go, which has the loop over
// epochs and steps. One step, from the examples to the next weights, is in step.go;
// a checkpoint is written and read in checkpoint.go, and identity.go decides which
// training may resume from it.
//
// A run is determined by its settings and seed, bit for bit on one kind of
// processor, whatever the number of threads: batches, augmentations and dropout
// are functions of the seed and the number of the step.
package trainer
