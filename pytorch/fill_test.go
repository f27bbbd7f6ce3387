package pytorch_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
)

// byLayer maps every layer of the network to its number.
func byLayer() pytorch.Mapping {
	var m pytorch.Mapping
	for _, layer := range sequential {
		if layer != "" {
			m.Sources = append(m.Sources, pytorch.Source{Weight: layer, Tensor: numbered(layer)})
		}
	}
	return m
}

// Tensors that the network has no place for are ignored, and weights that the
// file does not have stay as they are, a head's unasked.
func TestIgnoreAndInitial(t *testing.T) {
	theirs, ours := newModel(t, network, heads.L2{}, "theirs"), newModel(t, network, heads.WeightedL1{}, "ours")
	before := slices.Clone(ours.Weights.Get("linear2.weight").Value.Float32s())
	tensors := tensorsOf(theirs, numbered)
	tensors = append(tensors, safetensors.Tensor{Name: "classifier.0.weight", Shape: []int{1}, Data: []float32{1}})
	mapping := byLayer()
	mapping.Ignore, mapping.Initial = []string{"classifier", "10.weight"}, []string{"linear2.weight"}
	if err := write(t, tensors...).Fill(ours, mapping); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, ours.Weights.Get("linear2.weight").Value.Float32s()); diff != "" {
		t.Errorf("linear2.weight is changed (-before +after):\n%s", diff)
	}
	for _, name := range []string{"linear2.bias", "conv1.weight", "norm1.running_var"} {
		if diff := cmp.Diff(theirs.Weights.Get(name).Value.Float32s(), ours.Weights.Get(name).Value.Float32s()); diff != "" {
			t.Errorf("%s (-file +model):\n%s", name, diff)
		}
	}
}

