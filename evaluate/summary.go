package evaluate

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// DefaultPairs is the default of SummaryOptions.Pairs: all pairs of 632 images.
const DefaultPairs = 200_000

// DefaultClustered is the default of SummaryOptions.Clustered.
const DefaultClustered = 5_000

// SummaryOptions are the options of Summarize. The zero value is useful.
type SummaryOptions struct {
	Pairs     int    // maximum number of pairs to verify; 0 for DefaultPairs
	Way       int    // number of classes of a one-shot trial; 0 for 20, or for all classes if there are fewer
	Episodes  int    // number of one-shot episodes, each with one trial for each of its classes; 0 for 100
	RecallAt  []int  // numbers of neighbors at which recall and precision are measured; nil for 1 and 5
	Clustered int    // maximum number of embeddings to cluster; 0 for DefaultClustered
	Seed      uint64 // random seed for sampling pairs, episodes and embeddings to cluster, and for k-means; likeness eval has 1 by default
}

// Summary has the metrics that are commonly reported for labeled embeddings, with 95 %
// intervals; see the package documentation.
type Summary struct {
	Images, Classes int
	Pairs, AllPairs int // number of pairs verified, and of all pairs
	Verification    *Verification
	Way             int // number of classes of a one-shot trial
	OneShot         Score
	OneShotTrials   []Trial // those of OneShot, for Queries and Difference
	Retrieval       Retrieval
	Clustered       []int // rows of the embeddings that were clustered, in ascending order
	Clustering      *Clustering
}

// Summarize measures verification over all pairs of a set, or a sample of them, one-shot
// classification, retrieval, and how well clusters of k-means agree with the classes, with as
// many clusters as classes, over all embeddings or a sample of them. There must be at least two classes with at least two
// embeddings each.
func Summarize(metric Metric, set Labeled, o SummaryOptions) (*Summary, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	if o.Pairs < 0 || o.Way < 0 || o.Episodes < 0 || o.Clustered < 0 {
		return nil, errors.Errorf("found %d pairs, way %d, %d episodes and %d embeddings to cluster, expected numbers of at least 0", o.Pairs, o.Way, o.Episodes, o.Clustered)
	}
	groups := byClass(set.Labels)
	s := &Summary{Images: set.Rows, Classes: len(groups), AllPairs: set.Rows * (set.Rows - 1) / 2}
	populated := slices.DeleteFunc(slices.Clone(groups), func(rows []int) bool { return len(rows) < 2 })
	if len(populated) < 2 {
		return nil, errors.Errorf("found %d classes of two embeddings or more among %d classes, expected two such classes", len(populated), len(groups))
	}
	if o.Pairs == 0 {
		o.Pairs = DefaultPairs
	}
	if o.Episodes == 0 {
		o.Episodes = 100
	}
	if o.RecallAt == nil {
		o.RecallAt = slices.DeleteFunc([]int{1, 5}, func(k int) bool { return k > set.Rows-1 })
	}
	s.Way = min(20, len(populated))
	if o.Way != 0 {
		s.Way = o.Way
	}
	if s.Way < 2 || s.Way > len(populated) {
		return nil, errors.Errorf("found way %d, expected 2 to %d, the number of classes of two embeddings or more", s.Way, len(populated))
	}
	pairs, err := AllPairs(set.Labels, o.Pairs, o.Seed)
	if err != nil {
		return nil, err
	}
	s.Pairs = len(pairs)
	if s.Verification, err = Verify(metric, set.Embeddings, pairs); err != nil {
		return nil, errors.Wrap(err, "verification")
	}
	s.OneShotTrials = episodes(populated, s.Way, o.Episodes, o.Seed)
	if s.OneShot, err = OneShot(metric, set.Embeddings, s.OneShotTrials, MeanDistance); err != nil {
		return nil, errors.Wrap(err, "one-shot classification")
	}
	if s.Retrieval, err = Retrieve(metric, set, o.RecallAt...); err != nil {
		return nil, errors.Wrap(err, "retrieval")
	}
	if o.Clustered == 0 {
		o.Clustered = DefaultClustered
	}
	s.Clustered = drawDistinct(random.New(o.Seed, "clustered"), set.Rows, min(set.Rows, o.Clustered))
	slices.Sort(s.Clustered)
	clustered := Labeled{Embeddings: set.Select(s.Clustered)}
	for _, row := range s.Clustered {
		clustered.Labels = append(clustered.Labels, set.Labels[row])
	}
	s.Clustering, err = Cluster(metric, clustered, ClusterOptions{Seed: o.Seed})
	return s, errors.Wrap(err, "clusters")
}

// byClass is the rows of each class, in the order of the labels.
func byClass(labels []int) [][]int {
	rows := map[int][]int{}
	for row, label := range labels {
		rows[label] = append(rows[label], row)
	}
	var groups [][]int
	for _, label := range slices.Sorted(maps.Keys(rows)) {
		groups = append(groups, rows[label])
	}
	return groups
}

