package graph_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/testutil"
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
		"no trainable weights": {func(b *graph.Builder) graph.Outputs { return sum(b, b.Input("x", 2)) }, []string{"no trainable weights"}},
		"a cost of two":        {func(b *graph.Builder) graph.Outputs { return graph.Outputs{graph.Cost: weight(b, "w", 2)} }, []string{"cost", "(2)", "scalar"}},
		"no cost":              {func(b *graph.Builder) graph.Outputs { return graph.Outputs{"y": weight(b, "w", 2)} }, []string{`"cost"`}},
		"no output":            {func(b *graph.Builder) graph.Outputs { return nil }, []string{"no output"}},
		"an output of nil":     {func(b *graph.Builder) graph.Outputs { return graph.Outputs{"y": nil} }, []string{`output "y" is nil`}},
		"a block of nil":       {block(nil, 2, 3), []string{"net", "block 1", "nil"}},
		"a block that panics":  {block(panicking{}, 2, 3), []string{"net.panicking1", "broken block"}},
		"unlike operands": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Node(gorgonia.Add(weight(b, "x", 2), weight(b, "y", 3))))
		}, []string{"hape mismatch"}},

		"convolution of vectors":     {block(graph.Conv{Filters: 2, Kernel: 3}, 2, 3), []string{"net.conv1", "(2, 3)", "height"}},
		"a window too large":         {block(graph.Conv{Filters: 2, Kernel: 6}, image...), []string{"net.conv1", "6×6", "5×5"}},
		"no filters":                 {block(graph.Conv{Kernel: 3}, image...), []string{"net.conv1", "filters"}},
		"no kernel":                  {block(graph.Conv{Filters: 2}, image...), []string{"net.conv1", "kernel"}},
		"negative padding":           {block(graph.Conv{Filters: 2, Kernel: 3, Padding: -1}, image...), []string{"net.conv1", "padding"}},
		"two kinds of padding":       {block(graph.Conv{Filters: 2, Kernel: 3, Padding: 1, SamePadding: true}, image...), []string{"net.conv1", "padding 1", "same padding"}},
		"indivisible channels":       {block(graph.Conv{Filters: 4, Kernel: 3, Groups: 2}, image...), []string{"net.conv1", "2 groups", "3 channels"}},
		"indivisible filters":        {block(graph.Conv{Filters: 4, Kernel: 3, Groups: 3}, image...), []string{"net.conv1", "3 groups", "4 filters"}},
		"negative groups":            {block(graph.Conv{Filters: 2, Kernel: 3, Groups: -2}, image...), []string{"net.conv1", "groups is -2"}},
		"unknown activation":         {block(graph.Conv{Filters: 2, Kernel: 3, Activation: "swish"}, image...), []string{"net.conv1", `"swish"`, "relu6, hardsigmoid, hardswish, silu or gelu"}},
		"the identity by name":       {block(graph.Activate{Function: "identity"}, image...), []string{"net.identity1", `"identity"`}},
		"padding of a whole window":  {block(graph.MaxPool{Size: 3, Padding: 2}, image...), []string{"net.maxpool1", "padding is 2", "half of the pool size of 3"}},
		"a negative epsilon":         {block(graph.BatchNorm{Epsilon: -1}, image...), []string{"net.batchnorm1", "epsilon of -1"}},
		"an epsilon of NaN":          {block(graph.Conv{Filters: 2, Kernel: 3, BatchNorm: true, Epsilon: math.NaN()}, image...), []string{"net.conv1", "epsilon of NaN"}},
		"a momentum above 1":         {block(graph.BatchNorm{Momentum: 1.5}, image...), []string{"net.batchnorm1", "momentum of 1.5", "at most 1"}},
		"gem of vectors":             {block(graph.GeM{}, 2, 3), []string{"net.gem1", "(2, 3)"}},
		"gem of exponent -1":         {block(graph.GeM{Exponent: -1}, image...), []string{"net.gem1", "exponent of -1"}},
		"layer norm of an infinity":  {block(graph.LayerNorm{Epsilon: math.Inf(1)}, image...), []string{"net.layernorm1", "epsilon of +Inf"}},
		"an infinite scale":          {block(graph.Scale{Initial: math.Inf(1)}, image...), []string{"net.scale1", "+Inf"}},
		"squeezing to nothing":       {block(graph.SqueezeExcite{}, image...), []string{"net.squeezeexcite1", "0 channels"}},
		"a gate with weights":        {block(graph.SqueezeExcite{Channels: 2, Gate: "prelu"}, image...), []string{"net.squeezeexcite1", "prelu"}},
		"dropping every body":        {block(graph.Residual{Drop: 1}, image...), []string{"net.residual1", "probability of 1"}},
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
			return sum(b, b.PairedDistances(graph.Euclidean, weight(b, "x", 2, 3), weight(b, "y", 2, 4), nil))
		}, []string{"(2, 3)", "(2, 4)"}},
		"products of unlike rows": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.Products(weight(b, "x", 2, 3), weight(b, "y", 2, 4)))
		}, []string{"products", "(2, 3)", "(2, 4)"}},
		"a weighted Euclidean distance": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.PairwiseDistances(graph.Euclidean, weight(b, "x", 2, 3), weight(b, "x", 2, 3), weight(b, "w", 3)))
		}, []string{"Manhattan"}},
		"a distance weight too short": {func(b *graph.Builder) graph.Outputs {
			return sum(b, b.PairwiseDistances(graph.Manhattan, weight(b, "x", 2, 3), weight(b, "x", 2, 3), weight(b, "w", 2)))
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
	if err == nil || !strings.Contains(err.Error(), "no trainable weights") {
		t.Errorf("everything frozen: found error %v", err)
	}
	if len(weights.All()) != 4 {
		t.Error("the failed build took weights away")
	}
}

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
		testutil.LimitAllocations(t, 16<<20, func() {
			_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, test.draw)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: found error %v, expected %q", name, err, test.want)
			}
		})
	}
}

