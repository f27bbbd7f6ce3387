package pytorch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// publish gives the network toy published names for the time of the test.
func publish(t *testing.T) {
	t.Helper()
	before := publishedNames
	t.Cleanup(func() { publishedNames = before })
	publishedNames = func(name string) (map[string]string, error) {
		if name != "toy" {
			return nil, errors.New("found no published weights")
		}
		return map[string]string{
			"conv1": "features.0", "norm1": "features.1", "residual1.conv1": "features.2.conv",
			"batchnorm1.weight": "features.3.gain", "batchnorm1.bias": "features.3.shift",
			"batchnorm1.running_mean": "features.3.mean", "batchnorm1.running_var": "features.3.var",
		}, nil
	}
}

// toyModel is a model of the published network toy with a layer of its own at the end.
func toyModel(t *testing.T, name string) *likeness.Model {
	t.Helper()
	network := backbone.Network{Name: name, Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Blocks: []graph.Block{
		graph.Conv{Filters: 2, Kernel: 1, NoBias: true, BatchNorm: true, Activation: "relu"},
		graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 1}}},
		graph.BatchNorm{},
		graph.GlobalAveragePool{},
		graph.Linear{Units: 3},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// toyState is a state dict of the published network, in which the convolution of the
// residual block is a fully connected layer and one batch norm has shape (2, 1, 1).
func toyState(without ...string) []byte {
	storage := float32Bytes(1, 2, 3, 4, 5, 6, 7, 8)
	state := dictionary{
		{"features.0.weight", floats("0", 8, 0, tuple{2, 1, 1, 1}, tuple{1, 1, 1, 1})},
		{"features.1.weight", floats("0", 8, 2, tuple{2}, tuple{1})}, {"features.1.bias", floats("0", 8, 3, tuple{2}, tuple{1})},
		{"features.1.running_mean", floats("0", 8, 4, tuple{2}, tuple{1})}, {"features.1.running_var", floats("0", 8, 5, tuple{2}, tuple{1})},
		{"features.2.conv.weight", floats("0", 8, 0, tuple{2, 2}, tuple{2, 1})}, {"features.2.conv.bias", floats("0", 8, 6, tuple{2}, tuple{1})},
		{"features.3.gain", floats("0", 8, 1, tuple{2, 1, 1}, tuple{1, 1, 1})}, {"features.3.shift", floats("0", 8, 2, tuple{2}, tuple{1})},
		{"features.3.mean", floats("0", 8, 3, tuple{2}, tuple{1})}, {"features.3.var", floats("0", 8, 4, tuple{2}, tuple{1})},
		{"classifier.1.weight", floats("0", 8, 0, tuple{5, 1000}, tuple{0, 0})}, {"classifier.1.bias", floats("0", 8, 0, tuple{5}, tuple{1})},
	}
	state = slices.DeleteFunc(state, func(p pair) bool { return slices.Contains(without, p.key.(string)) })
	return legacyCheckpoint(legacyState(state), sequence{"0"}, storage)
}

// legacyState adds what persistent ids have in the legacy format.
func legacyState(state dictionary) dictionary {
	for i := range state {
		arguments := state[i].value.(called).arguments.(tuple)
		arguments[0] = append(arguments[0].(id), nil)
	}
	return state
}

func openToy(t *testing.T, content []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "toy.pth")
	testutil.Write(t, path, string(content))
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Published weights find their layers by the published names. A layer that the published
// network lacks keeps its initial values, the classifier is ignored, and dimensions of 1 at
// the end of a shape make no difference.
func TestDeriveByPublishedNames(t *testing.T) {
	publish(t)
	model, file := toyModel(t, "toy"), openToy(t, toyState())
	initial := slices.Clone(model.Weights.Get("linear1.weight").Value.Float32s())
	mapping, err := file.Derive(model)
	if err != nil {
		t.Fatal(err)
	}
	want := `ignore = ["classifier.1"]
initial = ["linear1.bias", "linear1.weight"]

[weights]
norm1 = "features.1"
conv1 = "features.0"
residual1.conv1 = "features.2.conv"
batchnorm1.bias = "features.3.shift"
batchnorm1.running_mean = "features.3.mean"
batchnorm1.running_var = "features.3.var"
batchnorm1.weight = "features.3.gain"
`
	if diff := cmp.Diff(want, mapping.TOML()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := file.Fill(model, mapping); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{
		"conv1.weight": {1, 2}, "norm1.running_var": {6, 7}, "residual1.conv1.weight": {1, 2, 3, 4}, "batchnorm1.weight": {2, 3}, "linear1.weight": initial,
	} {
		if diff := cmp.Diff(want, model.Weights.Get(name).Value.Float32s()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A file that lacks one of the names is an error that says which. A file of other names,
// or another network, is mapped as any other.
func TestDeriveRefusesOtherNames(t *testing.T) {
	publish(t)
	for name, test := range map[string]struct {
		network string
		file    []byte
		want    []string
	}{
		"a tensor less":   {"toy", toyState("features.1.bias"), []string{"toy.pth", `found no tensor "features.1.bias", which published weights of toy have`, "write one"}},
		"another network": {"toys", toyState(), []string{`"features.0" is not a name within one torch.nn.Sequential`, "write one"}},
		"other names": {"toy", legacyCheckpoint(legacyState(dictionary{{"a.weight", floats("0", 2, 0, tuple{2}, tuple{1})}}), sequence{"0"}, float32Bytes(1, 2)),
			[]string{"none of the names that published weights of toy have", "is not a name within one torch.nn.Sequential", "write one"}},
	} {
		_, err := openToy(t, test.file).Derive(toyModel(t, test.network))
		for _, text := range test.want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: found the error %v, expected %q", name, err, text)
			}
		}
	}
}

// A claim of many elements, which strides of 0 allow, is compared with the weight before
// they are copied.
func TestFillComparesShapesFirst(t *testing.T) {
	publish(t)
	model := toyModel(t, "toy")
	file := openToy(t, toyState())
	mapping, err := file.Derive(model)
	if err != nil {
		t.Fatal(err)
	}
	huge := file.find("features.1.bias")
	huge.Shape = []int{1 << 30, 1 << 10}
	huge.Data.(*view).shape = huge.Shape
	testutil.LimitAllocations(t, 1<<16, func() {
		if err := file.Fill(model, mapping); err == nil || !strings.Contains(err.Error(), "found shape (1073741824, 1024), expected (2)") {
			t.Errorf("found the error %v", err)
		}
	})
}
