package pytorch_test

import (
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
)

// Tensors of other layouts are brought into order: a convolution on images of 5×4
// pixels in 3 channels, whose 2 maps of 3×2 are flattened channels last.
func TestLayouts(t *testing.T) {
	const in, out, kernel, height, width, units = 3, 2, 3, 3, 2, 4
	network := backbone.Network{Name: "test", Size: imaging.Size{Height: 5, Width: 4, Channels: in}, Blocks: []graph.Block{
		graph.Conv{Filters: out, Kernel: kernel}, graph.Flatten{}, graph.Dropout{Rate: 0.5}, graph.Linear{Units: units}, graph.Linear{Units: 2},
	}}
	theirs := newModel(t, network, heads.L2{}, "theirs")
	conv := theirs.Weights.Get("conv1.weight").Value.Float32s()
	linear := theirs.Weights.Get("linear1.weight").Value.Float32s()
	last := theirs.Weights.Get("linear2.weight").Value.Float32s()

	hwio, ohwi := make([]float32, len(conv)), make([]float32, len(conv))
	for o := range out {
		for i := range in {
			for h := range kernel {
				for w := range kernel {
					v := conv[((o*in+i)*kernel+h)*kernel+w]
					hwio[((h*kernel+w)*in+i)*out+o] = v
					ohwi[((o*kernel+h)*kernel+w)*in+i] = v
				}
			}
		}
	}
	const features = out * height * width
	unitsLast, unitsFirst := make([]float32, len(linear)), make([]float32, len(linear))
	for u := range units {
		for c := range out {
			for h := range height {
				for w := range width {
					v := linear[u*features+(c*height+h)*width+w]
					unitsLast[((h*width+w)*out+c)*units+u] = v
					unitsFirst[u*features+(h*width+w)*out+c] = v
				}
			}
		}
	}
	transposed := make([]float32, len(last))
	for o := range 2 {
		for i := range units {
			transposed[i*2+o] = last[o*units+i]
		}
	}

	square := []int{kernel, kernel, in, out}
	for name, test := range map[string]struct{ conv, linear, last layout }{
		"TensorFlow": {layout{"hwio", square, hwio}, layout{"(hwc)o", []int{features, units}, unitsLast}, layout{"io", []int{units, 2}, transposed}},
		"MLX":        {layout{"ohwi", []int{out, kernel, kernel, in}, ohwi}, layout{"o(hwc)", []int{units, features}, unitsFirst}, layout{"oi", []int{2, units}, last}},
		"PyTorch":    {layout{"oihw", []int{out, in, kernel, kernel}, conv}, layout{"oi", []int{units, features}, linear}, layout{"", []int{2, units}, last}},
	} {
		t.Run(name, func(t *testing.T) {
			var mapping pytorch.Mapping
			var tensors []safetensors.Tensor
			for layer, l := range map[string]layout{"conv1": test.conv, "linear1": test.linear, "linear2": test.last} {
				mapping.Sources = append(mapping.Sources, pytorch.Source{Weight: layer, Tensor: layer + "/kernel", Layout: l.axes})
				bias := theirs.Weights.Get(layer + ".bias").Value
				tensors = append(tensors,
					safetensors.Tensor{Name: layer + "/kernel.weight", Shape: l.shape, Data: l.data},
					safetensors.Tensor{Name: layer + "/kernel.bias", Shape: bias.Shape(), Data: bias.Float32s()})
			}
			ours := newModel(t, network, heads.L2{}, "ours")
			if err := write(t, tensors...).Fill(ours, mapping); err != nil {
				t.Fatal(err)
			}
			expectSame(t, theirs, ours)
		})
	}
}

// layout is a weight as another framework has it.
type layout struct {
	axes  string
	shape []int
	data  []float32
}

// A layout of another kind of weight is refused, and one of flattened images
// where none were flattened.
func TestLayoutErrors(t *testing.T) {
	pooled := backbone.Network{Name: "pooled", Size: imaging.Size{Height: 2, Width: 2, Channels: 3}, Blocks: []graph.Block{
		graph.GlobalAveragePool{}, graph.Linear{Units: 2, NoBias: true},
	}}
	for name, test := range map[string]struct{ layout, want string }{
		"of a convolution":    {"hwio", "of another kind of weight: this one has shape (2, 3)"},
		"of flattened images": {"(hwc)o", "no flatten block comes directly before the layer"},
		"of the other order":  {"io", "found shape (2, 3), expected (3, 2)"},
	} {
		model := newModel(t, pooled, heads.L2{}, "ours")
		file := write(t, tensorsOf(model, func(string) string { return "fc" })...)
		err := file.Fill(model, pytorch.Mapping{Sources: []pytorch.Source{{Weight: "linear1", Tensor: "fc", Layout: test.layout}}})
		expectError(t, name, err, `tensor "fc.weight" for weight "linear1.weight"`, test.want)
	}
}
