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
// # Intervals
//
// An interval tells how far a figure may be from that of other images of the same
// classes, by the same network. What is resampled is therefore images:
//
//   - [NearestNeighbours] and [LinearClassifier] ask about each image once:
//     Wilson's interval.
//   - [Verification] resamples images, and each pair counts with both of its two;
//     [WilsonOfPairs] is for shares of more pairs than can be listed.
//   - [OneShot] resamples the images that are asked about, each with all of its
//     trials; [Score.Clustered] other groups of trials.
//   - [Retrieve] resamples queries, the set that is searched staying as it is; its
//     intervals are about other queries of that set alone.
//
// Differences resample the same for both methods. All bootstraps are of 999
// replicates and take percentiles.
//
// Equal input gives equal bits, whatever the number of processors. Embeddings
// and distances that are not finite numbers are errors.
package evaluate
