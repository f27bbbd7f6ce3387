// Package evaluate measures the quality of embeddings. It needs only arrays and labels,
// no networks: embeddings may come from a trained model, from raw pixels or from a file,
// and the same metrics compare them.
//
// [Embeddings] is a matrix with one embedding a row, and [Labeled] is one with the
// class of each row; [ReadFile] reads one from a .csv or .npy file. A [Metric] is the
// distance between two embeddings: the small interface that heads.Distance satisfies.
//
// The evaluations are:
//
//   - [NearestNeighbors]: the accuracy of classification by the nearest embeddings.
//   - [Retrieve]: recall, R-precision and MAP at R of a search within a set, and
//     [Misses], the queries that find nothing of their class.
//   - [LinearClassifier]: the accuracy of a linear classifier on the embeddings.
//   - [Verification]: how well the distance distinguishes same-class pairs from
//     different-class pairs: area under the ROC curve, equal error rate, true accept
//     rate, accuracy.
//   - [OneShot]: N-way K-shot classification.
//   - [Summarize]: verification over all pairs, one-shot classification and retrieval
//     of one labeled set.
//
// A result is an [Estimate], a value with its 95 % interval; or a [Score], the mean over
// trials, which also keeps the value of each trial, so that the [Difference] of two
// methods can be tested on the same trials. Every result should be compared with that
// of the raw pixels and of the untrained network.
//
// # Intervals
//
// A confidence interval describes how much a value would vary over other images of the
// same classes, embedded by the same network. Images are therefore resampled:
//
//   - [NearestNeighbors] and [LinearClassifier] use each image once: Wilson's interval.
//   - [Verification] resamples images, and each pair counts with both of its two;
//     [WilsonOfPairs] is for shares of more pairs than can be listed.
//   - [OneShot] resamples the query images, each with all of its trials;
//     [Score.Clustered] resamples other groups of trials.
//   - [Retrieve] resamples queries, while the set that is searched stays as it is; its
//     intervals are about other queries of that set alone.
//
// Differences resample the same images for both methods. All bootstraps draw 999
// replicates and take percentiles.
//
// Equal input gives equal bits, whatever the number of threads. Embeddings and distances
// that are NaN or infinite are errors.
package evaluate
