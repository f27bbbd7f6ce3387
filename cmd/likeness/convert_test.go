package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/onnx"
)

// saveTheirs writes the weights of an untrained tiny model under other names, and
// returns the model.
func saveTheirs(t *testing.T, path string, names map[string]string) *likeness.Model {
	t.Helper()
	model := saveModel(t, "theirs.safetensors", nil)
	var file safetensors.File
	for _, weight := range model.Weights.All() {
		data := weight.Value.Float32s()
		for i := range data {
			data[i] += 0.25 // biases begin at zero
		}
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: names[weight.Name], Shape: weight.Value.Shape(), Data: data})
	}
	if err := safetensors.WriteFile(path, file); err != nil {
		t.Fatal(err)
	}
	return model
}

var sequentialNames = map[string]string{
	"conv1.weight": "0.weight", "conv1.bias": "0.bias", "linear1.weight": "4.weight", "linear1.bias": "4.bias",
}

// The imported model embeds as the one that the weights are from, and a training
// starts from it.
func TestImport(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	theirs := saveTheirs(t, "weights.safetensors", sequentialNames)
	mapping, _ := tool(t, "import", "weights.safetensors", "--backbone", "tiny.toml", "--out", "model.safetensors", "--mean", "0.5", "--std", "0.25", "--invert", "--head", "cosine")
	if diff := cmp.Diff("[weights]\nconv1 = \"0\"\nlinear1 = \"4\"\n", mapping); diff != "" {
		t.Errorf("mapping (-want +got):\n%s", diff)
	}
	model, err := likeness.Load("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := imaging.Preprocessing{Size: theirs.Preprocessing.Size, Invert: true, Mean: []float64{0.5}, StdDev: []float64{0.25}}
	if diff := cmp.Diff(want, model.Preprocessing); diff != "" || model.Head.Name() != "cosine" {
		t.Errorf("head %s, preprocessing (-want +got):\n%s", model.Head.Name(), diff)
	}
	for _, weight := range theirs.Weights.All() {
		if diff := cmp.Diff(weight.Value.Float32s(), model.Weights.Get(weight.Name).Value.Float32s()); diff != "" {
			t.Errorf("%s (-theirs +imported):\n%s", weight.Name, diff)
		}
	}

	write(t, "mapping.toml", mapping)
	tool(t, "import", "weights.safetensors", "--backbone", "tiny.toml", "--mapping", "mapping.toml", "--out", "again.safetensors", "--mean", "0.5", "--std", "0.25", "--invert", "--head", "cosine")
	if read(t, "again.safetensors") != read(t, "model.safetensors") {
		t.Error("the printed mapping gives another model")
	}
	tool(t, "train", "--data", "bars", "--from", "model.safetensors", "--freeze", "conv1", "--batch", "8", "--epochs", "1", "--out", "run")
	if diff := cmp.Diff(theirs.Weights.Get("conv1.weight").Value.Float32s(), weightsOf(t, "run")["conv1.weight"]); diff != "" {
		t.Errorf("the training does not start from the imported weights:\n%s", diff)
	}
}

// The published weights of a network need its name alone: the layers are found by their
// published names, the classifier is ignored, a layer that the network gets in addition is
// initialized, and the model has the size, the normalization and the distance that the
// weights are used with.
func TestImportPublishedWeights(t *testing.T) {
	inFolder(t)
	network, err := backbone.Named("resnet18", backbone.Options{Size: imaging.Size{Height: 32, Width: 32, Channels: 3}})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: network.Size}, 2)
	if err != nil {
		t.Fatal(err)
	}
	published, err := backbone.PublishedNames("resnet18")
	if err != nil {
		t.Fatal(err)
	}
	file := safetensors.File{Tensors: []safetensors.Tensor{
		{Name: "fc.weight", Shape: []int{2, 512}, Data: make([]float32, 2*512)}, {Name: "fc.bias", Shape: []int{2}, Data: make([]float32, 2)},
	}}
	for _, weight := range theirs.Weights.All() {
		dot := strings.LastIndexByte(weight.Name, '.')
		file.Tensors = append(file.Tensors, safetensors.Tensor{
			Name: published[weight.Name[:dot]] + weight.Name[dot:], Shape: weight.Value.Shape(), Data: weight.Value.Float32s(),
		})
	}
	if err := safetensors.WriteFile("published.safetensors", file); err != nil {
		t.Fatal(err)
	}
	_, said := tool(t, "import", "published.safetensors", "--backbone", "resnet18", "--size", "32x32x3", "--features", "4", "--out", "model.safetensors")
	for _, want := range []string{"ignored, because the network has no such layers: fc\n", "initialized from seed 1, because the published network has no such layers: linear1.bias, linear1.weight\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("found\n%sexpected %q", said, want)
		}
	}
	model, err := likeness.Load("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := imaging.Preprocessing{Size: network.Size, Mean: []float64{0.485, 0.456, 0.406}, StdDev: []float64{0.229, 0.224, 0.225}}
	if diff := cmp.Diff(want, model.Preprocessing); diff != "" || model.Head.Name() != "cosine" {
		t.Errorf("head %s, preprocessing (-want +got):\n%s", model.Head.Name(), diff)
	}
	for _, weight := range theirs.Weights.All() {
		if !slices.Equal(weight.Value.Float32s(), model.Weights.Get(weight.Name).Value.Float32s()) {
			t.Errorf("%s is not the published one", weight.Name)
		}
	}
}

