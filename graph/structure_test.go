package graph_test

import (
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A structure stays the same from one build to the next, whatever the weights, the
// threads and the algorithms, and differs with any setting of a layer.
func TestStructure(t *testing.T) {
	blocks := func(blocks ...graph.Block) func(b *graph.Builder) *graph.Node {
		return func(b *graph.Builder) *graph.Node { return b.Sequence(blocks, b.Input("x", 4, 8, 8, 2)) }
	}
	conv := graph.Conv{Filters: 3, Kernel: 3, Activation: "relu", Pool: 2}
	other := func(change func(*graph.Conv)) graph.Block {
		changed := conv
		change(&changed)
		return changed
	}
	// large adds a constant matrix of which one value in the middle is given.
	large := func(middle float32) func(b *graph.Builder) *graph.Node {
		return func(b *graph.Builder) *graph.Node {
			values := make([]float32, 4*100)
			values[50] = middle
			return b.Node(gorgonia.Add(blocks(graph.Flatten{}, graph.Linear{Units: 100})(b), gorgonia.NewConstant(tensor.New(tensor.WithShape(4, 100), tensor.WithBacking(values)))))
		}
	}
	drawings := map[string]func(b *graph.Builder) *graph.Node{
		"conv":                   blocks(conv),
		"another function":       blocks(other(func(c *graph.Conv) { c.Activation = "tanh" })),
		"another scheme":         blocks(other(func(c *graph.Conv) { c.Weight = graph.Normal(0, 0.1) })),
		"batch norm":             blocks(other(func(c *graph.Conv) { c.BatchNorm = true })),
		"dropout":                blocks(conv, graph.Dropout{Rate: 0.1}),
		"more dropout":           blocks(conv, graph.Dropout{Rate: 0.2}),
		"activation":             blocks(conv, graph.Activate{Function: "sigmoid"}),
		"another one":            blocks(conv, graph.Activate{Function: "tanh"}),
		"pool":                   blocks(conv, graph.MaxPool{Size: 2}),
		"overlapping pool":       blocks(conv, graph.MaxPool{Size: 2, Stride: 1}),
		"residual":               blocks(graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 3, Padding: 1}}, Activation: "relu"}),
		"another residual":       blocks(graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 3, Padding: 1}}, Activation: "tanh"}),
		"linear":                 blocks(graph.Flatten{}, graph.Linear{Units: 3, Activation: "relu"}),
		"linear, no bias":        blocks(graph.Flatten{}, graph.Linear{Units: 3, Activation: "relu", NoBias: true}),
		"a constant":             func(b *graph.Builder) *graph.Node { return b.Node(gorgonia.Add(b.Constant(1), blocks(conv)(b))) },
		"another constant":       func(b *graph.Builder) *graph.Node { return b.Node(gorgonia.Add(b.Constant(2), blocks(conv)(b))) },
		"another operation":      func(b *graph.Builder) *graph.Node { return b.Node(gorgonia.Sub(b.Constant(2), blocks(conv)(b))) },
		"other operands":         func(b *graph.Builder) *graph.Node { return b.Node(gorgonia.Sub(blocks(conv)(b), b.Constant(2))) },
		"a large constant":       large(1),
		"another large constant": large(2),
		"described": func(b *graph.Builder) *graph.Node {
			b.Describe("mine", struct{ Slope float64 }{2})
			return blocks(conv)(b)
		},
	}
	seen := map[string]string{}
	for name, draw := range drawings {
		structure := func(seed uint64) string {
			program, err := graph.Build(graph.NewWeights(graph.Float32, seed), graph.Training, func(b *graph.Builder) graph.Outputs {
				y := draw(b)
				return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(b.Reshape(b.Node(gorgonia.Square(y)), y.Shape().TotalSize()))), "y": y}
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer program.Close()
			return program.Structure()
		}
		first := structure(1)
		threads := graph.Threads()
		graph.SetThreads(threads + 1)
		graph.SetWinograd(false)
		if second := structure(2); first != second {
			t.Errorf("%s: found the structures %s and %s of one drawing", name, first, second)
		}
		graph.SetThreads(threads)
		graph.SetWinograd(true)
		if same, ok := seen[first]; ok {
			t.Errorf("%s and %s have one structure", name, same)
		}
		seen[first] = name
	}
}
