package main

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
)

// setting holds the parameters that all sizes share.
type setting struct {
	columns, queries int
	head             string
	distance         heads.Distance
	seed             uint64
}

// size holds the measurements for one number of vectors.
type size struct {
	n              int
	vectorBytes    int64 // memory of the vectors
	exact          time.Duration
	exactTogether  time.Duration // per query, if all are searched in one call
	build          time.Duration
	graphBytes     int64 // memory of the index
	approximations []approximation
}

// approximation is a search of the index with one breadth.
type approximation struct {
	breadth int
	query   time.Duration
	recall  float64
}

func (s setting) measure(ctx context.Context, n int) (size, error) {
	m := size{n: n}
	queries := s.drawn(n)
	before := heap()
	vectors, err := index.NewVectors(s.distance, s.columns)
	if err != nil {
		return m, err
	}
	for i := range n {
		if err := vectors.Append(s.example(i/perClass, i%perClass)); err != nil {
			return m, err
		}
	}
	m.vectorBytes = heap() - before

	start := time.Now()
	exact, err := vectors.Nearest(queries, neighbors, nil)
	if err != nil {
		return m, err
	}
	m.exactTogether = time.Since(start) / time.Duration(len(queries))
	m.exact, _, err = each(queries, func(query [][]float32) ([][]index.Neighbor, error) {
		return vectors.Nearest(query, neighbors, nil)
	})
	if err != nil {
		return m, err
	}

	before = heap()
	start = time.Now()
	built, err := index.Build(ctx, vectors, s.seed)
	if err != nil {
		return m, err
	}
	m.build = time.Since(start)
	m.graphBytes = heap() - before
	for _, breadth := range breadths {
		a := approximation{breadth: breadth}
		var found [][]index.Neighbor
		a.query, found, err = each(queries, func(query [][]float32) ([][]index.Neighbor, error) {
			return built.Nearest(query, neighbors, nil, breadth)
		})
		if err != nil {
			return m, err
		}
		a.recall = recall(exact, found)
		m.approximations = append(m.approximations, a)
	}
	runtime.KeepAlive(vectors)
	return m, nil
}

// each searches one query after the other and returns the median time and the results.
// The first queries are searched once before, to warm up memory and caches.
func each(queries [][]float32, search func([][]float32) ([][]index.Neighbor, error)) (time.Duration, [][]index.Neighbor, error) {
	const warm = 10
	for i := range min(warm, len(queries)) {
		if _, err := search(queries[i : i+1]); err != nil {
			return 0, nil, err
		}
	}
	times := make([]time.Duration, len(queries))
	answers := make([][]index.Neighbor, len(queries))
	for i := range queries {
		start := time.Now()
		answer, err := search(queries[i : i+1])
		if err != nil {
			return 0, nil, err
		}
		times[i], answers[i] = time.Since(start), answer[0]
	}
	slices.Sort(times)
	return times[len(times)/2], answers, nil
}

// recall is the share of the true nearest neighbors that were found. Another row at the
// same distance does not count.
func recall(exact, found [][]index.Neighbor) float64 {
	hits, all := 0, 0
	for i := range exact {
		for _, neighbor := range exact[i] {
			all++
			if slices.Contains(found[i], neighbor) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}

// heap returns the size of the heap in use in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the first does not empty sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Random vectors have a distribution like embeddings of a trained network: on the unit
// sphere, in clusters of clusters. A vector is the normalized sum g + a·c + w·e of vectors
// with independent standard normal elements, where g is that of a group of perGroup
// classes, c that of a class of perClass examples, and e that of the example, with a =
// amongClasses and w = withinClass. A query is another example of a random class, so that
// half of its ten nearest vectors are of other classes.
const (
	perGroup     = 40 // classes
	perClass     = 5  // examples
	amongClasses = 0.8
	withinClass  = 0.6

	about = "Vectors are synthetic: groups of %d classes of %d examples; each vector is the normalized sum of independent normal vectors for the group, %v times for the class and %v times for the example. The queries are other examples of the same classes."
)

// example returns example number i of a class.
func (s setting) example(class, i int) []float32 {
	group := random.New(s.seed, "group", class/perGroup)
	center := random.New(s.seed, "class", class)
	around := random.New(s.seed, "example", class, i)
	vector := make([]float32, s.columns)
	var squares float64
	for j := range vector {
		v := group.NormFloat64() + amongClasses*center.NormFloat64() + withinClass*around.NormFloat64()
		vector[j] = float32(v)
		squares += v * v
	}
	for j := range vector {
		vector[j] /= float32(math.Sqrt(squares))
	}
	return vector
}

// drawn returns the queries for a number of vectors.
func (s setting) drawn(n int) [][]float32 {
	chance := random.New(s.seed, "queries")
	queries := make([][]float32, s.queries)
	for i := range queries {
		queries[i] = s.example(chance.IntN((n+perClass-1)/perClass), perClass+i)
	}
	return queries
}

func noWeights() *graph.Weights { return graph.NewWeights(graph.Float32, 1) }
