package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/tensor"
)

// pointwise and separate are the convolutions of inverted residuals.
func pointwise(filters int, activation string) Conv {
	return Conv{Filters: filters, Kernel: 1, NoBias: true, BatchNorm: true, Activation: activation}
}

func separate(channels, kernel, stride int, activation string) Conv {
	return Conv{Filters: channels, Kernel: kernel, Stride: stride, Padding: kernel / 2, Groups: channels, BatchNorm: true, Activation: activation}
}

// Blocks that are an inverted residual are computed together, a convolution is with the sum after it, and
// nothing else is. Values that
// are outputs of the program prevent that, so the same network with all of them as outputs gives
// the expected results.
func TestCombine(t *testing.T) {
	residual := Residual{Body: []Block{pointwise(36, "relu6"), separate(36, 5, 1, "relu6"), pointwise(12, "")}}
	for name, c := range map[string]struct {
		blocks []Block
		calls  []string // the last block of each calculation
	}{
		"whole":               {[]Block{pointwise(30, "relu6"), separate(30, 3, 2, "relu6"), pointwise(12, "")}, []string{"conv3"}},
		"residual":            {[]Block{pointwise(12, ""), residual}, []string{"conv1", "residual1"}},
		"separable":           {[]Block{separate(8, 3, 1, "relu"), pointwise(12, "relu"), separate(12, 3, 2, "relu"), pointwise(20, "relu")}, []string{"conv2", "conv4"}},
		"an activated sum":    {[]Block{Residual{Body: []Block{pointwise(24, "relu"), separate(24, 3, 1, "relu"), pointwise(8, "")}, Activation: "relu"}}, []string{"residual1.conv3", "residual1_relu"}},
		"another shortcut":    {[]Block{Residual{Body: []Block{pointwise(24, "relu"), separate(24, 3, 1, "relu"), pointwise(9, "")}, Shortcut: []Block{pointwise(9, "")}}}, []string{"residual1.conv3", "residual1.shortcut.conv1", "residual1"}},
		"SiLU":                {[]Block{pointwise(24, "silu"), separate(24, 3, 1, "silu"), pointwise(8, "")}, []string{"conv1", "conv2", "conv3"}},
		"SiLU only before":    {[]Block{pointwise(24, "silu"), separate(24, 3, 1, "relu"), pointwise(8, "")}, []string{"conv1", "conv3"}},
		"a layer between":     {[]Block{pointwise(24, "relu"), separate(24, 3, 1, "relu"), SqueezeExcite{Channels: 3}, pointwise(8, "")}, []string{"conv1", "conv2", "squeezeexcite1", "conv3"}},
		"a shared expansion":  {[]Block{pointwise(24, "relu"), Residual{Body: []Block{separate(24, 3, 1, "relu"), pointwise(24, "")}}}, []string{"conv1", "residual1"}},
		"a sum":               {[]Block{Residual{Body: []Block{pointwise(24, "relu"), pointwise(8, "")}, Activation: "relu"}}, []string{"residual1.conv1", "residual1_relu"}},
		"a sum, shortcut":     {[]Block{Residual{Body: []Block{Conv{Filters: 16, Kernel: 3, Padding: 1, BatchNorm: true}}, Shortcut: []Block{pointwise(16, "")}}}, []string{"residual1.shortcut.conv1", "residual1"}},
		"a sum of SiLU":       {[]Block{Residual{Body: []Block{pointwise(8, "")}, Activation: "silu"}}, []string{"residual1.conv1", "residual1_silu"}},
		"an activated body":   {[]Block{Residual{Body: []Block{pointwise(8, "relu")}, Activation: "relu"}}, []string{"residual1.conv1", "residual1_relu"}},
		"without a depthwise": {[]Block{pointwise(24, "relu"), Conv{Filters: 24, Kernel: 3, Padding: 1, Groups: 2}, pointwise(8, "")}, []string{"conv1", "conv2", "conv3"}},
	} {
		for _, dtype := range []tensor.Dtype{Float32, Float64} {
			weights := NewWeights(dtype, 1)
			build := func(all bool) *Program {
				program, err := Build(weights, Evaluation, func(b *Builder) Outputs {
					outputs := Outputs{"y": b.Sequence(c.blocks, b.Input("x", 6, 13, 12, 8))}
					for i, node := range b.calculated {
						if all && node != outputs["y"] {
							outputs[fmt.Sprint("layer ", i)] = node
						}
					}
					return outputs
				})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return program
			}
			whole, separated := build(false), build(true)
			names := func(p *Program) (names []string) {
				for _, call := range p.machine.(*sequence).calls {
					names = append(names, call.name)
				}
				return names
			}
			if got := names(whole); !slices.Equal(got, c.calls) {
				t.Errorf("%s: found the calls %q, want %q", name, got, c.calls)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for run := range 3 {
				x := make([]float64, 6*13*12*8)
				for i := range x {
					x[i] = random.NormFloat64()
				}
				if run == 2 { // all weights have changed
					for _, w := range weights.All() {
						values := make([]float64, w.Value.Shape().TotalSize())
						for i := range values {
							values[i] = random.Float64() + 0.1
						}
						store(w.Value, values)
					}
					weights.Changed()
				}
				var results [2][]float64
				for i, p := range []*Program{whole, separated} {
					if err := p.Set("x", x); err != nil {
						t.Fatal(err)
					}
					if err := p.Run(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					var err error
					if results[i], err = p.Get("y"); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(results[0], results[1]) {
					t.Errorf("%s, %v, run %d: the results differ from those of the blocks one after the other", name, dtype, run)
				}
			}
			whole.Close()
			separated.Close()
		}
	}
}

// In training, the last convolution of a residual block and the sum are one operation. Its results, gradients and running
// statistics, the structure of the graph and the masks of dropout are those of the two.
func TestCombineTraining(t *testing.T) {
	body := []Block{Conv{Filters: 8, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu"}, pointwise(8, "")}
	shortcut := []Block{Conv{Filters: 8, Kernel: 3, Padding: 1}, Dropout{Rate: 0.5}}
	for name, c := range map[string]struct {
		blocks     []Block
		operations []string
	}{
		"relu":              {[]Block{Residual{Body: body, Activation: "relu"}}, []string{"residual1.conv1", "residual1_relu"}},
		"two blocks":        {[]Block{Residual{Body: body, Activation: "relu6"}, Residual{Body: body}, Dropout{Rate: 0.5}}, []string{"residual1.conv1", "residual1_relu6", "residual2.conv1", "residual2", "dropout1"}},
		"a shortcut":        {[]Block{Residual{Body: body, Shortcut: shortcut, Activation: "relu", Pool: 2}}, []string{"residual1.conv1", "residual1.shortcut.conv1", "residual1.shortcut.dropout1", "residual1_relu", "maxpool1"}},
		"one convolution":   {[]Block{Residual{Body: body[1:]}}, []string{"residual1"}},
		"an inverted body":  {[]Block{Residual{Body: []Block{pointwise(24, "relu6"), Conv{Filters: 24, Kernel: 3, Padding: 1, Groups: 24, NoBias: true, BatchNorm: true}, pointwise(8, "")}, Activation: "relu"}}, []string{"residual1.conv3", "residual1_relu"}},
		"SiLU":              {[]Block{Residual{Body: body, Activation: "silu"}}, []string{"residual1.conv1", "residual1.conv2", "residual1_silu"}},
		"PReLU":             {[]Block{Residual{Body: body, Activation: "prelu"}}, []string{"residual1.conv1", "residual1.conv2", "residual1_prelu"}},
		"an activated body": {[]Block{Residual{Body: body[:1], Activation: "relu"}}, []string{"residual1.conv1", "residual1_relu"}},
		"a drop":            {[]Block{Residual{Body: body, Drop: 0.5}}, []string{"residual1.conv1", "residual1.conv2", "residual1.drop", "residual1"}},
		"a block after it":  {[]Block{Residual{Body: append(body[:2:2], Activate{Function: "relu"})}}, []string{"residual1.conv1", "residual1.conv2", "residual1.relu1", "residual1"}},
		"a pool":            {[]Block{Residual{Body: body[:1], Shortcut: []Block{Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, Pool: 1}}}}, []string{"residual1.conv1", "residual1.shortcut.conv1", "residual1"}},
	} {
		for _, frozen := range []bool{false, true} {
			shape := []int{3, 6, 7, 8}
			structure, operations, values := runTraining(t, c.blocks, shape, true, frozen, false)
			wantStructure, separate, want := runTraining(t, c.blocks, shape, true, frozen, true)
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
