// Package sweep searches for settings of a training: random search with successive halving. The
// command likeness sweep parses flags, calls Search.Run and prints.
//
//	rate, err := sweep.ParseParameter("learning-rate=1e-4..1e-2")
//	result, err := sweep.Search{
//		Settings: run.Settings{Data: "photos"}, Parameters: []sweep.Parameter{rate},
//		Trials: 20, Out: "sweeps/photos",
//	}.Run(ctx, nil)
//
// The main types:
//
//   - Parameter is a setting with the values that are searched. Each trial has values that are
//     drawn at random, independently (Bergstra & Bengio 2012, "Random search for hyper-parameter
//     optimization"): a choice with equal probabilities, a range with a uniform density of the
//     number or, for rates, factors and sizes, of its logarithm.
//   - Rungs divides the epochs by successive halving (Jamieson & Talwalkar 2016, "Non-stochastic
//     best arm identification and hyperparameter optimization"): all trials are trained for a few
//     epochs, the best of them, one in Eta, are trained for about Eta times as many epochs in all,
//     and so on until the last ones have been trained for all epochs.
//   - Search does that. A trial continues from its checkpoint, with the learning rate schedule of all
//     epochs, so that its weights are those of run.Train with its settings, bit for bit. The best
//     one is measured as run.Train measures.
//   - Folder is what a search writes: sweep.json, trials.csv, sweep.svg, sweep.png, a run folder
//     for each trial, without a model, and best, the run folder of the best one.
//
// Trials are compared by the validation of the training after each epoch, on classes that are held
// out of training, and by the best epoch so far, whose weights a training keeps. The test classes
// are embedded once, when the best trial has been chosen (Musgrave, Belongie & Lim 2020, "A metric
// learning reality check").
//
// The trials, their order and all figures follow from the seed of the settings, on any number of
// threads. A search that was interrupted or killed at any moment continues when it is run again
// with the same Out.
package sweep