// forbidden are the functions of Gorgonia that are wrong, with what to use in
// their place.
var forbidden = map[string]string{
	"Reshape":             "Builder.Reshape: it shares memory with its source",
	"Dropout":             "graph.Dropout: its gradient divides by p in place of 1 − p",
	"LogSumExp":           "a stable sum of its own: it computes log(sum + max)",
	"GlobalAveragePool2D": "graph.GlobalAveragePool: it cannot be differentiated",
	"AveragePool2D":       "graph.AveragePool: its gradient is wrong",
	"InverseSqrt":         "Pow or Sqrt: its gradient is wrong",
	"Log2":                "Log: its gradient is wrong",
	"BinaryXent":          "cross-entropy of logits: it is not stable",
	"Softplus":            "Builder.Softplus: it is cut off above 16",
	"Sigmoid":             "Builder.Sigmoid: it is cut off above 19",
	"NewConstant":         "Builder.Constant or Builder.Input: tensors whose abbreviated text is the same are merged",
}

// allowed is what this package may use all the same: it makes scalars alone.
const allowed = "NewConstant"

// The module's code uses none of them.
func TestForbiddenFunctions(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "benchmarks" || name == "testdata" || len(name) > 2 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		for _, use := range forbiddenUses(t, path, nil) {
			name := use[strings.LastIndex(use, ".")+1:]
			if name == allowed && filepath.Dir(path) == filepath.Join("..", "graph") {
				continue
			}
			t.Errorf("%s: use %s", use, forbidden[name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("found %d files of the module, expected more than 20", files)
	}
}

// The search knows the functions under any name of the package.
func TestForbiddenUses(t *testing.T) {
	source := `package p
		import G "gorgonia.org/gorgonia"
		import "gorgonia.org/tensor"
		func f(x *G.Node, y *tensor.Dense) {
			y.Reshape(2)
			tensor.Reshape(y)
			G.Must(G.Sub(x, G.Must(G.Dropout(x, 0.5))))
			G.Must(apply(G.InverseSqrt, x))
			G.NewConstant(y)
		}`
	expected := []string{"p.go:7:27: G.Dropout", "p.go:8:17: G.InverseSqrt", "p.go:9:4: G.NewConstant"}
	if diff := cmp.Diff(expected, forbiddenUses(t, "p.go", source)); diff != "" {
		t.Error(diff)
	}
}

// forbiddenUses finds where a file, or its source if that is given, uses a
// forbidden function.
func forbiddenUses(t *testing.T, path string, source any) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	version := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == `"gorgonia.org/gorgonia"` {
			version = "gorgonia"
			if spec.Name != nil {
				version = spec.Name.Name
			}
		}
	}
	var uses []string
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if ok && version != "" && name.Name == version && forbidden[selector.Sel.Name] != "" {
			uses = append(uses, files.Position(selector.Pos()).String()+": "+name.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return uses
}
