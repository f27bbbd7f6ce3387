package evaluate

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/pkg/errors"
)

// Retrieval is the quality of a search for the class of each embedding within a set.
// Every embedding whose class has another one is a query; R is the number of the others
// of its class.
//
// Equal distances have no order: every value is the mean over all orders (McSherry &
// Najork 2008, "Computing information retrieval performance measures efficiently in the
// presence of tied scores"): embeddings that are all equal score chance.
//
// Intervals resample the queries, each with its results, as is done for topics in
// information retrieval (Smucker, Allan & Carterette 2007, "A comparison of statistical
// significance tests for information retrieval evaluation"): the searched set stays the
// same. They describe other queries of this set. Values of other sets vary more,
// especially with large classes, since an image that is hard to find is hard for all
// queries of its class: in simulations of three classes of 300 images the variance over
// sets of the recall at 1 was 1.5 times that of these intervals, and that of R-precision
// and MAP at R three times.
type Retrieval struct {
	// Queries are the rows of the queries: trial i of each score is that of row
	// Queries[i]. The only embedding of a class is not a query, but it is searched.
	Queries []int

	// RecallAt has, for each k, the proportion of queries with at least one of their
	// class among the k nearest. RecallAt[1] is the precision at 1.
	RecallAt map[int]Score

	// PrecisionAt has, for each k, the proportion of a query's class among its k nearest. It is
	// at most R/k for a query with fewer than k others of its class.
	PrecisionAt map[int]Score

	// MRR is the mean reciprocal rank: the mean of 1/rank of the nearest embedding of the
	// query's class (Voorhees 1999, "The TREC-8 Question Answering Track Report").
	MRR Score

	// NDCG is the normalized discounted cumulative gain of the whole ranking with binary
	// relevance: Σ 1/log₂(rank + 1) over the R others of the query's class, divided by the
	// largest value of this sum, that of the ranks 1 to R (Järvelin & Kekäläinen 2002,
	// "Cumulated gain-based evaluation of IR techniques").
	NDCG Score

	// RPrecision is the proportion of a query's class among its R nearest.
	RPrecision Score

	// MAPAtR is the mean average precision at R: 1/R Σ P(i) over those i ≤ R whose i-th
	// nearest is of the query's class, P(i) being the proportion of its class among the i
	// nearest (Musgrave, Belongie & Lim 2020, "A Metric Learning Reality Check").
	MAPAtR Score
}

// Retrieve measures retrieval within a set, with the recall and the precision at each of ks.
func Retrieve(metric Metric, set Labeled, ks ...int) (Retrieval, error) {
	if err := set.check(); err != nil {
		return Retrieval{}, err
	}
	deepest := 1
	for _, k := range ks {
		if k < 1 || k > set.Rows-1 {
			return Retrieval{}, errors.Errorf("recall at %d: each of %d embeddings has %d others", k, set.Rows, set.Rows-1)
		}
		deepest = max(deepest, k)
	}
	others := map[int]int{} // by class: how many there are beside a query
	for _, class := range set.Labels {
		others[class]++
	}
	var retrieval Retrieval
	trialOf := make([]int, set.Rows)
	for row, class := range set.Labels {
		if trialOf[row] = -1; others[class] > 1 {
			trialOf[row] = len(retrieval.Queries)
			retrieval.Queries = append(retrieval.Queries, row)
		}
	}
	for class := range others {
		others[class]--
	}
	if len(retrieval.Queries) == 0 {
		return Retrieval{}, errors.New("no class has two embeddings")
	}

	rPrecision := make([]float64, len(retrieval.Queries))
	averagePrecision := make([]float64, len(retrieval.Queries))
	reciprocalRank := make([]float64, len(retrieval.Queries))
	gain := make([]float64, len(retrieval.Queries))
	recall, precision := make([][]float64, len(ks)), make([][]float64, len(ks))
	for i := range ks {
		recall[i] = make([]float64, len(retrieval.Queries))
		precision[i] = make([]float64, len(retrieval.Queries))
	}
	discounts := cumulativeDiscounts(set.Rows)
	err := eachQuery(metric, set.Embeddings, set.Embeddings, func(query int, distances []float64) {
		class, trial := set.Labels[query], trialOf[query]
		if trial < 0 {
			return
		}
		excludeSelf(query, distances)
		ranked := rank(distances, set.Labels, class, max(others[class], deepest))
		rPrecision[trial] = ranked.precision(others[class])
		averagePrecision[trial] = ranked.averagePrecision(others[class])
		for i, k := range ks {
			recall[i][trial], precision[i][trial] = ranked.recall(k), ranked.precision(k)
		}
		hits := rankHits(distances, set.Labels, query)
		reciprocalRank[trial] = hits[0].reciprocalRank()
		gain[trial] = hits.discountedGain(discounts) / discounts[others[class]]
	})
	if err != nil {
		return Retrieval{}, err
	}
	retrieval.RPrecision, retrieval.MAPAtR = average(rPrecision), average(averagePrecision)
	retrieval.MRR, retrieval.NDCG = average(reciprocalRank), average(gain)
	retrieval.RecallAt, retrieval.PrecisionAt = make(map[int]Score, len(ks)), make(map[int]Score, len(ks))
	for i, k := range ks {
		retrieval.RecallAt[k], retrieval.PrecisionAt[k] = average(recall[i]), average(precision[i])
	}
	return retrieval, nil
}

