// Package objectives implements the losses that training minimizes.
//
// A Loss is a function of one Batch: the embeddings of each tower, their labels and, on
// request, their distances by the head. It returns a scalar node of a graph, which
// Gorgonia differentiates. There are losses for pairs, for triplets, and for batches of
// labeled images, from which the loss forms pairs and triplets, and for two augmented views
// of each image, which need no labels; see datasets.Kind. Sum is a weighted sum of losses.
//
// The label of a pair is 1 if its classes differ and 0 if they are the same: the Y of
// Hadsell, Chopra & LeCun. A loss is a mean, so that it does not grow with the batch
// size; each loss documents which terms are averaged. A mean over no terms is 0, with
// gradient zero.
//
// # References
//
// A loss of labeled images compares N anchors with M references. By default the
// references are the other images of the batch. Batch.References replaces them, for
// example by a memory of earlier batches, the batches of other machines, or one vector
// for each class. References may be marked as invalid, and gradients reach both anchors
// and references. CrossBatchMemory makes them of the batch and of embeddings of earlier batches.
//
// # Class vectors
//
// A ClassVectorLoss has trainable vectors of its own for each class, with which it compares
// images: arcface, subcenter-arcface, cosface and normalized-softmax are softmax classifiers
// over cosines; soft-triple, proxy-nca, proxy-nca++ and proxy-anchor are losses over
// proxies. They need no mining, and no two images of a class in a batch. Package trainer
// gives the vectors a learning rate of their own.
//
// # Losses without labels
//
// SimCLR, VICReg and BarlowTwins compare two augmented views of each image. KoLeo spreads
// embeddings and goes into a Sum with any loss. Projection computes a loss of embeddings behind
// a network that is trained with them and is not part of the saved model.
//
// # A loss of your own
//
// A type with the four methods of Loss is a loss. PerAnchor computes a loss from a
// function of the distances of one anchor, as most losses of this package do: the
// function selects positives and negatives (mining) and returns their loss and its
// derivatives. A loss may also be an expression of graph nodes: Batch.Pairwise and
// Batch.Paired are the distances, Batch.Positives and Batch.Negatives are masks, and
// Mean, WeightedMean and MeanNonZero reduce many losses to one. Batch.Weight creates a
// trainable weight of the loss itself. The examples show a loss with mining, a loss with
// class vectors and a sum.
//
// # Which head goes with which loss
//
//	                        l2   squared-l2  l1   weighted-l1  cosine
//	contrastive             yes  no          yes  w>0          yes
//	triplet                 yes  yes         yes  w>0          yes
//	triplet-ratio           yes  yes         yes  w>0          yes
//	cross-entropy           yes  yes         yes  signed       no
//	angular                 no   no          no   no           yes
//	batch-contrastive       yes  no          yes  w>0          yes
//	batch-cross-entropy     yes  yes         yes  signed       no
//	batch-all               yes  yes         yes  w>0          yes
//	batch-hard              yes  yes         yes  w>0          yes
//	batch-ratio             yes  yes         yes  w>0          yes
//	circle                  no   no          no   no           yes
//	fastap                  no   no          no   no           yes
//	lifted-structure        yes  yes         yes  w>0          yes
//	margin                  no   no          no   no           yes
//	multi-similarity        no   no          no   no           yes
//	semi-hard               yes  yes         yes  w>0          yes
//	n-pair                  yes  yes         yes  w>0          yes
//	smooth-ap               yes  yes         yes  w>0          yes
//	supervised-contrastive  yes  yes         yes  w>0          yes
//	nca                     yes  yes         yes  w>0          yes
//	prototypical            no   yes         no   no           yes
//	arcface                 no   no          no   no           yes
//	cosface                 no   no          no   no           yes
//	normalized-softmax      no   no          no   no           yes
//	proxy-anchor            no   no          no   no           yes
//	proxy-nca               yes  yes         yes  w>0          yes
//	proxy-nca++             yes  yes         yes  w>0          yes
//	soft-triple             no   no          no   no           yes
//	subcenter-arcface       no   no          no   no           yes
//	tuplet-margin           no   no          no   no           yes
//	simclr                  yes  yes         yes  w>0          yes
//	vicreg                  yes  yes         yes  no           yes
//	barlow-twins            yes  yes         yes  no           yes
//
// Contrastive squares the distance itself. Cross-entropy needs an unbounded logit, which
// bias minus a cosine distance is not. Prototypical needs a distance for which the
// distance from a mean follows from the distances from its elements. Angular, circle,
// multi-similarity and tuplet-margin are functions of cosine similarities, fastap needs bounded
// distances, and margin, unless its Mining is AllPairs, those between unit vectors.
// The losses with class vectors are functions of angles, except for proxy-nca and proxy-nca++. Vicreg and
// barlow-twins do not depend on the head, so they would not train its weights. The weights of
// weighted L1 may have any sign in the cross-entropies, where it is evidence in a logit,
// and are positive in all other losses, where it must be a distance. Named returns a loss
// with its head, HeadFor the head of a loss, and the method Check of a loss returns an
// error with the reason if they cannot be combined. DefaultMargin, DefaultScale and
// DefaultTemperature document the default parameters for each head.
//
// Penalty is an L2 penalty on weights that is added to the loss.
package objectives
