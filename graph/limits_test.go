package graph_test

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/allocated"
)

// What a few numbers ask for is refused before memory is taken for it.
func TestBuildRefusesWhatTakesTooMuch(t *testing.T) {
	image := func(blocks ...graph.Block) func(b *graph.Builder) graph.Outputs {
		return func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"result": b.Sequence(blocks, b.Input("images", 1, 8, 8, 1))}
		}
	}
	for name, test := range map[string]struct {
		draw func(b *graph.Builder) graph.Outputs
		want string
	}{
		"an input": {func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"result": b.Input("images", 1<<20, 1<<20, 1<<20, 1<<20)}
		}, `input "images": shape`},
		"a weight": {image(graph.Flatten{}, graph.Linear{Units: 1 << 23}), `weight "linear1.weight": shape`},
		"weights together": {func(b *graph.Builder) graph.Outputs {
			b.Weight("first", graph.Bias, graph.Constant(0), 1<<10)
			return graph.Outputs{"result": b.Weight("second", graph.Bias, graph.Constant(0), 1<<28)}
		}, `weight "second": 268435456 elements and the 1024 of the weights before it`},
		"a border":    {image(graph.Conv{Filters: 1, Kernel: 1, Padding: 1 << 20}), "the input with its padding"},
		"an overflow": {image(graph.Conv{Filters: 1, Kernel: 1, Padding: 1<<63 - 1}), "padding is 9223372036854775807"},
		"a result":    {image(graph.Conv{Filters: 1 << 20, Kernel: 1, Padding: 1 << 6}), "the convolution's result"},
		"filters":     {image(graph.Conv{Filters: 1<<63 - 1, Kernel: 1}), "filters is 9223372036854775807"},
		"a window":    {image(graph.MaxPool{Size: 2, Stride: 1 << 62}), "pool stride is"},
	} {
		allocated.Limit(t, 16<<20, func() {
			_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, test.draw)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: found error %v, expected %q", name, err, test.want)
			}
		})
	}
}
