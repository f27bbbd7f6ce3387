// Package objectives says what training asks of distances.
//
// Its one interface is Objective. A PairObjective judges pairs, a
// TripletObjective judges an anchor with a positive and a negative, and a
// BatchObjective judges what it finds in one labelled batch, where mining is
// part of the graph as the distances are. Each is plain data that draws its
// cost, a scalar, as a Gorgonia expression for Gorgonia to differentiate.
//
// There is one convention of labels: different is 1 where the classes of a
// pair differ and 0 where they are the same, the Y of Hadsell, Chopra & LeCun.
// A cost is a mean, so that it does not grow with the batch; what is averaged,
// each objective says. What a batch does not have is left out of the mean, and
// a mean over nothing is 0 with gradient zero.
//
// # Which head goes with which objective
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
// Contrastive squares the distance itself. Cross-entropy needs a logit that can
// grow, which bias minus a cosine distance cannot. Prototypical needs distances
// from which those from a mean follow. Weighted L1 learns factors of
// any sign under the cross-entropies, where it is evidence, and positive ones
// elsewhere, where it must be a distance. Named finds an objective with its
// head, HeadFor the head, and Check gives the reason of a refusal. What margin,
// scale or temperature suits which head, DefaultMargin, DefaultScale and
// DefaultTemperature say.
//
// Penalty is the one place for L2: a term of the cost over the weights it
// names.
package objectives
