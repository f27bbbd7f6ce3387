// Package objectives has the losses that training minimizes.
//
// A Loss is a function of one Batch: the embeddings of each tower, their labels
// and, on request, their distances by the head. It returns a scalar node of a
// graph, which Gorgonia differentiates. There are losses of pairs, of triplets,
// and of batches of labeled images, which find pairs and triplets in the batch
// themselves; see datasets.Kind. Sum adds up several losses.
//
// The label of a pair is 1 if its classes differ and 0 if they are the same: the Y
// of Hadsell, Chopra & LeCun. A loss is a mean, so that it does not grow with the
// batch; each loss documents over what. What a batch does not have is left out of
// the mean, and a mean over nothing is 0 with gradient zero.
//
// # References
//
// A loss of labeled images compares N anchors with M references. By default these
// are the other images of the batch. Batch.References replaces them by others: a
// memory of earlier batches, the batches of other machines, or one vector for each
// class. References may be marked as invalid, and gradients reach both anchors and
// references.
//
// # A loss of your own
//
// A type with the four methods of Loss is a loss. PerAnchor makes one from a
// function of the distances of one anchor, and is the form of most losses here:
// the function selects positives and negatives (mining) and returns their loss and
// its slopes. Otherwise a loss is an expression of nodes: Batch.Pairwise and
// Batch.Paired are the distances, Batch.Positives and Batch.Negatives are masks,
// and Mean, WeightedMean and MeanNonZero reduce many losses to one. Batch.Weight
// makes a trainable weight of the loss itself. The examples show a loss with
// mining, a loss with class vectors and a sum.
//
// # Which head goes with which loss
//
//	                        l2   squared-l2  l1   weighted-l1  cosine
//	contrastive             yes  no          yes  w>0          yes
//	triplet                 yes  yes         yes  w>0          yes
//	triplet-ratio           yes  yes         yes  w>0          yes
//	cross-entropy           yes  yes         yes  signed       no
//	batch-contrastive       yes  no          yes  w>0          yes
//	batch-cross-entropy     yes  yes         yes  signed       no
//	batch-all               yes  yes         yes  w>0          yes
//	batch-hard              yes  yes         yes  w>0          yes
//	batch-ratio             yes  yes         yes  w>0          yes
//	semi-hard               yes  yes         yes  w>0          yes
//	n-pair                  yes  yes         yes  w>0          yes
//	supervised-contrastive  yes  yes         yes  w>0          yes
//	nca                     yes  yes         yes  w>0          yes
//	prototypical            no   yes         no   no           yes
//
// Contrastive squares the distance itself. Cross-entropy needs a logit without
// bounds, which bias minus a cosine distance is not. Prototypical needs distances
// from which those from a mean follow. Weighted L1 has factors of either sign for
// the cross-entropies, where it is evidence, and positive ones for all others,
// where it must be a distance. Named finds a loss with its head, HeadFor the head,
// and the method Check of a loss gives the reason if a head does not fit.
// DefaultMargin, DefaultScale and DefaultTemperature document the default
// parameters for each head.
//
// Penalty is an L2 penalty on weights, as a further term of the cost.
package objectives
