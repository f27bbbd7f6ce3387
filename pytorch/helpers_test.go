package pytorch_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
)

// network has every kind of layer that a torch.nn.Sequential may have.
var network = backbone.Network{Name: "test", Size: imaging.Size{Height: 9, Width: 8, Channels: 3}, Blocks: []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Conv{Filters: 5, Kernel: 2, Activation: "prelu"},
	graph.Flatten{},
	graph.BatchNorm{},
	graph.Linear{Units: 6, Activation: "prelu"},
	graph.Linear{Units: 2},
}}

// sequential are the network's layers as a torch.nn.Sequential numbers them, with
// activations, pools and the flattening in between.
var sequential = []string{"conv1", "norm1", "", "", "conv2", "conv2_prelu", "", "batchnorm1", "linear1", "linear1_prelu", "linear2"}

// newModel is a model of the network with weights of its own.
func newModel(t *testing.T, network backbone.Network, head heads.Head, name string) *likeness.Model {
	t.Helper()
	model, err := likeness.New(network, head, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	gradcheck.Perturb(model.Weights, name)
	return model
}

// tensorsOf are the weights of a model under the names that rename gives them.
func tensorsOf(model *likeness.Model, rename func(layer string) string) []safetensors.Tensor {
	var tensors []safetensors.Tensor
	for _, weight := range model.Weights.All() {
		i := strings.LastIndexByte(weight.Name, '.')
		tensors = append(tensors, safetensors.Tensor{
			Name: rename(weight.Name[:i]) + weight.Name[i:], Shape: weight.Value.Shape(), Data: slices.Clone(weight.Value.Float32s()),
		})
	}
	return tensors
}

// numbered gives a layer its number in the Sequential.
func numbered(layer string) string { return strconv.Itoa(slices.Index(sequential, layer)) }

func write(t *testing.T, tensors ...safetensors.Tensor) *pytorch.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "their.safetensors")
	if err := safetensors.WriteFile(path, safetensors.File{Tensors: tensors}); err != nil {
		t.Fatal(err)
	}
	file, err := pytorch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// embeddings are those of a few images of noise.
func embeddings(t *testing.T, model *likeness.Model) [][]float32 {
	t.Helper()
	noise := random.New(1, "pixels")
	pixels := make([][]uint8, 3)
	for i := range pixels {
		pixels[i] = make([]uint8, model.Preprocessing.Size.Len())
		for j := range pixels[i] {
			pixels[i][j] = uint8(noise.IntN(256))
		}
	}
	rows, err := model.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// expectSame expects two models to be one function.
func expectSame(t *testing.T, want, found *likeness.Model) {
	t.Helper()
	if diff := cmp.Diff(embeddings(t, want), embeddings(t, found)); diff != "" {
		t.Errorf("embeddings (-want +got):\n%s", diff)
	}
}

// expectError expects an error that has all the texts.
func expectError(t *testing.T, name string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: found no error", name)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: found error %v, want %q in it", name, err, text)
		}
	}
}