// One slope, PyTorch's usual PReLU, is the slope of all channels; numbers of
// float64 are rounded.
func TestOneSlopeAndFloat64(t *testing.T) {
	tensors := tensorsOf(newModel(t, network, heads.L2{}, "theirs"), numbered)
	for i := range tensors {
		switch tensors[i].Name {
		case numbered("conv2_prelu") + ".weight":
			tensors[i].Shape, tensors[i].Data = []int{1}, []float32{0.125}
		case numbered("linear2") + ".bias":
			tensors[i].Data = []float64{0.1, 0.2}
		}
	}
	model, file := newModel(t, network, heads.L2{}, "ours"), write(t, tensors...)
	mapping, err := file.Derive(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Fill(model, mapping); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{
		"conv2_prelu.weight": {0.125, 0.125, 0.125, 0.125, 0.125},
		"linear2.bias":       {0.1, 0.2},
	} {
		if diff := cmp.Diff(want, model.Weights.Get(name).Value.Float32s()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What does not fit is said with the file, the tensor and the weight, and leaves
// the model as it was.
func TestFillErrors(t *testing.T) {
	all := tensorsOf(newModel(t, network, heads.L2{}, "theirs"), numbered)
	with := func(change func(*pytorch.Mapping)) pytorch.Mapping {
		m := byLayer()
		change(&m)
		return m
	}
	first := func(source pytorch.Source) pytorch.Mapping {
		return with(func(m *pytorch.Mapping) { m.Sources[0] = source })
	}
	change := func(name string, change func(*safetensors.Tensor)) []safetensors.Tensor {
		tensors := slices.Clone(all)
		change(&tensors[slices.IndexFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == name })])
		return tensors
	}
	fromTOML, err := pytorch.ParseMapping("[weights]\nconf1 = \"0\"\n", "mapping.toml")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		mapping pytorch.Mapping
		tensors []safetensors.Tensor
		want    []string
	}{
		"unknown layer":  {fromTOML, all, []string{`mapping.toml: unknown layer "conf1": did you mean "conv1"?`}},
		"unknown weight": {first(pytorch.Source{Weight: "conv1.wieght", Tensor: "0.weight"}), all, []string{`did you mean "conv1.weight"?`}},
		"unknown tensor": {first(pytorch.Source{Weight: "conv1.weight", Tensor: "10.weihgt"}), all, []string{"their.safetensors", `for weight "conv1.weight": unknown tensor "10.weihgt": did you mean "10.weight"?`}},
		"no weight":      {with(func(m *pytorch.Mapping) { m.Sources = m.Sources[1:] }), all, []string{`no tensor is mapped to weight "conv1.weight" (4, 3, 3, 3)`}},
		"twice":          {with(func(m *pytorch.Mapping) { m.Sources = append(m.Sources, m.Sources[0]) }), all, []string{`"conv1.weight" is mapped twice`}},
		"both":           {with(func(m *pytorch.Mapping) { m.Sources[0].Weight += ".weight"; m.Initial = []string{"conv1"} }), all, []string{`"conv1.weight" is mapped and initial`}},
		"tensor":         {byLayer(), append(slices.Clone(all), safetensors.Tensor{Name: "fc.bias", Shape: []int{2}, Data: []float32{1, 2}}), []string{"their.safetensors", `tensor "fc.bias" (2) is mapped to no weight`}},
		"ignored":        {with(func(m *pytorch.Mapping) { m.Ignore = []string{"4"} }), all, []string{`tensor "4.bias" is mapped and ignored`}},
		"no match":       {with(func(m *pytorch.Mapping) { m.Ignore = []string{"fc*"} }), all, []string{`ignore: pattern "fc*" matches none of`}},
		"pattern":        {with(func(m *pytorch.Mapping) { m.Initial = []string{"["} }), all, []string{`initial: pattern "["`}},
		"shape":          {byLayer(), change("4.weight", func(t *safetensors.Tensor) { t.Shape = []int{2, 2, 4, 5} }), []string{"their.safetensors", `tensor "4.weight" for weight "conv2.weight"`, "layout hwio would", "found shape (2, 2, 4, 5), expected (5, 4, 2, 2)"}},
		"integers":       {byLayer(), change("4.bias", func(t *safetensors.Tensor) { t.Data = []int64{1, 2, 3, 4, 5} }), []string{`"4.bias" for weight "conv2.bias"`, "[]int64"}},
		"two slopes":     {byLayer(), change("5.weight", func(t *safetensors.Tensor) { t.Shape, t.Data = []int{2}, []float32{1, 2} }), []string{`"conv2_prelu.weight"`, "found shape (2), expected (5)"}},
	}
	for name, test := range tests {
		model := newModel(t, network, heads.L2{}, "ours")
		err := write(t, test.tensors...).Fill(model, test.mapping)
		expectError(t, name, err, test.want...)
		expectSame(t, newModel(t, network, heads.L2{}, "ours"), model)
	}
}

// A number that is not finite, as float32 at least, is refused with the file, the
// tensor, the weight and the index, and nothing is changed.
func TestFillRefusesWhatIsNotFinite(t *testing.T) {
	for name, test := range map[string]struct {
		data any
		want string
	}{
		"NaN":                {[]float32{0, float32(math.NaN())}, "value 1 is NaN"},
		"infinity":           {[]float32{float32(math.Inf(-1)), 0}, "value 0 is -Inf"},
		"NaN of float64":     {[]float64{0, math.NaN()}, "value 1 is NaN"},
		"beyond float32":     {[]float64{1e300, 0}, "value 0 is +Inf"},
		"infinity of double": {[]float64{0, math.Inf(1)}, "value 1 is +Inf"},
	} {
		tensors := tensorsOf(newModel(t, network, heads.L2{}, "theirs"), numbered)
		for i := range tensors {
			if tensors[i].Name == numbered("linear2")+".bias" {
				tensors[i].Data = test.data
			}
		}
		model, file := newModel(t, network, heads.L2{}, "ours"), write(t, tensors...)
		before := tensorsOf(model, numbered)
		err := file.Fill(model, byLayer())
		for _, part := range []string{test.want, `weight "linear2.bias"`, `tensor "10.bias"`, ".safetensors"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: found %v, expected %q", name, err, part)
			}
		}
		if diff := cmp.Diff(before, tensorsOf(model, numbered)); diff != "" {
			t.Errorf("%s: the model has changed:\n%s", name, diff)
		}
	}
}

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
		"of flattened images": {"(hwc)o", "found no flatten block directly before the layer"},
		"of the other order":  {"io", "found shape (2, 3), expected (3, 2)"},
	} {
		model := newModel(t, pooled, heads.L2{}, "ours")
		file := write(t, tensorsOf(model, func(string) string { return "fc" })...)
		err := file.Fill(model, pytorch.Mapping{Sources: []pytorch.Source{{Weight: "linear1", Tensor: "fc", Layout: test.layout}}})
		expectError(t, name, err, `tensor "fc.weight" for weight "linear1.weight"`, test.want)
	}
}
