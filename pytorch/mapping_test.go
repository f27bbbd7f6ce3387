package pytorch_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
)

// Names with dots are read with quotes and without, and what is written is read
// again.
func TestParseMapping(t *testing.T) {
	const text = `ignore = ["classifier", "*.extra"]
initial = ["linear1"]

[weights]
batchnorm1 = "features.1"
conv1.weight = "features.0.weight"
"conv1.bias" = "features.0.bias"
linear2 = { name = "fc", layout = "io" }
residual1.shortcut.conv1.weight = { name = "down" }
`
	want := pytorch.Mapping{
		Ignore: []string{"classifier", "*.extra"}, Initial: []string{"linear1"},
		Sources: []pytorch.Source{
			{Weight: "batchnorm1", Tensor: "features.1"},
			{Weight: "conv1.weight", Tensor: "features.0.weight"},
			{Weight: "conv1.bias", Tensor: "features.0.bias"},
			{Weight: "linear2", Tensor: "fc", Layout: "io"},
			{Weight: "residual1.shortcut.conv1.weight", Tensor: "down"},
		},
	}
	for _, text := range []string{text, want.TOML()} {
		found, err := pytorch.ParseMapping(text, "mapping.toml")
		if err != nil {
			t.Fatal(err)
		}
		byName := cmpopts.SortSlices(func(a, b pytorch.Source) bool { return a.Weight < b.Weight })
		if diff := cmp.Diff(want, found, byName, cmpopts.IgnoreUnexported(pytorch.Mapping{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestParseMappingErrors(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"syntax":         {"= 3\n", "line 1"},
		"table":          {"[weight]\n", `did you mean "weights"?`},
		"no table":       {"weights = 3\n", "expected a table"},
		"number":         {"[weights]\nconv1 = 3\n", "conv1: found 3, expected a name in quotes"},
		"unknown key":    {"[weights]\nconv1 = { name = \"0\", layuot = \"io\" }\n", `conv1: unknown key "layuot": did you mean "layout"?`},
		"unknown layout": {"[weights]\nconv1 = { name = \"0\", layout = \"ohiw\" }\n", `conv1: unknown layout "ohiw": did you mean "ohwi"?`},
		"no text":        {"[weights]\nconv1 = { name = \"0\", layout = 3 }\n", `unknown layout "3"`},
	} {
		_, err := pytorch.ParseMapping(test.text, "mapping.toml")
		expectError(t, name, err, "mapping.toml: ", test.want)
	}
}

// The weights of a Sequential find their places by order, whatever stands before
// its numbers: 10 comes after 9, and counters are passed over.
func TestDeriveByOrder(t *testing.T) {
	want := newModel(t, network, heads.L2{}, "theirs")
	for name, rename := range map[string]func(layer string) string{
		"numbers":         numbered,
		"within a module": func(layer string) string { return "module.features." + numbered(layer) },
		"a Sequential within": func(layer string) string {
			return map[bool]string{true: "0.", false: "1."}[len(numbered(layer)) == 1] + numbered(layer)
		},
		"names of the network": func(layer string) string { return layer },
	} {
		t.Run(name, func(t *testing.T) {
			tensors := tensorsOf(want, rename)
			tensors = append(tensors, safetensors.Tensor{Name: rename("norm1") + ".num_batches_tracked", Data: []int64{7}})
			file, found := write(t, tensors...), newModel(t, network, heads.L2{}, "ours")
			mapping, err := file.Derive(found)
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Fill(found, mapping); err != nil {
				t.Fatal(err)
			}
			expectSame(t, want, found)
		})
	}
}

func TestDerivedMapping(t *testing.T) {
	model := newModel(t, network, heads.WeightedL1{}, "theirs")
	tensors := tensorsOf(newModel(t, network, heads.L2{}, "theirs"), numbered)
	mapping, err := write(t, tensors...).Derive(model)
	if err != nil {
		t.Fatal(err)
	}
	want := `[weights]
conv1 = "0"
norm1 = "1"
conv2 = "4"
conv2_prelu = "5"
batchnorm1 = "7"
linear1 = "8"
linear1_prelu = "9"
linear2 = "10"
`
	if diff := cmp.Diff(want, mapping.TOML()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Where a mapping is in doubt it is not guessed, and the error says what differs.
func TestDeriveRefusals(t *testing.T) {
	residual := backbone.Network{Name: "residual", Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Blocks: []graph.Block{
		graph.Conv{Filters: 1, Kernel: 1}, graph.Residual{Body: []graph.Block{graph.Conv{Filters: 1, Kernel: 1}}}, graph.Flatten{},
	}}
	all := tensorsOf(newModel(t, network, heads.L2{}, "theirs"), numbered)
	change := func(name string, change func(*safetensors.Tensor)) []safetensors.Tensor {
		tensors := slices.Clone(all)
		change(&tensors[slices.IndexFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == name })])
		return tensors
	}
	without := func(names ...string) []safetensors.Tensor {
		return slices.DeleteFunc(slices.Clone(all), func(t safetensors.Tensor) bool { return slices.Contains(names, t.Name) })
	}
	tests := map[string]struct {
		network backbone.Network
		tensors []safetensors.Tensor
		want    []string
	}{
		"a word among numbers": {network, change("4.bias", func(t *safetensors.Tensor) { t.Name = "classifier.bias" }), []string{`"classifier" is not a name within one torch.nn.Sequential`}},
		"two lists":            {network, change("4.bias", func(t *safetensors.Tensor) { t.Name = "classifier.4.bias" }), []string{`"classifier.4" is not a name within one`}},
		"no layer":             {network, change("4.bias", func(t *safetensors.Tensor) { t.Name = "bias" }), []string{`"bias" is not a name within one`}},
		"another shape":        {network, change("4.weight", func(t *safetensors.Tensor) { t.Shape = []int{4, 5, 2, 2} }), []string{"layer 3", "4: bias (5), weight (4, 5, 2, 2)", "conv2: bias (5), weight (5, 4, 2, 2)"}},
		"a weight less":        {network, without("4.bias"), []string{"layer 3", "found 4: weight (5, 4, 2, 2)"}},
		"a layer less":         {network, without("10.weight", "10.bias"), []string{"found 7 layers, expected 8", "none for linear2"}},
		"a layer more":         {network, append(slices.Clone(all), safetensors.Tensor{Name: "12.weight", Shape: []int{1}, Data: []float32{1}}), []string{"found 9 layers, expected 8", "12: weight (1)"}},
		"a network that forks": {residual, all, []string{"residual1 is a residual block"}},
	}
	for name, test := range tests {
		_, err := write(t, test.tensors...).Derive(newModel(t, test.network, heads.L2{}, "ours"))
		expectError(t, name, err, append(test.want, "their.safetensors", "write one")...)
	}
}

// A skeleton is a mapping but for the names of the tensors.
func TestSkeleton(t *testing.T) {
	model := newModel(t, network, heads.L2{}, "ours")
	file := write(t, tensorsOf(model, numbered)...)
	text := file.Skeleton(model)
	mapping, err := pytorch.ParseMapping(text, "skeleton.toml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(mapping.Sources) != 8 {
		t.Errorf("found %d lines, want one for each of 8 layers:\n%s", len(mapping.Sources), text)
	}
	for i := range mapping.Sources {
		mapping.Sources[i].Tensor = numbered(mapping.Sources[i].Weight)
	}
	if err := file.Fill(model, mapping); err != nil {
		t.Error(err)
	}
}