// ranking is the nearest embeddings of a query as groups of one distance,
// nearest first.
type ranking []tied

// tied is a group of embeddings at one distance.
type tied struct {
	before, hitsBefore int // embeddings nearer than these, and those of the query's class
	size, hits         int // embeddings here, and those of the query's class
}

// rank finds the nearest embeddings, at least depth of them.
func rank(distances []float64, labels []int, class, depth int) ranking {
	type neighbor struct {
		distance float64
		hit      bool
	}
	farthest := smallest(slices.Clone(distances), depth-1)
	var neighbors []neighbor
	for i, d := range distances {
		if d <= farthest {
			neighbors = append(neighbors, neighbor{d, labels[i] == class})
		}
	}
	slices.SortFunc(neighbors, func(a, b neighbor) int { return cmp.Compare(a.distance, b.distance) })

	var groups ranking
	hits := 0
	for i, n := range neighbors {
		if i == 0 || n.distance != neighbors[i-1].distance {
			groups = append(groups, tied{before: i, hitsBefore: hits})
		}
		last := &groups[len(groups)-1]
		last.size++
		if n.hit {
			last.hits++
			hits++
		}
	}
	return groups
}

// recall is the probability that the k nearest hold a hit.
func (r ranking) recall(k int) float64 {
	for _, group := range r {
		if group.before >= k {
			return 0
		}
		if group.hits == 0 {
			continue
		}
		missed := 1.0 // by the places up to k, drawn from the group without replacement
		for i := range min(k-group.before, group.size) {
			missed *= max(0, float64(group.size-group.hits-i)) / float64(group.size-i)
		}
		return 1 - missed
	}
	return 0
}

// precision is the expected proportion of hits among the k nearest.
func (r ranking) precision(k int) float64 {
	var hits float64
	for _, group := range r {
		if places := min(k-group.before, group.size); places > 0 {
			hits += float64(group.hits) * float64(places) / float64(group.size)
		}
	}
	return hits / float64(k)
}

func (r ranking) averagePrecision(others int) float64 {
	var sum float64
	for _, group := range r {
		share := float64(group.hits) / float64(group.size)
		for i := range min(others-group.before, group.size) { // the group's place i, if it is a hit:
			hits := float64(group.hitsBefore + 1)
			if i > 0 {
				hits += float64(i) * float64(group.hits-1) / float64(group.size-1)
			}
			sum += share * hits / float64(group.before+i+1)
		}
	}
	return sum / float64(others)
}