// episodes draws one-shot trials: for each episode, classes and two images of each, of
// which one is the example and the other is asked about.
func episodes(classes [][]int, way, count int, seed uint64) []Trial {
	var trials []Trial
	for episode := range count {
		r := random.New(seed, "one-shot episode", episode)
		support, queries := make([][]int, way), make([]int, way)
		for i, class := range r.Perm(len(classes))[:way] {
			rows := classes[class]
			first := r.IntN(len(rows))
			second := r.IntN(len(rows) - 1)
			if second >= first {
				second++
			}
			support[i], queries[i] = []int{rows[first]}, rows[second]
		}
		for answer, query := range queries {
			trials = append(trials, Trial{Support: support, Query: query, Answer: answer})
		}
	}
	return trials
}

// AllPairs returns all pairs of rows with these labels, in ascending order. If there are
// more than most, it returns a random sample of that size without replacement, half of it
// same-class pairs, or all same-class pairs if there are fewer. Rates and the area under
// the ROC curve do not depend on the proportion of the two kinds.
func AllPairs(labels []int, most int, seed uint64) ([]Pair, error) {
	if most < 2 {
		return nil, errors.Errorf("found at most %d pairs, expected at least 2", most)
	}
	groups, n := byClass(labels), len(labels)
	if n > 1<<31 {
		return nil, errors.Errorf("found %d embeddings, expected at most 2³¹", n)
	}
	var sizes []int // of the pairs within each class
	same := 0
	for _, rows := range groups {
		sizes = append(sizes, len(rows)*(len(rows)-1)/2)
		same += sizes[len(sizes)-1]
	}
	all := n * (n - 1) / 2
	pairs := make([]Pair, 0, min(all, most))
	if all <= most {
		for i := range n {
			for j := i + 1; j < n; j++ {
				pairs = append(pairs, Pair{Left: i, Right: j, Different: labels[i] != labels[j]})
			}
		}
		return pairs, nil
	}
	different := all - same
	wantedSame := min(same, max(most/2, most-different))
	r := random.New(seed, "all pairs")
	for _, number := range drawDistinct(r, same, wantedSame) {
		class := 0
		for number >= sizes[class] {
			number -= sizes[class]
			class++
		}
		i, j := pairOf(number)
		pairs = append(pairs, Pair{Left: groups[class][j], Right: groups[class][i]})
	}
	pairs = append(pairs, differentPairs(r, labels, groups, most-wantedSame, different)...)
	slices.SortFunc(pairs, func(a, b Pair) int {
		if a.Left != b.Left {
			return a.Left - b.Left
		}
		return a.Right - b.Right
	})
	return pairs, nil
}

// differentPairs draws as many of the pairs of two classes as are wanted.
func differentPairs(r *rand.Rand, labels []int, groups [][]int, wanted, all int) []Pair {
	pairs := make([]Pair, 0, wanted)
	n := len(labels)
	if 2*wanted > all { // listed and then drawn
		var listed []Pair
		for i := range n {
			for j := range i {
				if labels[i] != labels[j] {
					listed = append(listed, Pair{Left: j, Right: i, Different: true})
				}
			}
		}
		for _, number := range drawDistinct(r, len(listed), wanted) {
			pairs = append(pairs, listed[number])
		}
		return pairs
	}
	// An ordered pair of two classes is a row of one class and then any row outside
	// of it, in an order in which the rows of a class follow one another.
	rows := slices.Concat(groups...)
	ends, counts := make([]int, len(groups)), make([]int, len(groups)) // running sums
	end, count := 0, 0
	for class, group := range groups {
		end += len(group)
		count += len(group) * (n - len(group))
		ends[class], counts[class] = end, count
	}
	taken := make(map[[2]int]bool, wanted)
	for len(pairs) < wanted {
		number := r.IntN(count)
		class := sort.SearchInts(counts, number+1)
		size := len(groups[class])
		number -= counts[class] - size*(n-size)
		first, second := groups[class][number/(n-size)], number%(n-size)
		if second >= ends[class]-size { // skip the class
			second += size
		}
		pair := [2]int{min(first, rows[second]), max(first, rows[second])}
		if !taken[pair] {
			taken[pair] = true
			pairs = append(pairs, Pair{Left: pair[0], Right: pair[1], Different: true})
		}
	}
	return pairs
}

// pairOf is pair number k of those i > j ≥ 0, ordered by i and then by j.
func pairOf(k int) (i, j int) {
	i = int((1 + isqrt(1+8*uint64(k))) / 2)
	return i, k - i*(i-1)/2
}

// isqrt is the largest whole number whose square is at most x.
func isqrt(x uint64) uint64 {
	root := uint64(math.Sqrt(float64(x)))
	for root > 0 && root > x/root {
		root--
	}
	for root+1 <= x/(root+1) {
		root++
	}
	return root
}

// drawDistinct draws count different numbers below n, by Floyd's algorithm (Bentley
// & Floyd 1987, "A sample of brilliance").
func drawDistinct(r *rand.Rand, n, count int) []int {
	drawn := make([]int, 0, count)
	taken := make(map[int]bool, count)
	for i := n - count; i < n; i++ {
		number := r.IntN(i + 1)
		if taken[number] {
			number = i
		}
		taken[number] = true
		drawn = append(drawn, number)
	}
	return drawn
}