// A checkpoint that torch.save wrote for a training (pytorch/testdata/checkpoints.py) is
// imported without another step in Python; what the network has no layer for is ignored by
// the mapping.
func TestImportCheckpoint(t *testing.T) {
	checkpoint, err := filepath.Abs(filepath.Join("..", "..", "pytorch", "testdata", "training.pth"))
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t)
	write(t, "net.toml", `name = "net"
input = { height = 4, width = 4, channels = 3 }

[[block]]
kind = "conv"
filters = 2
kernel = 2
no_bias = true
batch_norm = true

[[block]]
kind = "flatten"
`)
	write(t, "mapping.toml", `ignore = ["transposed", "part", "whole", "repeated", "double", "half", "brain", "number", "empty", "parameter"]
[weights]
conv1 = "0"
norm1 = "1"
`)
	tool(t, "import", checkpoint, "--backbone", "net.toml", "--mapping", "mapping.toml", "--out", "model.safetensors")
	model, err := likeness.Load("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct{ Values []float32 }
	if err := json.Unmarshal([]byte(read(t, filepath.Dir(checkpoint), "values.json")), &want); err != nil {
		t.Fatal(err)
	}
	for ours, theirs := range map[string]string{"conv1.weight": "0.weight", "norm1.running_mean": "1.running_mean"} {
		if diff := cmp.Diff(want[theirs].Values, model.Weights.Get(ours).Value.Float32s()); diff != "" {
			t.Errorf("%s (-PyTorch +imported):\n%s", ours, diff)
		}
	}
	write(t, "other.pth", "\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.")
	toolFails(t, failure, []string{"other.pth", "a Python pickle of another program"}, "import", "other.pth", "--backbone", "net.toml")
}

