package graph

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

// doubled is y = 2x; it panics at 13.
type doubled[T Float] struct{}

func (*doubled[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		if v == 13 {
			panic("13 is not doubled")
		}
		y[i] = 2 * v
	}
}

func (*doubled[T]) Backward(_, _ [][]T, _, _ []T) {}

func double(b *Builder, x *Node) *Node {
	return b.Apply("double", x.Shape().Clone(), &doubled[float32]{}, &doubled[float64]{}, x)
}

// Functions alone run in sequence; a graph with an operation of Gorgonia's own
// runs on its machine, and gives the same.
func TestSequence(t *testing.T) {
	for name, draw := range map[string]func(b *Builder) Outputs{
		"functions": func(b *Builder) Outputs {
			x := b.Input("x", 2)
			y := double(b, x)
			return Outputs{"x": x, "y": y, "z": double(b, y)}
		},
		"stock": func(b *Builder) Outputs {
			x := b.Input("x", 2)
			y := double(b, x)
			return Outputs{"x": x, "y": y, "z": b.Node(gorgonia.Add(y, y))}
		},
	} {
		program, err := Build(NewWeights(Float32, 1), Evaluation, draw)
		if err != nil {
			t.Fatal(err)
		}
		if _, sequential := program.machine.(*sequence); sequential != (name == "functions") {
			t.Errorf("%s: the machine is a %T", name, program.machine)
		}
		for _, x := range [][]float32{{1, 2}, {3, 4}, {5, 6}} {
			if err := program.Set("x", x); err != nil {
				t.Fatal(err)
			}
			if err := program.Run(); err != nil {
				t.Fatal(err)
			}
			for output, factor := range map[string]float32{"x": 1, "y": 2, "z": 4} {
				got, err := program.Float32s(output)
				if err != nil || got[0] != factor*x[0] || got[1] != factor*x[1] {
					t.Errorf("%s: %s of %v is %v, %v", name, output, x, got, err)
				}
			}
			program.Reset()
			if _, err := program.Float32s("y"); err == nil {
				t.Errorf("%s: an output after Reset", name)
			}
		}
		program.Set("x", []float32{13, 1})
		if err := program.Run(); err == nil || !strings.Contains(err.Error(), "double: panic: 13 is not doubled (internal_test.go:20)") {
			t.Errorf("%s: found error %v, want one that names the function", name, err)
		}
		program.Set("x", []float32{1, 1})
		if err := program.Run(); err != nil {
			t.Errorf("%s: after an error: %v", name, err)
		}
		program.Close()
	}
}

