package graph

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Inverted residuals of a training graph are one operation. Its results, gradients and running statistics, the
// structure of the graph and the masks of dropout are those of the layers one by one.
func TestInvertedTraining(t *testing.T) {
	depthwise := func(channels, stride int) Conv {
		c := separate(channels, 3, stride, "relu6")
		c.NoBias = true
		return c
	}
	whole := []Block{pointwise(24, "relu6"), depthwise(24, 1), pointwise(8, "")}
	for name, c := range map[string]struct {
		blocks     []Block
		operations []string
	}{
		"whole":            {append([]Block{depthwise(8, 1)}, whole...), []string{"conv1", "conv4"}},
		"strided":          {[]Block{pointwise(24, "relu6"), depthwise(24, 2), pointwise(8, "")}, []string{"conv3"}},
		"residual":         {[]Block{pointwise(8, ""), Residual{Body: whole}, Dropout{Rate: 0.5}}, []string{"conv1", "residual1.conv3", "dropout1"}},
		"separable":        {[]Block{depthwise(8, 1), pointwise(12, "")}, []string{"conv2"}},
		"a separable sum":  {[]Block{Residual{Body: []Block{depthwise(8, 1), pointwise(8, "")}}}, []string{"residual1.conv2"}},
		"an activated sum": {[]Block{Residual{Body: whole, Activation: "relu"}}, []string{"residual1.conv3", "residual1_relu"}},
		"another shortcut": {[]Block{Residual{Body: whole, Shortcut: []Block{pointwise(8, "")}}}, []string{"residual1.conv3", "residual1.shortcut.conv1", "residual1"}},
		"a longer body":    {[]Block{Residual{Body: append([]Block{pointwise(8, "")}, whole...)}}, []string{"residual1.conv1", "residual1.conv4", "residual1"}},
		"a bias":           {[]Block{pointwise(24, "relu6"), separate(24, 3, 1, "relu6"), pointwise(8, "")}, []string{"conv1", "conv2", "conv3"}},
		"clipped at last":  {[]Block{pointwise(24, "relu6"), depthwise(24, 1), pointwise(8, "relu")}, []string{"conv1", "conv2", "conv3"}},
		"first layer":      {append([]Block{Conv{Filters: 24, Kernel: 2, Stride: 2, NoBias: true, BatchNorm: true, Activation: "relu"}}, whole[1:]...), []string{"conv3"}},
		"SiLU":             {[]Block{pointwise(24, "silu"), depthwise(24, 1), pointwise(8, "")}, []string{"conv1", "conv3"}},
	} {
		for _, frozen := range []bool{false, true} {
			shape := []int{3, 9, 10, 8}
			structure, operations, values := runTraining(t, c.blocks, shape, name != "first layer", frozen, false)
			wantStructure, separate, want := runTraining(t, c.blocks, shape, name != "first layer", frozen, true)
			if structure != wantStructure {
				t.Errorf("%s: found the structure %s, want %s", name, structure, wantStructure)
			}
			expected := c.operations
			if frozen {
				expected = separate
			}
			if diff := cmp.Diff(expected, operations); diff != "" {
				t.Errorf("%s, frozen %t: operations (-want +got):\n%s", name, frozen, diff)
			}
			if diff := cmp.Diff(want, values, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-10*max(1, math.Abs(a)) })); diff != "" {
				t.Errorf("%s, frozen %t: (-want +got):\n%s", name, frozen, diff)
			}
		}
	}
}

// runTraining runs the graph of build once, on random numbers, and returns its structure, the names of its operations, and
// its weights and gradients afterwards.
func runTraining(t *testing.T, blocks []Block, shape []int, variable, frozen, apart bool) (structure string, operations []string, values map[string][]float64) {
	t.Helper()
	weights := NewWeights(Float64, 1)
	if frozen {
		build(t, weights, blocks, shape, variable, apart)
		weights.FreezeStatistics()
	}
	p, operations := build(t, weights, blocks, shape, variable, apart)
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range x {
		x[i] = 1 + random.NormFloat64()
	}
	if err := p.Set("x", x); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	values = map[string][]float64{}
	if variable {
		values["input"] = p.variables["x"].gradients[0].value().Data().([]float64)
	}
	for _, parameter := range p.Parameters() {
		gradient, err := parameter.Elements()
		if err != nil {
			t.Fatal(err)
		}
		values["gradient of "+parameter.Name()] = gradient
	}
	for _, w := range weights.All() {
		values[w.Name] = w.Value.Data().([]float64)
	}
	return p.Structure(), operations, values
}

// build returns a training graph of blocks, of an input or a variable, with the sum of the squares of the result as the cost, and the names of the
// operations of the blocks.
func build(t *testing.T, weights *Weights, blocks []Block, shape []int, variable, apart bool) (p *Program, operations []string) {
	t.Helper()
	p, err := Build(weights, Training, func(b *Builder) Outputs {
		b.apart = apart
		input := b.Input
		if variable { // with a gradient
			input = b.Variable
		}
		y := b.Sequence(blocks, input("x", shape...))
		for _, node := range b.calculated {
			operations = append(operations, node.Op().(*operation).name)
		}
		size := y.Shape().TotalSize()
		y = b.Reshape(y, size)
		return Outputs{Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Square(y))))}
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, operations
}