// Without a place to write to, the mapping is tried alone; where it is in doubt,
// there is one to fill in.
func TestImportPrintsMappings(t *testing.T) {
	inFolder(t)
	saveTheirs(t, "weights.safetensors", sequentialNames)
	if _, said := tool(t, "import", "weights.safetensors", "--backbone", "tiny.toml"); !strings.Contains(said, "the mapping is complete") {
		t.Errorf("a mapping that fits: %s", said)
	}
	saveTheirs(t, "named.safetensors", map[string]string{
		"conv1.weight": "stem.weight", "conv1.bias": "stem.bias", "linear1.weight": "fc.weight", "linear1.bias": "fc.bias",
	})
	code, skeleton, said := runTool("import", "named.safetensors", "--backbone", "tiny.toml", "--out", "model.safetensors")
	if code != failure || !strings.Contains(said, "write one") || strings.Count(said, "\n") != 1 {
		t.Errorf("a mapping in doubt: exit code %d\n%s", code, said)
	}
	filled := strings.NewReplacer(`conv1 = ""`, `conv1 = "stem"`, `linear1 = ""`, `linear1 = "fc"`).Replace(skeleton)
	write(t, "mapping.toml", filled)
	if _, err := os.Stat("model.safetensors"); err == nil {
		t.Error("a refused import leaves a file behind")
	}
	tool(t, "import", "named.safetensors", "--backbone", "tiny.toml", "--mapping", "mapping.toml", "--out", "model.safetensors")
}