// Whatever form an operation returns a value in, its elements are read in
// row-major order.
func TestElementsOfAnyValue(t *testing.T) {
	matrix := func() *tensor.Dense {
		return tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	}
	transposed := matrix()
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	columns, err := matrix().Slice(nil, gorgonia.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	scalar := gorgonia.F64(7)
	for name, test := range map[string]struct {
		value    gorgonia.Value
		expected []float64
	}{
		"matrix":             {matrix(), []float64{1, 2, 3, 4, 5, 6}},
		"transposed view":    {transposed, []float64{1, 4, 2, 5, 3, 6}},
		"view of columns":    {columns.(*tensor.Dense), []float64{2, 3, 5, 6}},
		"scalar":             {&scalar, []float64{7}},
		"tensor of shape ()": {tensor.New(tensor.FromScalar(8.)), []float64{8}},
	} {
		wide, err := float64s(test.value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.expected, wide); diff != "" {
			t.Errorf("%s (-expected +found):\n%s", name, diff)
		}
		if _, err := elements[float32](test.value); err == nil {
			t.Errorf("%s: elements of float64 were read as float32", name)
		}
	}
}

// AllowWrongOperations lets Build accept the operations of Gorgonia's own that are
// wrong until the test ends, for tests that show what is wrong with them.
func AllowWrongOperations(t testing.TB) {
	refuse := refuseOperations
	refuseOperations = func(*gorgonia.ExprGraph) error { return nil }
	t.Cleanup(func() { refuseOperations = refuse })
}

// plus is y = x₁ + x₂.
type plus[T Float] struct{}

func (*plus[T]) Forward(y []T, x ...[]T) {
	for i := range y {
		y[i] = x[0][i] + x[1][i]
	}
}

func (*plus[T]) Backward(dx, _ [][]T, _, dy []T) {
	copy(dx[0], dy)
	copy(dx[1], dy)
}

// scaled is y = w·x with a weight of one element.
type scaled[T Float] struct{}

func (*scaled[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		y[i] = x[1][0] * v
	}
}

func (*scaled[T]) Backward(dx, x [][]T, _, dy []T) {
	dx[1][0] = 0
	for i, g := range dy {
		dx[1][0] += g * x[0][i]
		if dx[0] != nil {
			dx[0][i] = x[1][0] * g
		}
	}
}

// Results and gradients that are needed no more leave their memory to others, which changes
// neither the outputs nor those that are kept.
func TestMemoryIsReused(t *testing.T) {
	const layers = 12
	draw := func(b *Builder) Outputs {
		x := b.Input("x", 100)
		y, kept := x, x
		for i := range layers {
			w := b.Scope(blockName("layer", i), func() *Node { return b.Weight("weight", Gain, Constant(1.5), 1) })
			before := y
			y = b.Apply("scaled", x.Shape().Clone(), &scaled[float32]{}, &scaled[float64]{}, y, w)
			if i%3 == 2 { // a residual block
				y = b.Apply("plus", x.Shape().Clone(), &plus[float32]{}, &plus[float64]{}, y, before)
			}
			if i == 4 {
				kept = y
			}
		}
		cost := b.Node(gorgonia.Sum(y))
		if b.mode == Evaluation {
			return Outputs{"kept": kept, "y": y}
		}
		return Outputs{Cost: cost}
	}
	backings := map[*float32]bool{}
	weights := NewWeights(Float32, 1)
	program, err := Build(weights, Evaluation, func(b *Builder) Outputs {
		outputs := draw(b)
		t.Cleanup(func() {
			for _, node := range b.calculated {
				backings[&b.calculations[node].(*functionCall[float32]).output.backing[0]] = true
			}
			if len(backings) > 6 {
				t.Errorf("%d results have %d arrays of memory, expected at most 6", len(b.calculated), len(backings))
			}
		})
		return outputs
	})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 100)
	for i := range x {
		x[i] = float32(i) / 100
	}
	for range 3 {
		if err := program.Set("x", x); err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		factor, at := float32(1), map[string]float32{}
		for i := range layers {
			before := factor
			if factor *= 1.5; i%3 == 2 {
				factor += before
			}
			if i == 4 {
				at["kept"] = factor
			}
		}
		at["y"] = factor
		for name, factor := range at {
			got, err := program.Float32s(name)
			if err != nil || math.Abs(float64(got[70]/(factor*x[70])-1)) > 1e-5 {
				t.Errorf("%s: found %v, %v, expected %v", name, got[70], err, factor*x[70])
			}
		}
	}

	var gradientBuffers map[*Node]shareable
	training, err := Build(weights, Training, func(b *Builder) Outputs {
		gradientBuffers = b.gradients
		return draw(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	var first []float64
	for range 3 {
		if err := training.Set("x", x); err != nil {
			t.Fatal(err)
		}
		if err := training.Run(); err != nil {
			t.Fatal(err)
		}
		var gradients []float64
		for _, p := range training.Parameters() {
			g, err := p.Elements()
			if err != nil {
				t.Fatal(err)
			}
			gradients = append(gradients, g...)
		}
		if first == nil {
			first = gradients
		}
		if diff := cmp.Diff(first, gradients); diff != "" {
			t.Errorf("the gradients of equal runs differ: %s", diff)
		}
	}
	// The cost is Σx times the product of the layers' factors, w or, in a residual block, w + 1.
	for i, g := range first {
		want := 0.0
		for _, v := range x {
			want += float64(v)
		}
		for k := range layers {
			switch {
			case k == i:
			case k%3 == 2:
				want *= 2.5
			default:
				want *= 1.5
			}
		}
		if math.Abs(g/want-1) > 1e-5 {
			t.Errorf("the gradient of weight %d is %v, expected %v", i, g, want)
		}
	}
	shared, size := 0, 0
	for _, g := range gradientBuffers {
		if a := g.(*buffer[float32]).shared; a != nil {
			shared, size = shared+1, a.size
		}
	}
	// All but those of the weights. At the end of the forward pass the operands of all layers are
	// needed; then each gradient finds the place of a result.
	if shared != len(gradientBuffers)-layers || size > (layers+layers/3+2)*112 {
		t.Errorf("of %d gradients %d share %d elements of memory with the results, expected %d and at most %d",
			len(gradientBuffers), shared, size, len(gradientBuffers)-layers, (layers+layers/3+2)*112)
	}
}

// Spans that are needed at the same position do not overlap, and little memory is wasted.
func TestArrange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := make([]span, rapid.IntRange(0, 20).Draw(t, "spans"))
		for i := range spans {
			size := rapid.IntRange(0, 100).Draw(t, "elements")
			first := rapid.IntRange(0, 20).Draw(t, "first")
			spans[i] = span{memory: newBuffer[float32](tensor.Shape{size}), first: first, last: first + rapid.IntRange(0, 10).Draw(t, "length")}
		}
		size, needed := arrange(spans), 0
		for position := range 31 {
			here := 0
			for i, s := range spans {
				if s.first > position || position > s.last {
					continue
				}
				here += (s.memory.elements() + 15) / 16 * 16
				for _, other := range spans[:i] {
					if other.first <= position && position <= other.last && s.offset < other.offset+other.memory.elements() && other.offset < s.offset+s.memory.elements() {
						t.Fatalf("position %d: %+v and %+v overlap", position, s, other)
					}
				}
			}
			needed = max(needed, here)
		}
		if size > 2*needed {
			t.Errorf("found %d elements, expected at most twice the %d that are needed at one position", size, needed)
		}
	})
}