// rankHits returns the groups of one distance that have an embedding of the query's class
// beside the query. The others are counted and not sorted, which costs less than a whole
// ranking.
func rankHits(distances []float64, labels []int, query int) ranking {
	var hits []float64
	for i, d := range distances {
		if labels[i] == labels[query] && i != query {
			hits = append(hits, d)
		}
	}
	slices.Sort(hits)
	levels := slices.Compact(slices.Clone(hits))
	groups, between := make(ranking, len(levels)), make([]int, len(levels)) // between a level and the one before it
	for i, d := range distances {
		level, equal := slices.BinarySearch(levels, d)
		switch {
		case i == query || level == len(levels):
		case equal:
			groups[level].size++
			if labels[i] == labels[query] {
				groups[level].hits++
			}
		default:
			between[level]++
		}
	}
	before, hitsBefore := 0, 0
	for level := range groups {
		group := &groups[level]
		group.before, group.hitsBefore = before+between[level], hitsBefore
		before, hitsBefore = group.before+group.size, hitsBefore+group.hits
	}
	return groups
}

// reciprocalRank is the expected reciprocal of the rank of the first hit, which is in this
// group.
func (t tied) reciprocalRank() float64 {
	var sum float64
	missed := 1.0 // by the places of the group before i, drawn without replacement
	for i := range t.size - t.hits + 1 {
		left := float64(t.size - i)
		sum += missed * float64(t.hits) / left / float64(t.before+i+1)
		missed *= (left - float64(t.hits)) / left
	}
	return sum
}

// discountedGain is the expected sum of the discounts of the ranks of the hits.
func (r ranking) discountedGain(discounts []float64) float64 {
	var sum float64
	for _, group := range r {
		sum += float64(group.hits) / float64(group.size) * (discounts[group.before+group.size] - discounts[group.before])
	}
	return sum
}

// cumulativeDiscounts returns the sums of the discounts 1/log₂(rank + 1) of the first 0, 1, …,
// n ranks.
func cumulativeDiscounts(n int) []float64 {
	sums := make([]float64, n+1)
	for rank := 1; rank <= n; rank++ {
		sums[rank] = sums[rank-1] + 1/math.Log2(float64(rank)+1)
	}
	return sums
}

// smallest returns the value of that rank, counted from 0, and disorders values
// (Hoare 1961, "Algorithm 65: find").
func smallest(values []float64, rank int) float64 {
	low, high := 0, len(values)-1
	for low < high {
		first, middle, last := values[low], values[low+(high-low)/2], values[high]
		pivot := max(min(first, middle), min(max(first, middle), last)) // their median
		i, j := low, high
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case rank <= j:
			high = j
		case rank >= i:
			low = i
		default:
			return values[rank]
		}
	}
	return values[rank]
}

// Neighbor is the row of an embedding and its distance from a query.
type Neighbor struct {
	Row      int
	Distance float64
}

