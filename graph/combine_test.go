package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

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