// An operation that runs out of order is an error, because its memory may be in use.
func TestOperationsRunInTheOrderOfTheirMemory(t *testing.T) {
	state := &runState{}
	for _, test := range []struct {
		position int
		fails    bool
	}{{3, false}, {7, false}, {5, true}, {7, true}, {8, false}} {
		if err := state.inOrder(&operation{name: "it", position: test.position}); (err != nil) != test.fails {
			t.Errorf("position %d: found %v", test.position, err)
		}
	}
}

// In training, a convolution and a max pool after it are one operation. Its results, gradients and running statistics,
// the structure of the graph and the masks of dropout are those of two.
func TestConvolveAndPool(t *testing.T) {
	norm := Conv{Filters: 5, Kernel: 3, Stride: 2, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu"}
	plain := Conv{Filters: 6, Kernel: 2, Activation: "relu6"}
	for name, c := range map[string]struct {
		blocks     []Block
		operations []string
	}{
		"padded":          {[]Block{norm, MaxPool{Size: 3, Stride: 2, Padding: 1}, Dropout{Rate: 0.5}}, []string{"maxpool1", "dropout1"}},
		"without a norm":  {[]Block{MaxPool{Size: 2, Stride: 1}, plain, MaxPool{Size: 2}}, []string{"maxpool1", "maxpool2"}},
		"inside":          {[]Block{Residual{Body: []Block{norm, MaxPool{Size: 2}}, Shortcut: []Block{MaxPool{Size: 5, Stride: 4, Padding: 1}, Conv{Filters: 5, Kernel: 1}}}}, []string{"residual1.maxpool1", "residual1.shortcut.maxpool1", "residual1.shortcut.conv1", "residual1"}},
		"a stride of one": {[]Block{norm, MaxPool{Size: 2, Stride: 1}}, []string{"conv1", "maxpool1"}},
		"SiLU":            {[]Block{Conv{Filters: 5, Kernel: 3, Activation: "silu"}, MaxPool{Size: 2}}, []string{"conv1", "maxpool1"}},
		"pooled already":  {[]Block{Conv{Filters: 5, Kernel: 3, Pool: 2}, MaxPool{Size: 2}}, []string{"conv1", "maxpool1"}},
	} {
		for _, frozen := range []bool{false, true} {
			shape := []int{3, 11, 12, 2}
			structure, operations, values := runTraining(t, c.blocks, shape, true, frozen, false)
			wantStructure, _, want := runTraining(t, c.blocks, shape, true, frozen, true)
			if structure != wantStructure {
				t.Errorf("%s: found the structure %s, want %s", name, structure, wantStructure)
			}
			if diff := cmp.Diff(c.operations, operations); diff != "" {
				t.Errorf("%s: operations (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(want, values, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(a)) })); diff != "" {
				t.Errorf("%s, frozen %t: (-want +got):\n%s", name, frozen, diff)
			}
		}
	}
}

// A pool that does not suit the result of a convolution is reported as its own mistake.
func TestConvolveAndPoolRefuses(t *testing.T) {
	_, err := Build(NewWeights(Float64, 1), Training, func(b *Builder) Outputs {
		return Outputs{"y": b.Sequence([]Block{Conv{Filters: 5, Kernel: 3}, MaxPool{Size: 3}}, b.Input("x", 1, 4, 4, 2))}
	})
	if err == nil || !strings.Contains(err.Error(), "maxpool1: pool window 3×3 is larger than its 2×2 input") {
		t.Errorf("found error %v, expected that of the pool", err)
	}
}

// Gradients of a node that several operations read are added up by the engine, in memory of any of them; what it does not
// add itself Gorgonia adds.
func TestEngineAdds(t *testing.T) {
	numbers := func(begin, step float64, shape ...int) *tensor.Dense {
		data := make([]float64, tensor.Shape(shape).TotalSize())
		for i := range data {
			data[i] = begin + step*float64(i)
		}
		return newDense(data, shape)
	}
	for name, c := range map[string]struct {
		a, b    *tensor.Dense
		options func(a, b *tensor.Dense) []tensor.FuncOpt
		want    func(i int) float64
	}{
		"other memory": {numbers(1, 2, 3, 3000), numbers(5, 1, 3, 3000), func(a, b *tensor.Dense) []tensor.FuncOpt {
			return []tensor.FuncOpt{tensor.WithReuse(numbers(7, 1, 3, 3000))}
		}, func(i int) float64 { return 6 + 3*float64(i) }},
		"the first": {numbers(1, 2, 9000), numbers(5, 1, 9000), func(a, b *tensor.Dense) []tensor.FuncOpt {
			return []tensor.FuncOpt{tensor.WithReuse(a)}
		}, func(i int) float64 { return 6 + 3*float64(i) }},
		"the second": {numbers(1, 2, 9000), numbers(5, 1, 9000), func(a, b *tensor.Dense) []tensor.FuncOpt {
			return []tensor.FuncOpt{tensor.WithReuse(b)}
		}, func(i int) float64 { return 6 + 3*float64(i) }},
		"added to": {numbers(1, 2, 9000), numbers(5, 1, 9000), func(a, b *tensor.Dense) []tensor.FuncOpt {
			return []tensor.FuncOpt{tensor.WithIncr(numbers(7, 1, 9000))}
		}, func(i int) float64 { return 13 + 4*float64(i) }},
		"new memory": {numbers(1, 2, 9000), numbers(5, 1, 9000), func(a, b *tensor.Dense) []tensor.FuncOpt {
			return nil
		}, func(i int) float64 { return 6 + 3*float64(i) }},
	} {
		sum, err := engine{}.Add(c.a, c.b, c.options(c.a, c.b)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, v := range sum.Data().([]float64) {
			if v != c.want(i) {
				t.Errorf("%s: element %d is %v, expected %v", name, i, v, c.want(i))
				break
			}
		}
	}
	if _, err := (engine{}).Add(numbers(1, 2, 3), numbers(1, 2, 4)); err == nil {
		t.Error("arrays of different lengths: found no error")
	}
}