func TestImportRefusals(t *testing.T) {
	inFolder(t)
	saveTheirs(t, "weights.safetensors", sequentialNames)
	write(t, "mapping.toml", "[weights]\nconf1 = \"0\"\n")
	for _, test := range []struct {
		code int
		say  []string
		args []string
	}{
		{failure, []string{"find weights", "missing.safetensors"}, []string{"missing.safetensors", "--backbone", "tiny.toml"}},
		{failure, []string{"tiny.toml", "found a text file, expected a safetensors file"}, []string{"tiny.toml", "--backbone", "tiny.toml"}},
		{failure, []string{"backbone", "conf4"}, []string{"weights.safetensors", "--backbone", "conf4"}},
		{failure, []string{"size", "28x28x1"}, []string{"weights.safetensors", "--backbone", "conv4"}},
		{failure, []string{"size", "channels", "12x12x1"}, []string{"weights.safetensors", "--backbone", "conv4", "--size", "12x12"}},
		{failure, []string{"size", "12x12x1"}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--size", "28x28x1"}},
		{failure, []string{"width", "-1"}, []string{"weights.safetensors", "--backbone", "conv4", "--width=-1"}},
		{failure, []string{"head", "l3"}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--head", "l3"}},
		{failure, []string{"mean has 2 values"}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--mean", "0.5,0.5"}},
		{failure, []string{"mapping.toml", `did you mean "conv1"?`}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--mapping", "mapping.toml"}},
		{failure, []string{"read mapping", "missing.toml"}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--mapping", "missing.toml"}},
		{failure, []string{"weights.safetensors", "layer 1"}, []string{"weights.safetensors", "--backbone", "conv4", "--size", "28x28x1"}},
		{failure, []string{"out", "the file of the weights"}, []string{"weights.safetensors", "--backbone", "tiny.toml", "--out", filepath.Join(".", "weights.safetensors")}},
		{misuse, []string{"--backbone"}, []string{"weights.safetensors"}},
	} {
		toolFails(t, test.code, test.say, append([]string{"import"}, test.args...)...)
	}
}

// The files are those of the library, and the tool says what they take.
func TestExport(t *testing.T) {
	inFolder(t)
	model := saveModel(t, "model.safetensors", nil)
	_, said := tool(t, "export", "--model", "model.safetensors", "--onnx", "network.onnx", "--head", "head.onnx")
	for _, want := range []string{
		"wrote network.onnx: images (batch, 1, 12, 12) to embeddings (batch, 4)",
		"wrote head.onnx: left (batch, 4) and right (batch, 4) to distance (batch)",
		"float32 from 0, black, to 255",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	for path, write := range map[string]func(*likeness.Model) (*onnx.Model, error){"network.onnx": onnx.Network, "head.onnx": onnx.Head} {
		written, err := write(model)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if _, err := written.WriteTo(&want); err != nil {
			t.Fatal(err)
		}
		if read(t, path) != want.String() {
			t.Errorf("%s is another file than the library writes", path)
		}
	}
}

// The zoo's model crops to the foreground, which its export reports.
func TestExportOfTheZoo(t *testing.T) {
	inFolder(t)
	_, said := tool(t, "export", "--onnx", "network.onnx")
	for _, want := range []string{"omniglot: the default", "cut to the ink before", "1.15 times"} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	if files, err := filepath.Glob("*.onnx"); err != nil || len(files) != 1 {
		t.Errorf("found the files %v (%v), want network.onnx alone", files, err)
	}
}

func TestExportRefusals(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	for _, test := range []struct {
		code int
		say  []string
		args []string
	}{
		{failure, []string{"onnx", "network.pb", ".onnx"}, []string{"--onnx", "network.pb"}},
		{failure, []string{"head", "model.safetensors", ".onnx"}, []string{"--onnx", "network.onnx", "--head", "model.safetensors"}},
		{failure, []string{"head", "two files"}, []string{"--onnx", "network.onnx", "--head", "./network.onnx"}},
		{failure, []string{filepath.Join("missing", "network.onnx")}, []string{"--onnx", "missing/network.onnx"}},
		{misuse, []string{"--onnx"}, nil},
	} {
		toolFails(t, test.code, test.say, append([]string{"export", "--model", "model.safetensors"}, test.args...)...)
	}
	if _, err := os.Stat("network.onnx"); err == nil {
		t.Error("a refused export leaves a file behind")
	}
}

// A network in ONNX format needs no description: it is imported with its weights, without its
// classifier where that is cut off, and a training starts from it.
func TestImportONNX(t *testing.T) {
	source, err := filepath.Abs(filepath.Join("..", "..", "onnx", "testdata", "resnet-dynamo.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t)
	bars(t, "bars", 6, 8)
	_, said := tool(t, "import", source)
	for _, want := range []string{"images of 32x32x3 to 5 features", "classifier of 5 classes: --cut view", "--mean", "the network is complete; write"} {
		if !strings.Contains(said, want) {
			t.Errorf("found\n%sexpected %q", said, want)
		}
	}
	if _, said = tool(t, "import", source, "--cut", "view", "--mean", "0.5,0.4,0.3", "--std", "0.25,0.25,0.25", "--head", "cosine", "--out", "model.safetensors"); strings.Contains(said, "--cut") {
		t.Errorf("without its classifier, found\n%s", said)
	}
	model, err := likeness.Load("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := imaging.Preprocessing{Size: imaging.Size{Height: 32, Width: 32, Channels: 3}, Mean: []float64{0.5, 0.4, 0.3}, StdDev: []float64{0.25, 0.25, 0.25}}
	if diff := cmp.Diff(want, model.Preprocessing); diff != "" || model.Head.Name() != "cosine" {
		t.Errorf("head %s, preprocessing (-want +got):\n%s", model.Head.Name(), diff)
	}
	tool(t, "train", "--data", "bars", "--from", "model.safetensors", "--objective", "contrastive", "--batch", "8", "--epochs", "1", "--out", "run")

	// What likeness export writes is read with its preprocessing and its distance.
	tool(t, "export", "--model", "model.safetensors", "--onnx", "again.onnx")
	tool(t, "import", "again.onnx", "--out", "again.safetensors")
	again, err := likeness.Load("again.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(model.Preprocessing, again.Preprocessing); diff != "" || again.Head.Name() != "cosine" {
		t.Errorf("head %s, preprocessing (-exported +imported):\n%s", again.Head.Name(), diff)
	}
	toolFails(t, misuse, []string{"--backbone", "again.onnx"}, "import", "again.onnx", "--backbone", "resnet18")
	toolFails(t, failure, []string{"preprocessing", "--mean"}, "import", "again.onnx", "--mean", "0.5,0.5,0.5")
	toolFails(t, misuse, []string{"--cut"}, "import", "model.safetensors", "--backbone", "resnet18", "--cut", "view")
	toolFails(t, misuse, []string{"--backbone"}, "import", "model.safetensors")
}
