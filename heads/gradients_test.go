package heads_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/internal/random"
	"gorgonia.org/gorgonia"
)

func draw(seed uint64, rows, features int) batch {
	r := random.New(seed, "embeddings")
	c := batch{rows: rows, features: features}
	for range rows * features {
		c.x = append(c.x, r.NormFloat64())
		c.y = append(c.y, r.NormFloat64())
	}
	return c
}

// Both forms of every head pass a finite-difference check by the embeddings
// and by what the head learns, down to one row and one feature.
func TestGradients(t *testing.T) {
	for _, head := range all {
		for _, shape := range [][2]int{{4, 3}, {1, 3}, {3, 1}, {1, 1}} {
			if shape[1] == 1 && head.Name() == "cosine" {
				continue // one feature has no direction: the gradient is zero
			}
			t.Run(head.Name(), func(t *testing.T) {
				c := draw(3, shape[0], shape[1])
				gradcheck.Check(t, c.weights(t, head, graph.Float64), nil, c.draw(head))
			})
		}
	}
}

// Three towers, as under a triplet: one node is compared with two others.
func TestGradientsOfThreeTowers(t *testing.T) {
	for _, head := range all {
		t.Run(head.Name(), func(t *testing.T) {
			gradcheck.Check(t, graph.NewWeights(graph.Float64, 5), nil, func(b *graph.Builder) graph.Outputs {
				towers := make([]*graph.Node, 3)
				for i, name := range []string{"anchor", "positive", "negative"} {
					images := b.Weight(name, graph.Bias, graph.Normal(0, 1), 4, 5)
					towers[i] = b.Sequence([]graph.Block{graph.Linear{Units: 3, Activation: "tanh"}}, images)
				}
				near, far := head.Paired(b, towers[0], towers[1]), head.Paired(b, towers[0], towers[2])
				return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(total(b, "near", near), total(b, "far", far)))}
			})
		})
	}
}

// At distance zero and in the zero vector, where derivatives fail to exist,
// values are right and gradients finite, and zero where nothing else acts.
func TestFiniteAtZero(t *testing.T) {
	tests := map[string]batch{
		"all zero":       {rows: 2, features: 2, x: make([]float64, 4), y: make([]float64, 4)},
		"equal":          {rows: 2, features: 2, x: []float64{1, -2, 1, -2}, y: []float64{1, -2, 1, -2}},
		"nearly equal":   {rows: 2, features: 2, x: []float64{1, -2, 1, -2}, y: []float64{1, -2 - 2.4e-7, 1 + 1.2e-7, -2}},
		"one zero":       {rows: 2, features: 2, x: []float64{0, 0, 3, 4}, y: []float64{3, 4, 0, 0}},
		"tiny and large": {rows: 2, features: 2, x: []float64{1e-18, 0, 1e15, 0}, y: []float64{0, 1e-18, 0, 1e15}},
	}
	for _, head := range all {
		for name, c := range tests {
			t.Run(head.Name()+"/"+name, func(t *testing.T) {
				r := c.run(t, head, graph.Float32)
				for i, d := range append(r.between, r.matrix...) {
					if math.IsNaN(d) || math.IsInf(d, 0) {
						t.Errorf("distance %d is %v", i, d)
					}
				}
				for weight, gradient := range r.gradients {
					for i, g := range gradient {
						if math.IsNaN(g) || math.IsInf(g, 0) {
							t.Errorf("gradient of %s[%d] is %v", weight, i, g)
						}
						if (name == "all zero" || name == "equal") && math.Abs(g) > 1e-6 {
							t.Errorf("gradient of %s[%d] is %v, want 0", weight, i, g)
						}
					}
				}
			})
		}
	}
}
