package evaluate

import (
	"cmp"
	"slices"

	"github.com/pkg/errors"
)

// Retrieval says how well each embedding of a set finds the others of its
// class, which is asked in turn of every embedding whose class has another.
// R is the number of those others, which differs between classes.
//
// Equal distances have no order, and every measure is its mean over all orders
// (McSherry & Najork 2008, "Computing information retrieval performance
// measures efficiently in the presence of tied scores"): embeddings that are
// all alike score what chance would.
//
// Intervals resample the queries, each with what it found, as is done for topics in
// information retrieval (Smucker, Allan & Carterette 2007, "A comparison of
// statistical significance tests for information retrieval evaluation"): the set that
// is searched stays as it is. They are about other queries of this set. Figures of
// another set differ by more, the more the larger its classes, since an image that is
// hard to find is so for all queries of its class: in simulations of three classes of
// 300 images the variance of the recall at 1 over sets was 1.5 times, and that of
// R-precision and MAP at R three times what these intervals take it for.
type Retrieval struct {
	// Queries are the rows that were asked, and trial i of each score is row
	// Queries[i]. The only embedding of a class is not asked, but it is among
	// those that the other queries search.
	Queries []int

	// RecallAt has, for each k, the share of queries with one or more of their
	// class among the k nearest. RecallAt[1] is the precision at 1.
	RecallAt map[int]Score

	// RPrecision is the share of a query's class among its R nearest.
	RPrecision Score

	// MAPAtR is the mean average precision at R: 1/R Σ P(i) over those i ≤ R
	// whose i-th nearest is of the query's class, P(i) being the share of its
	// class among the i nearest (Musgrave, Belongie & Lim 2020, "A Metric
	// Learning Reality Check").
	MAPAtR Score
}

// Retrieve measures retrieval within a set, and recall at each of ks.
func Retrieve(metric Metric, set Labelled, ks ...int) (Retrieval, error) {
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
	recall := make([][]float64, len(ks))
	for i := range recall {
		recall[i] = make([]float64, len(retrieval.Queries))
	}
	err := eachQuery(metric, set.Embeddings, set.Embeddings, func(query int, distances []float64) {
		class, trial := set.Labels[query], trialOf[query]
		if trial < 0 {
			return
		}
		excludeSelf(query, distances)
		ranked := rank(distances, set.Labels, class, max(others[class], deepest))
		rPrecision[trial] = ranked.rPrecision(others[class])
		averagePrecision[trial] = ranked.averagePrecision(others[class])
		for i, k := range ks {
			recall[i][trial] = ranked.recall(k)
		}
	})
	if err != nil {
		return Retrieval{}, err
	}
	retrieval.RPrecision, retrieval.MAPAtR = average(rPrecision), average(averagePrecision)
	retrieval.RecallAt = make(map[int]Score, len(ks))
	for i, k := range ks {
		retrieval.RecallAt[k] = average(recall[i])
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
	type neighbour struct {
		distance float64
		hit      bool
	}
	farthest := smallest(slices.Clone(distances), depth-1)
	var neighbours []neighbour
	for i, d := range distances {
		if d <= farthest {
			neighbours = append(neighbours, neighbour{d, labels[i] == class})
		}
	}
	slices.SortFunc(neighbours, func(a, b neighbour) int { return cmp.Compare(a.distance, b.distance) })

	var groups ranking
	hits := 0
	for i, n := range neighbours {
		if i == 0 || n.distance != neighbours[i-1].distance {
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

func (r ranking) rPrecision(others int) float64 {
	var hits float64
	for _, group := range r {
		if places := min(others-group.before, group.size); places > 0 {
			hits += float64(group.hits) * float64(places) / float64(group.size)
		}
	}
	return hits / float64(others)
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
