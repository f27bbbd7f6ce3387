package main

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
)

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
