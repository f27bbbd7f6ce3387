package objectives

import (
	"github.com/likeness-go/likeness/graph"
)

// triplets is the mean loss of the triplets that a rule finds in a batch, a
// scalar: distances (batch, batch), labels (batch).
func (e expression) triplets(distances, labels *graph.Node, loss ranking, find finder) *graph.Node {
	return e.anchors("triplets", distances, labels, func(anchor int, row, labels, slopes []float64) (sum, count float64) {
		find(anchor, row, labels, func(positive, negative int) {
			l, slope, counts := loss(row[positive] - row[negative])
			if counts {
				sum += l
				count++
				slopes[positive] += slope
				slopes[negative] -= slope
			}
		})
		return sum, count
	})
}

// A finder visits triplets of one anchor, given its row of distances. What it
// visits is a constant to training.
type finder func(anchor int, row, labels []float64, visit func(positive, negative int))

// A ranking is the loss of one gap D(a,p) − D(a,n) and its derivative, and
// whether the triplet counts in the mean.
type ranking func(gap float64) (loss, slope float64, counts bool)

// hingeRanking is max(0, gap + margin); triplets that rest do not count.
func hingeRanking(margin float64) ranking {
	return func(gap float64) (loss, slope float64, counts bool) {
		if gap+margin > 0 {
			return gap + margin, 1, true
		}
		return 0, 0, false
	}
}

// softRanking is log(1 + exp(gap)).
func softRanking(gap float64) (loss, slope float64, counts bool) {
	loss, slope = graph.Softplus(gap)
	return loss, slope, true
}
