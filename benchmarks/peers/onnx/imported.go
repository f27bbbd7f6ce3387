package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
	"github.com/pkg/errors"
)

const tolerance = 1e-4

// imported is a network that the peer builds in PyTorch, trains for a few steps and saves in
// a folder of its name: the weights in weights.safetensors, and images with the embeddings
// of PyTorch in answers.safetensors.
type imported struct {
	name     string
	how      string // description in the table
	backbone string // TOML
	mapping  string // TOML; if empty, it is derived
}

const sequentialNetwork = `
name = "sequential"
input = { height = 20, width = 18, channels = 3 }
block = [
	{ kind = "conv", filters = 8, kernel = 3, padding = 1, no_bias = true, batch_norm = true, activation = "relu", pool = 2 },
	{ kind = "conv", filters = 12, kernel = 3, stride = 2, activation = "prelu" },
	{ kind = "dropout", rate = 0.25 },
	{ kind = "conv", filters = 12, kernel = 2, activation = "tanh" },
	{ kind = "flatten" },
	{ kind = "linear", units = 24 },
	{ kind = "batchnorm" },
	{ kind = "activation", activation = "sigmoid" },
	{ kind = "linear", units = 6 },
]
`

const residualNetwork = `
name = "residual"
input = { height = 16, width = 16, channels = 1 }

[[block]]
kind = "conv"
filters = 6
kernel = 3
no_bias = true
batch_norm = true
activation = "relu"

[[block]]
kind = "residual"
activation = "relu"

[[block.body]]
kind = "conv"
filters = 10
kernel = 3
padding = 1
no_bias = true
batch_norm = true
activation = "relu"

[[block.body]]
kind = "conv"
filters = 10
kernel = 3
padding = 1
no_bias = true
batch_norm = true

[[block.shortcut]]
kind = "conv"
filters = 10
kernel = 1

[[block]]
kind = "globalaveragepool"
`

const residualMapping = `
ignore = ["classifier"]

[weights]
conv1 = "stem"
norm1 = "stem_norm"
residual1.conv1 = "block.conv1"
residual1.norm1 = "block.bn1"
residual1.conv2 = "block.conv2"
residual1.norm2 = "block.bn2"
residual1.shortcut.conv1 = "block.downsample"
`

const channelsLastNetwork = `
name = "channels last"
input = { height = 10, width = 8, channels = 3 }
block = [
	{ kind = "conv", filters = 5, kernel = 3, activation = "tanh", pool = 2 },
	{ kind = "flatten" },
	{ kind = "linear", units = 7, activation = "sigmoid" },
	{ kind = "linear", units = 4 },
]
`

const channelsLastMapping = `
[weights]
conv1.weight = { name = "conv/kernel", layout = "hwio" }
conv1.bias = "conv/bias"
linear1.weight = { name = "dense/kernel", layout = "(hwc)o" }
linear1.bias = "dense/bias"
linear2.weight = { name = "dense_1/kernel", layout = "io" }
linear2.bias = "dense_1/bias"
`

var imports = []imported{
	{"sequential", "torch.nn.Sequential, weights matched by order", sequentialNetwork, ""},
	{"residual", "a custom module with a classifier, weights matched by a mapping", residualNetwork, residualMapping},
	{"channels-last", "kernels of a channels-last framework, weights matched by a mapping with layouts", channelsLastNetwork, channelsLastMapping},
}

// compare returns the row of the table.
func (i imported) compare(folder string) (string, error) {
	model, err := i.read(filepath.Join(folder, i.name, "weights.safetensors"))
	if err != nil {
		return "", err
	}
	answers, err := safetensors.ReadFile(filepath.Join(folder, i.name, "answers.safetensors"))
	if err != nil {
		return "", err
	}
	cells := []string{i.how}
	for _, batch := range batches {
		largest, err := differenceOf(model, answers, batch)
		if err != nil {
			return "", errors.Wrap(err, i.name)
		}
		if !(largest <= tolerance) {
			return "", errors.Errorf("%s: the embeddings differ by %v from PyTorch's, at most %v is allowed", i.name, largest, tolerance)
		}
		cells = append(cells, fmt.Sprintf("%.1e", largest))
	}
	return "| " + strings.Join(append(cells, "yes"), " | ") + " |\n", nil
}

// read imports the weights.
func (i imported) read(path string) (*likeness.Model, error) {
	network, err := backbone.Parse(i.backbone, i.name+".toml")
	if err != nil {
		return nil, err
	}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		return nil, err
	}
	file, err := pytorch.Open(path)
	if err != nil {
		return nil, err
	}
	var mapping pytorch.Mapping
	if i.mapping == "" {
		mapping, err = file.Derive(model)
	} else {
		mapping, err = pytorch.ParseMapping(i.mapping, i.name+".toml")
	}
	if err != nil {
		return nil, err
	}
	return model, file.Fill(model, mapping)
}

// differenceOf returns the largest difference of the embeddings from PyTorch's. The images
// in the file are (batch, height, width, channels), with values from 0 to 255.
func differenceOf(model *likeness.Model, answers safetensors.File, batch int) (float64, error) {
	values, found := answers.Tensor(named("images", batch))
	want, foundToo := answers.Tensor(named("embeddings", batch))
	if !found || !foundToo {
		return 0, errors.Errorf("answers.safetensors has no images or embeddings for a batch of %d", batch)
	}
	var pixels [][]uint8
	for image := range slices.Chunk(values.Data.([]int64), model.Preprocessing.Size.Len()) {
		bytes := make([]uint8, len(image))
		for j, v := range image {
			bytes[j] = uint8(v)
		}
		pixels = append(pixels, bytes)
	}
	embeddings, err := model.EmbedPixels(pixels)
	if err != nil {
		return 0, err
	}
	ours, theirs := slices.Concat(embeddings...), want.Data.([]float32)
	if len(ours) != len(theirs) {
		return 0, errors.Errorf("found %d numbers in the embeddings, expected %d as in PyTorch", len(ours), len(theirs))
	}
	var largest float64
	for j, v := range ours {
		w := float64(theirs[j])
		largest = max(largest, math.Abs(float64(v)-w)/max(1, math.Abs(w)))
	}
	return largest, nil
}
