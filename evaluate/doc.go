// Package evaluate measures the quality of embeddings. It needs only arrays and labels,
// no networks: embeddings may come from a trained model, from raw pixels or from a file,
// and the same metrics compare them.
//
// [Embeddings] is a matrix with one embedding per row, and [Labeled] also has the class
// of each row; [ReadFile] reads one from a .csv or .npy file. A [Metric] is a distance
// between embeddings, a small interface that heads.Distance implements.
//
// The evaluations are:
//
//   - [NearestNeighbors]: the accuracy of classification by the nearest embeddings.
//   - [Retrieve]: recall, precision, mean reciprocal rank, NDCG, R-precision and MAP at R of
//     a search within a set; [Misses] returns the queries whose nearest embeddings are all of
//     other classes.
//   - [Cluster]: the purity of clusters of k-means, and their normalized and adjusted mutual
//     information with the classes.
//   - [LinearClassifier]: the accuracy of a linear classifier on the embeddings.
//   - [Verification]: how well the distance distinguishes same-class pairs from
//     different-class pairs: area under the ROC curve, equal error rate, true accept
//     rate, accuracy.
//   - [OneShot]: N-way K-shot classification.
//   - [Summarize]: verification over all pairs, one-shot classification, retrieval and
//     clusters of one labeled set.
//
// [GuaranteedThreshold] chooses a threshold whose false accept rate is at most a rate with a
// confidence, by the bound of Clopper and Pearson ([UpperBound]), and [ConformalDistance] the
// distance of conformal candidate sets.
//
// A result is an [Estimate], a value with its 95 % confidence interval, or a [Score], the
// mean over trials, which also has the value of each trial, so that the [Difference] of
// two methods can be tested on the same trials. Every result should be compared with
// those of raw pixels and of the untrained network.
//
// # Intervals
//
// A confidence interval describes how much a value would vary over other images of the
// same classes, embedded by the same network. Images are therefore resampled:
//
//   - [NearestNeighbors] and [LinearClassifier] use each image once: Wilson's interval.
//   - [Verification] resamples images, and a pair is weighted by both of its images;
//     [WilsonOfPairs] is for proportions of more pairs than can be listed.
//   - [OneShot] resamples the query images, each with all of its trials;
//     [Score.Clustered] resamples other groups of trials.
//   - [Retrieve] resamples queries, while the searched set stays the same; its intervals
//     describe other queries of the same set only.
//   - [Cluster] resamples images, while the clusters stay the same; its intervals do not
//     describe other first centers.
//
// Differences resample the same images for both methods. All bootstraps draw 999
// replicates and take percentiles.
//
// Equal input gives equal bits, whatever the number of threads. Embeddings and distances
// that are NaN or infinite are errors.
package evaluate
