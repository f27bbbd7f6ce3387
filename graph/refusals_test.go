package graph_test

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// Build refuses, in words that help, what Gorgonia would get wrong in silence
// or answer with a panic.
func TestBuildRefuses(t *testing.T) {
	sum := func(b *graph.Builder, x *graph.Node) graph.Outputs {
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(x))}
	}
	block := func(block graph.Block, shape ...int) func(*graph.Builder) graph.Outputs {
		return func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Scope("net", func() *graph.Node { return b.Sequence([]graph.Block{block}, weight(b, "x", shape...)) }))
		}
	}
	image := []int{2, 5, 5, 3}
	tests := map[string]struct {
		draw     func(b *graph.Builder) graph.Outputs
		expected []string
	}{
		"two inputs of one name": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Node(gorgonia.Add(b.Input("x", 2), b.Input("x", 2))))
		}, []string{`input "x"`, "twice"}},
		"input without shape":    {func(b *graph.Builder) graph.Outputs { return sum(b, b.Input("x")) }, []string{`input "x"`, "()"}},
		"input of no elements":   {func(b *graph.Builder) graph.Outputs { return sum(b, b.Input("x", 2, 0)) }, []string{`input "x"`, "(2, 0)"}},
		"weight without shape":   {func(b *graph.Builder) graph.Outputs { return sum(b, weight(b, "w")) }, []string{`weight "w"`, "()"}},
		"weight of no elements":  {func(b *graph.Builder) graph.Outputs { return sum(b, weight(b, "w", 0, 2)) }, []string{`weight "w"`, "(0, 2)"}},
		"weight of an odd shape": {func(b *graph.Builder) graph.Outputs { return sum(b, weight(b, "w", -1, 2)) }, []string{`weight "w"`, "(-1, 2)"}},
		// The names were found by search: their 32-bit hashes are equal.
		"two nodes of one hash": {func(b *graph.Builder) graph.Outputs {
			x := b.Node(gorgonia.Add(b.Input("fumkubwqo", 2), b.Input("dbheejame", 2)))
			return sum(b, b.Node(gorgonia.Add(x, weight(b, "w", 2))))
		}, []string{"input:fumkubwqo", "input:dbheejame", "same hash"}},
		"two slices of one hash": {func(b *graph.Builder) graph.Outputs {
			x := weight(b, "x", 3, 512)
			left, right := b.Node(gorgonia.Slice(x, nil, gorgonia.S(0, 256))), b.Node(gorgonia.Slice(x, nil, gorgonia.S(256, 512)))
			return sum(b, b.Node(gorgonia.Sub(left, right)))
		}, []string{"slice of an axis of 512"}},
		"one name with two shapes": {func(b *graph.Builder) graph.Outputs {
			weight(b, "w", 2, 3)
			return sum(b, weight(b, "w", 3, 2))
		}, []string{`weight "w"`, "(2, 3)", "(3, 2)"}},
		"one name with two roles": {func(b *graph.Builder) graph.Outputs {
			weight(b, "w", 2)
			return sum(b, b.Weight("w", graph.Buffer, graph.Constant(1), 2))
		}, []string{`weight "w"`, "bias", "buffer"}},
		"unknown initial scheme": {block(graph.Linear{Units: 2, Weight: graph.Initializer{Scheme: "orthogonal"}}, 2, 3),
			[]string{"net.linear1", `"orthogonal"`, "he, xavier"}},
		"a weight the cost does not depend on": {func(b *graph.Builder) graph.Outputs {
			b.Sequence([]graph.Block{graph.Linear{Units: 2}}, b.Input("x", 2, 3))
			return sum(b, weight(b, "used", 2))
		}, []string{"no gradient reaches linear1.weight, linear1.bias", "freeze"}},
		"a weight behind a comparison": {func(b *graph.Builder) graph.Outputs {
			mask := b.Node(gorgonia.Gt(weight(b, "hidden", 2), b.Constant(0), true))
			return sum(b, b.Node(gorgonia.HadamardProd(mask, weight(b, "x", 2))))
		}, []string{"hidden"}},
		"nothing to learn":    {func(b *graph.Builder) graph.Outputs { return sum(b, b.Input("x", 2)) }, []string{"nothing to learn"}},
		"a cost of two":       {func(b *graph.Builder) graph.Outputs { return graph.Outputs{graph.Cost: weight(b, "w", 2)} }, []string{"cost", "(2)", "scalar"}},
		"no cost":             {func(b *graph.Builder) graph.Outputs { return graph.Outputs{"y": weight(b, "w", 2)} }, []string{`"cost"`}},
		"no output":           {func(b *graph.Builder) graph.Outputs { return nil }, []string{"no output"}},
		"an output of nil":    {func(b *graph.Builder) graph.Outputs { return graph.Outputs{"y": nil} }, []string{`output "y" is nil`}},
		"a block of nil":      {block(nil, 2, 3), []string{"net", "block 1", "nil"}},
		"a block that panics": {block(panicking{}, 2, 3), []string{"net.panicking1", "broken block"}},
		"unlike operands": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Node(gorgonia.Add(weight(b, "x", 2), weight(b, "y", 3))))
		}, []string{"hape mismatch"}},

		"convolution of vectors":     {block(graph.Conv{Filters: 2, Kernel: 3}, 2, 3), []string{"net.conv1", "(2, 3)", "height"}},
		"a window too large":         {block(graph.Conv{Filters: 2, Kernel: 6}, image...), []string{"net.conv1", "6×6", "5×5"}},
		"no filters":                 {block(graph.Conv{Kernel: 3}, image...), []string{"net.conv1", "filters"}},
		"no kernel":                  {block(graph.Conv{Filters: 2}, image...), []string{"net.conv1", "kernel"}},
		"negative padding":           {block(graph.Conv{Filters: 2, Kernel: 3, Padding: -1}, image...), []string{"net.conv1", "padding"}},
		"unknown activation":         {block(graph.Conv{Filters: 2, Kernel: 3, Activation: "gelu"}, image...), []string{"net.conv1", `"gelu"`}},
		"linear of images":           {block(graph.Linear{Units: 2}, image...), []string{"net.linear1", "flatten"}},
		"no units":                   {block(graph.Linear{}, 2, 3), []string{"net.linear1", "0 units"}},
		"flatten of vectors":         {block(graph.Flatten{}, 2, 3), []string{"net.flatten1", "(2, 3)"}},
		"a pool too large":           {block(graph.MaxPool{Size: 6}, image...), []string{"net.maxpool1", "6×6"}},
		"a pool of no size":          {block(graph.AveragePool{}, image...), []string{"net.averagepool1", "size"}},
		"dropout of all":             {block(graph.Dropout{Rate: 1}, 2, 3), []string{"net.dropout1", "rate of 1"}},
		"batch norm of one value":    {block(graph.BatchNorm{}, 1, 3), []string{"net.batchnorm1", "found 1"}},
		"batch norm of three axes":   {block(graph.BatchNorm{}, 2, 3, 4), []string{"net.batchnorm1", "(2, 3, 4)"}},
		"normalize of images":        {block(graph.Normalize{}, image...), []string{"net.normalize1", "(batch, features)"}},
		"unequal body and shortcut":  {block(graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 3}}}, image...), []string{"net.residual1", "(2, 3, 3, 2)", "(2, 5, 5, 3)"}},
		"an error deep in a network": {block(graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 9}}}, image...), []string{"net.residual1.conv1: convolution: kernel 9×9"}},
		"distances of unlike rows": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.PairDistances(graph.Euclidean, weight(b, "x", 2, 3), weight(b, "y", 2, 4), nil))
		}, []string{"(2, 3)", "(2, 4)"}},
		"a weighted Euclidean distance": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.AllDistances(graph.Euclidean, weight(b, "x", 2, 3), weight(b, "w", 3)))
		}, []string{"Manhattan"}},
		"a distance weight too short": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.AllDistances(graph.Manhattan, weight(b, "x", 2, 3), weight(b, "w", 2)))
		}, []string{"(2)", "(3)"}},
		"a function of two nodes": {func(b *graph.Builder) graph.Outputs {
			x, function := weight(b, "x", 2), &shift[float64]{by: 1}
			once := b.Apply("shift", x.Shape(), nil, function, x)
			return sum(b, b.Apply("again", x.Shape(), nil, function, once))
		}, []string{"again", "another node"}},
		"a reshape to another size": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Reshape(weight(b, "x", 2, 3), 4))
		}, []string{"(2, 3)", "(4)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			weights := graph.NewWeights(graph.Float64, 1)
			program, err := graph.Build(weights, graph.Training, test.draw)
			if err == nil || program != nil {
				t.Fatalf("found %v and error %v, expected an error and no program", program, err)
			}
			for _, part := range append(test.expected, "build graph: ") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("found error %q, expected it to contain %q", err, part)
				}
			}
			if n := len(weights.All()); n != 0 {
				t.Errorf("the failed build left %d weights behind", n)
			}
		})
	}
}

