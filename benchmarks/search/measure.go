package main

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
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
	m.exact, _, err = each(queries, func(query [][]float32) ([][]index.Neighbour, error) {
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
		var found [][]index.Neighbour
		a.query, found, err = each(queries, func(query [][]float32) ([][]index.Neighbour, error) {
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
func each(queries [][]float32, ask func([][]float32) ([][]index.Neighbour, error)) (time.Duration, [][]index.Neighbour, error) {
	const warm = 10
	for i := range min(warm, len(queries)) {
		if _, err := ask(queries[i : i+1]); err != nil {
			return 0, nil, err
		}
	}
	times := make([]time.Duration, len(queries))
	answers := make([][]index.Neighbour, len(queries))
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
func recall(exact, found [][]index.Neighbour) float64 {
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
