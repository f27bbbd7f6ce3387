package heads_test

import (
	"slices"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

func TestNamed(t *testing.T) {
	var names []string
	for _, head := range all {
		names = append(names, head.Name())
		if found, err := heads.Named(head.Name()); err != nil || found != head {
			t.Errorf("Named(%q) = %v, %v", head.Name(), found, err)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, heads.Names) {
		t.Errorf("Names are %q, the heads have %q", heads.Names, names)
	}
	_, err := heads.Named("cosin")
	want := `unknown head "cosin": did you mean "cosine"? There are cosine, l1, l2, signed-weighted-l1, squared-l2, weighted-l1`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, want %s", err, want)
	}
}

// Shapes that do not fit are errors of Build, for every head and form.
func TestShapesAreChecked(t *testing.T) {
	for _, head := range all {
		for name, draw := range map[string]func(b *graph.Builder) *graph.Node{
			"rows differ":     func(b *graph.Builder) *graph.Node { return head.Paired(b, b.Input("x", 2, 3), b.Input("y", 3, 3)) },
			"features differ": func(b *graph.Builder) *graph.Node { return head.Paired(b, b.Input("x", 2, 3), b.Input("y", 2, 4)) },
			"pairwise features differ": func(b *graph.Builder) *graph.Node {
				return head.Pairwise(b, b.Input("x", 2, 3), b.Input("y", 2, 4))
			},
			"images": func(b *graph.Builder) *graph.Node {
				x := b.Input("x", 2, 3, 3, 1)
				return head.Pairwise(b, x, x)
			},
		} {
			program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
				return graph.Outputs{"distance": draw(b)}
			})
			if err == nil {
				program.Close()
				t.Errorf("%s, %s: built without an error", head.Name(), name)
			}
		}
	}
}
