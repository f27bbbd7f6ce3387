// Package evaluate says how good embeddings are. It knows arrays and labels;
// where they come from, a trained network or plain pixels, is nothing to it,
// and so every measure can be had for both and compared.
//
// [Embeddings] is a matrix of one embedding a row, and [Labelled] is one with
// the class of each row. A [Metric] says how far apart two embeddings are, the
// smaller the more alike: [Euclidean], [SquaredEuclidean], [Manhattan],
// [WeightedManhattan], [Cosine], or any function as a [MetricFunc].
//
// What is asked of embeddings:
//
//   - [NearestNeighbours]: does the nearest known embedding tell the class?
//   - [Retrieve]: how much of its class does each embedding find? [Misses] are
//     those that find nothing of it.
//   - [LinearClassifier]: do planes part the classes?
//   - [Verification]: does a distance tell whether two images are of one class?
//   - [OneShot]: which of N classes, when one example of each is known?
//
// The answer is a [Measure], a figure with its 95 % interval; or a [Score], the
// mean over trials, which also keeps what each trial is worth, so that the
// [Difference] of two methods can be tested on the same trials. Print the
// measure of the raw pixels and of the untrained network beside every result.
//
// Equal input gives equal bits, whatever the number of processors. Embeddings
// and distances that are not finite numbers are errors.
package evaluate
