package evaluate

import (
	"math"
	"sort"

	"github.com/pkg/errors"
)

// NearestNeighbours classifies an embedding by the majority among the K known
// ones nearest to it.
//
// Of neighbours at one distance the one of the lower row counts as nearer, and
// of classes with equally many votes the one with the nearest member wins.
type NearestNeighbours struct {
	Metric Metric
	K      int // the number of neighbours; 0 means 1
}

// Classify returns the class of each query by its neighbours among references.
func (n NearestNeighbours) Classify(references Labelled, queries Embeddings) ([]int, error) {
	if err := references.check(); err != nil {
		return nil, errors.Wrap(err, "references")
	}
	if err := queries.check(); err != nil {
		return nil, errors.Wrap(err, "queries")
	}
	return n.classify(references, queries, excludeNone, references.Rows)
}

// Accuracy returns the share of queries that Classify gives their own class.
func (n NearestNeighbours) Accuracy(references, queries Labelled) (Score, error) {
	if err := queries.check(); err != nil {
		return Score{}, errors.Wrap(err, "queries")
	}
	classes, err := n.Classify(references, queries.Embeddings)
	if err != nil {
		return Score{}, err
	}
	return agreement(classes, queries.Labels), nil
}

// LeaveOneOut returns the share of a set's embeddings that get their own class
// by their neighbours among the others; with K = 1 it is the precision at 1.
func (n NearestNeighbours) LeaveOneOut(set Labelled) (Score, error) {
	if err := set.check(); err != nil {
		return Score{}, err
	}
	classes, err := n.classify(set, set.Embeddings, excludeSelf, set.Rows-1)
	if err != nil {
		return Score{}, err
	}
	return agreement(classes, set.Labels), nil
}

func excludeNone(int, []float64) {}

// excludeSelf moves the query out of its own neighbourhood.
func excludeSelf(query int, distances []float64) { distances[query] = math.Inf(1) }

func (n NearestNeighbours) classify(references Labelled, queries Embeddings,
	exclude func(query int, distances []float64), candidates int) ([]int, error) {
	k := max(n.K, 1)
	if n.K < 0 || k > candidates {
		return nil, errors.Errorf("%d nearest neighbours of %d embeddings", n.K, candidates)
	}
	classes := make([]int, queries.Rows)
	err := eachQuery(n.Metric, queries, references.Embeddings, func(query int, distances []float64) {
		exclude(query, distances)
		classes[query] = vote(nearest(distances, k), references.Labels)
	})
	return classes, err
}

// nearest returns the indices of the k smallest distances, smallest first.
func nearest(distances []float64, k int) []int {
	indices := make([]int, 0, k+1)
	for i, d := range distances {
		if len(indices) == k && d >= distances[indices[k-1]] {
			continue
		}
		at := sort.Search(len(indices), func(j int) bool { return distances[indices[j]] > d })
		indices = append(indices, 0)
		copy(indices[at+1:], indices[at:])
		indices[at] = i
		indices = indices[:min(len(indices), k)]
	}
	return indices
}

// vote returns the commonest class of the neighbours, who are in the order of
// their distances; of several, that of the nearest.
func vote(neighbours []int, labels []int) int {
	votes := map[int]int{}
	for _, neighbour := range neighbours {
		votes[labels[neighbour]]++
	}
	winner := labels[neighbours[0]]
	for _, neighbour := range neighbours {
		if class := labels[neighbour]; votes[class] > votes[winner] {
			winner = class
		}
	}
	return winner
}

// agreement is the share of classes that are as they should be.
func agreement(classes, labels []int) Score {
	trials := make([]float64, len(classes))
	for i, class := range classes {
		if class == labels[i] {
			trials[i] = 1
		}
	}
	return accuracy(trials)
}
