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

// setting is what all sizes have in common.
type setting struct {
	columns, queries int
	head             string
	distance         heads.Distance
	seed             uint64
}

// size is what was measured of one number of vectors.
type size struct {
	n              int
	vectorBytes    int64 // of the vectors in memory
	exact          time.Duration
	exactTogether  time.Duration // for each of all queries at once
	build          time.Duration
	graphBytes     int64 // of the index beside them
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
	exact, err := vectors.Nearest(queries, neighbours, nil)
	if err != nil {
		return m, err
	}
	m.exactTogether = time.Since(start) / time.Duration(len(queries))
	m.exact, _, err = each(queries, func(query [][]float32) ([][]index.Neighbor, error) {
		return vectors.Nearest(query, neighbours, nil)
	})
	if err != nil {
		return m, err
	}

	before = heap()
	start = time.Now()
	graph, err := index.Build(ctx, vectors, s.seed)
	if err != nil {
		return m, err
	}
	m.build = time.Since(start)
	m.graphBytes = heap() - before
	for _, breadth := range breadths {
		a := approximation{breadth: breadth}
		var found [][]index.Neighbor
		a.query, found, err = each(queries, func(query [][]float32) ([][]index.Neighbor, error) {
			return graph.Nearest(query, neighbours, nil, breadth)
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

// each asks one query after the other and gives the median time and the answers.
// The first ones, which find memory and caches cold, are asked once more before.
func each(queries [][]float32, ask func([][]float32) ([][]index.Neighbor, error)) (time.Duration, [][]index.Neighbor, error) {
	const warm = 10
	for i := range min(warm, len(queries)) {
		if _, err := ask(queries[i : i+1]); err != nil {
			return 0, nil, err
		}
	}
	times := make([]time.Duration, len(queries))
	answers := make([][]index.Neighbor, len(queries))
	for i := range queries {
		start := time.Now()
		answer, err := ask(queries[i : i+1])
		if err != nil {
			return 0, nil, err
		}
		times[i], answers[i] = time.Since(start), answer[0]
	}
	slices.Sort(times)
	return times[len(times)/2], answers, nil
}

// recall is the share of the true neighbours that were found, as rows: another of
// the same distance is another.
func recall(exact, found [][]index.Neighbor) float64 {
	hits, all := 0, 0
	for i := range exact {
		for _, neighbour := range exact[i] {
			all++
			if slices.Contains(found[i], neighbour) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}

// heap is what is in use of memory.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what lies in a sync.Pool outlives the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Vectors are made as embeddings of a trained network lie: on the sphere, in
// clusters of clusters. A group of classes has a centre of independent normal
// numbers, each of its perGroup classes has amongClasses times as much of its own
// added, and each of the class's perClass examples withinClass times as much, and
// all is brought to length 1. Half of the ten nearest of a query, a further example
// of a class that is drawn at random, are therefore of other classes.
const (
	perGroup     = 40 // classes
	perClass     = 5  // examples
	amongClasses = 0.8
	withinClass  = 0.6

	about = "Vectors are made, not measured: groups of %d classes of %d examples, each a centre of independent normal numbers for the group, %v times as much for the class and %v times as much for the example, brought to length 1; the queries are further examples of the same classes."
)

// example is number i of a class.
func (s setting) example(class, i int) []float32 {
	group := random.New(s.seed, "group", class/perGroup)
	centre := random.New(s.seed, "class", class)
	around := random.New(s.seed, "example", class, i)
	vector := make([]float32, s.columns)
	var squares float64
	for j := range vector {
		v := group.NormFloat64() + amongClasses*centre.NormFloat64() + withinClass*around.NormFloat64()
		vector[j] = float32(v)
		squares += v * v
	}
	for j := range vector {
		vector[j] /= float32(math.Sqrt(squares))
	}
	return vector
}

// drawn are the queries among so many vectors.
func (s setting) drawn(n int) [][]float32 {
	chance := random.New(s.seed, "queries")
	queries := make([][]float32, s.queries)
	for i := range queries {
		queries[i] = s.example(chance.IntN((n+perClass-1)/perClass), perClass+i)
	}
	return queries
}

func noWeights() *graph.Weights { return graph.NewWeights(graph.Float32, 1) }