// NearestOthers returns, for each embedding, the k nearest others, the nearest first; of equally
// near ones the lower row is first. k must be from 1 to the number of others.
func NearestOthers(metric Metric, e Embeddings, k int) ([][]Neighbor, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if k < 1 || k > e.Rows-1 {
		return nil, errors.Errorf("%d nearest others: each of %d embeddings has %d", k, e.Rows, max(0, e.Rows-1))
	}
	found := make([][]Neighbor, e.Rows)
	err := eachQuery(metric, e, e, func(query int, distances []float64) {
		excludeSelf(query, distances)
		for _, row := range nearest(distances, k) {
			found[query] = append(found[query], Neighbor{row, distances[row]})
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Miss is a query of Retrieve whose nearest embeddings are all of other classes.
type Miss struct {
	Query   int        // its row
	Nearest []Neighbor // nearest first; of equally near ones the lower row first
	Own     Neighbor   // the nearest of the query's class
	Nearer  int        // number of embeddings nearer than Own
}

// Misses returns the queries of Retrieve for which k or more embeddings of other classes
// are nearer than the nearest one of their own class, in descending order of the number
// of nearer embeddings, and then by row. k must be at least 1. An embedding at an equal
// distance does not count as nearer, so equal embeddings are not misses.
func Misses(metric Metric, set Labeled, k int) ([]Miss, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	if k < 1 || k > set.Rows-1 {
		return nil, errors.Errorf("misses at %d: each of %d embeddings has %d others", k, set.Rows, set.Rows-1)
	}
	found := make([]Miss, set.Rows) // those without Nearest are none
	err := eachQuery(metric, set.Embeddings, set.Embeddings, func(query int, distances []float64) {
		excludeSelf(query, distances)
		own := -1
		for i, d := range distances {
			if i != query && set.Labels[i] == set.Labels[query] && (own < 0 || d < distances[own]) {
				own = i
			}
		}
		if own < 0 {
			return // the only one of its class is not asked
		}
		nearer := 0
		for _, d := range distances {
			if d < distances[own] {
				nearer++
			}
		}
		if nearer < k {
			return
		}
		miss := Miss{Query: query, Own: Neighbor{own, distances[own]}, Nearer: nearer}
		for _, i := range nearest(distances, k) {
			miss.Nearest = append(miss.Nearest, Neighbor{i, distances[i]})
		}
		found[query] = miss
	})
	if err != nil {
		return nil, err
	}
	misses := slices.DeleteFunc(found, func(m Miss) bool { return m.Nearest == nil })
	slices.SortStableFunc(misses, func(a, b Miss) int { return cmp.Compare(b.Nearer, a.Nearer) })
	return misses, nil
}

// NearestNeighbors classifies an embedding by the majority of its K nearest labeled
// embeddings.
//
// Of neighbors at equal distances the lower row counts as nearer, and of classes with
// equally many votes the one with the nearest member is chosen.
type NearestNeighbors struct {
	Metric Metric
	K      int // the number of neighbors; 0 means 1
}

// Classify returns the class of each query by its neighbors among references.
func (n NearestNeighbors) Classify(references Labeled, queries Embeddings) ([]int, error) {
	if err := references.check(); err != nil {
		return nil, errors.Wrap(err, "references")
	}
	if err := queries.check(); err != nil {
		return nil, errors.Wrap(err, "queries")
	}
	return n.classify(references, queries, excludeNone, references.Rows)
}

// Accuracy returns the accuracy of Classify on the queries.
func (n NearestNeighbors) Accuracy(references, queries Labeled) (Score, error) {
	if err := queries.check(); err != nil {
		return Score{}, errors.Wrap(err, "queries")
	}
	classes, err := n.Classify(references, queries.Embeddings)
	if err != nil {
		return Score{}, err
	}
	return agreement(classes, queries.Labels), nil
}

// LeaveOneOut returns the accuracy of classifying each embedding of a set by its
// neighbors among the others; with K = 1 it is the precision at 1.
func (n NearestNeighbors) LeaveOneOut(set Labeled) (Score, error) {
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

// excludeSelf excludes the query from its own neighbors.
func excludeSelf(query int, distances []float64) { distances[query] = math.Inf(1) }

func (n NearestNeighbors) classify(references Labeled, queries Embeddings,
	exclude func(query int, distances []float64), candidates int) ([]int, error) {
	k := max(n.K, 1)
	if n.K < 0 || k > candidates {
		return nil, errors.Errorf("%d nearest neighbors of %d embeddings", n.K, candidates)
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

// vote returns the commonest class of the neighbors, who are in the order of
// their distances; of several, that of the nearest.
func vote(neighbors []int, labels []int) int {
	votes := map[int]int{}
	for _, neighbor := range neighbors {
		votes[labels[neighbor]]++
	}
	winner := labels[neighbors[0]]
	for _, neighbor := range neighbors {
		if class := labels[neighbor]; votes[class] > votes[winner] {
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