type panicking struct{}

func (panicking) Kind() string                                       { return "panicking" }
func (panicking) Apply(*graph.Builder, int, *graph.Node) *graph.Node { panic("broken block") }

// Frozen weights are constants: they get no gradient, and the rest learns.
func TestFrozenWeights(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	draw := func(b *graph.Builder) graph.Outputs {
		y := b.Sequence([]graph.Block{graph.Linear{Units: 3, Activation: "tanh"}, graph.Linear{Units: 2}}, b.Input("x", 2, 4))
		return graph.Outputs{graph.Cost: sumOfSquares(b, y)}
	}
	learning := build(t, weights, graph.Training, draw)
	set(t, learning, values{"x": normal(8, "x")})
	run(t, learning)
	all := gradients(t, learning)

	if err := weights.Freeze("linear1"); err != nil {
		t.Fatal(err)
	}
	partly := build(t, weights, graph.Training, draw)
	set(t, partly, values{"x": normal(8, "x")})
	run(t, partly)
	expectEqual(t, "gradients", gradients(t, partly), values{"linear2.weight": all["linear2.weight"], "linear2.bias": all["linear2.bias"]})

	if err := weights.Freeze("linear2"); err != nil {
		t.Fatal(err)
	}
	_, err := graph.Build(weights, graph.Training, draw)
	if err == nil || !strings.Contains(err.Error(), "nothing to learn") {
		t.Errorf("everything frozen: found error %v", err)
	}
	if len(weights.All()) != 4 {
		t.Error("the failed build took weights away")
	}
}
