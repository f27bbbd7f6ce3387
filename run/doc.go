// Package run trains a network on a folder of images, evaluates it and writes all files
// of the training to one folder. The command likeness train parses flags, calls Train and
// prints.
//
//	result, err := run.Train(ctx, run.Settings{Data: "photos"}, nil)
//
// The main types:
//
//   - Settings determine a training. Each setting is a field here, a flag of the command
//     with hyphens and a key of a TOML file with underscores: LearningRate,
//     --learning-rate and learning_rate. Errors name a setting by its flag. By default
//     the embedded data set omniglot-small1 is used, which has its own defaults, see
//     Defaults.
//   - Train opens the data, holds out images for validation and classes for testing,
//     trains, evaluates the trained network beside the untrained one, raw pixels and, when
//     fine-tuning, the pretrained one, and writes the run folder. Resume continues an
//     interrupted training, and Evaluate evaluates the model of a run folder again.
//     With Settings.WeightInterpolation the weights are those between the pretrained and the
//     trained ones. With Settings.Refit, the default for a folder of photographs, the model is then
//     trained again on all images.
//   - Trials trains several settings in parts, each from its checkpoint, and keeps what they have
//     in common, for a search over settings (package sweep).
//   - Folder is a run folder: config.toml, metrics.jsonl, model.safetensors,
//     result.json, report.html, measured.safetensors if the model was trained again after
//     it was measured and, while the training is not finished, checkpoint.safetensors.
//   - Observer receives the progress of a training: steps, epochs, warnings and
//     measured images.
//
// One seed gives the same model.safetensors, bit for bit, on any number of threads.
// To choose the network, the loss and the data freely, use package trainer.
package run
