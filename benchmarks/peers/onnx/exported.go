package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/onnx"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// exported is a model with its name in the table.
type exported struct {
	name  string
	model *likeness.Model
}

// blocks is a network of the kinds of blocks that the named backbones do not have.
var blocks = backbone.Network{Name: "blocks", Size: imaging.Size{Height: 31, Width: 26, Channels: 3}, Blocks: []graph.Block{
	graph.Conv{Filters: 8, Kernel: 5, Stride: 2, Padding: 1, BatchNorm: true, Activation: "prelu"},
	graph.AveragePool{Size: 3, Stride: 2, Trainable: true},
	graph.BatchNorm{},
	graph.Activate{Function: "prelu"},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Activation: "tanh"}}, Activation: "prelu"},
	graph.MaxPool{Size: 2, Stride: 1},
	graph.AveragePool{Size: 2, Stride: 1},
	graph.Scale{},
	graph.LayerNorm{},
	graph.GlobalAveragePool{},
	graph.BatchNorm{},
	graph.Linear{Units: 12, NoBias: true, Activation: "prelu"},
	graph.Residual{Body: []graph.Block{graph.Linear{Units: 12, Activation: "sigmoid"}}},
	graph.Dropout{Rate: 0.5},
	graph.Normalize{},
}}

// networks returns all named backbones, a network of all other kinds of blocks, and the
// models of the zoo.
func networks() ([]exported, error) {
	var all []exported
	add := func(name string, network backbone.Network) error {
		model, err := perturbed(name, network, heads.L2{}, len(all))
		all = append(all, exported{name, model})
		return err
	}
	for _, name := range backbone.Names {
		published := slices.Contains(backbone.Published, name)
		o := backbone.Options{}
		if published {
			o.Size = imaging.Size{Height: 64, Width: 64, Channels: 3}
		}
		network, err := backbone.Named(name, o)
		if err != nil {
			return nil, err
		}
		if published { // all kinds of layers of the whole networks, in little time
			network = network.Narrow(4)
		}
		if err := add(name, network); err != nil {
			return nil, err
		}
	}
	norm, err := backbone.Named("conv4", backbone.Options{BatchNorm: true})
	if err != nil {
		return nil, err
	}
	if err := add("conv4 with batch norm", norm); err != nil {
		return nil, err
	}
	if err := add("other blocks", blocks); err != nil {
		return nil, err
	}
	gated := backbone.Network{Name: "gated", Size: imaging.Size{Height: 12, Width: 11, Channels: 3}, Blocks: []graph.Block{
		graph.Conv{Filters: 6, Kernel: 3, Activation: "relu"}, graph.SqueezeExcite{Channels: 4, Activation: "silu"}, graph.GeM{},
	}}
	if err := add("squeeze-and-excite, GeM", gated); err != nil {
		return nil, err
	}
	for _, name := range zoo.Names() {
		model, err := zoo.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, exported{"zoo/" + name, model})
	}
	return all, nil
}

// comparers returns all heads on embeddings of 48 features, and two of them once more with
// the bias of the cross-entropy loss.
func comparers() ([]exported, error) {
	network := backbone.Network{Name: "embeddings", Size: imaging.Size{Height: 4, Width: 4, Channels: 3}, Blocks: []graph.Block{graph.Flatten{}}}
	var all []exported
	for _, name := range append(slices.Clone(heads.Names), "signed-weighted-l1, bias", "l2, bias") {
		headName, _, bias := strings.Cut(name, ", ")
		head, err := heads.Named(headName)
		if err != nil {
			return nil, err
		}
		model, err := perturbed(name, network, head, 0)
		if err != nil {
			return nil, err
		}
		if bias {
			if err := model.Weights.Add("head.bias", graph.Bias, []int{1}, []float64{9}); err != nil {
				return nil, err
			}
		}
		all = append(all, exported{name, model})
	}
	return all, nil
}

// perturbed returns a model with random weights, at which no layer is without effect. The
// preprocessing depends on the number.
func perturbed(name string, network backbone.Network, head heads.Head, number int) (*likeness.Model, error) {
	preprocessing := imaging.Preprocessing{Size: network.Size, Invert: number%2 == 1}
	if number%3 > 0 {
		preprocessing.Mean = []float64{0.3, 0.5, 0.2}[:network.Size.Channels]
		preprocessing.StdDev = []float64{0.4, 0.25, 0.5}[:network.Size.Channels]
	}
	model, err := likeness.New(network, head, preprocessing, 1)
	if err != nil {
		return nil, errors.Wrap(err, name)
	}
	gradcheck.Perturb(model.Weights, name)
	return model, nil
}

// batches are the batch sizes that the peer runs.
var batches = []int{1, 7}

// writeNetwork writes the files of the peer to the folder: network.onnx, model.safetensors,
// and answers.safetensors with images and embeddings.
func (e exported) writeNetwork(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	written, err := onnx.Network(e.model)
	if err != nil {
		return err
	}
	if err := written.WriteFile(filepath.Join(folder, "network.onnx")); err != nil {
		return err
	}
	if err := e.model.Save(filepath.Join(folder, "model.safetensors")); err != nil {
		return err
	}
	var answers []safetensors.Tensor
	for _, batch := range batches {
		pixels := noise(e.model.Preprocessing.Size, batch)
		embeddings, err := e.model.EmbedPixels(pixels)
		if err != nil {
			return err
		}
		answers = append(answers, images(e.model.Preprocessing, pixels), rows(named(onnx.Embeddings, batch), embeddings))
	}
	return writeAnswers(folder, answers)
}

// writeHead writes head.onnx, and answers.safetensors with pairs of embeddings and their
// distances.
func (e exported) writeHead(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	written, err := onnx.Head(e.model)
	if err != nil {
		return err
	}
	if err := written.WriteFile(filepath.Join(folder, "head.onnx")); err != nil {
		return err
	}
	distance, err := e.model.Head.Distance(e.model.Weights)
	if err != nil {
		return err
	}
	var answers []safetensors.Tensor
	for _, batch := range batches {
		left, right := pairs(batch, e.model.Preprocessing.Size.Len())
		distances := make([][]float32, batch)
		for i := range distances {
			distances[i] = []float32{float32(distance.Between(left[i], right[i]))}
		}
		answers = append(answers, rows(named(onnx.Left, batch), left), rows(named(onnx.Right, batch), right), column(named(onnx.Distance, batch), distances))
		if bias := e.model.Weights.Get("head.bias"); bias != nil {
			answers = append(answers, column(named(onnx.Probability, batch), probabilities(distances, bias.Value.Float32s()[0])))
		}
	}
	return writeAnswers(folder, answers)
}

func writeAnswers(folder string, answers []safetensors.Tensor) error {
	return safetensors.WriteFile(filepath.Join(folder, "answers.safetensors"), safetensors.File{Tensors: answers})
}

func named(what string, batch int) string { return what + " " + strconv.Itoa(batch) }

// noise returns random images of different brightness, in the form that
// Preprocessing.Pixels returns.
func noise(size imaging.Size, count int) [][]uint8 {
	r := random.New(1, "pixels", count)
	pixels := make([][]uint8, count)
	for i := range pixels {
		pixels[i] = make([]uint8, size.Len())
		for j := range pixels[i] {
			pixels[i][j] = uint8(r.IntN(255*(i+1)/count + 1))
		}
	}
	return pixels
}

// images returns the pixels as the input of an ONNX file: channels first, and before the
// inversion, which Preprocessing.Pixels has done and the file does again.
func images(p imaging.Preprocessing, pixels [][]uint8) safetensors.Tensor {
	size := p.Size
	values := make([]float32, len(pixels)*size.Len())
	for i, image := range pixels {
		for j, v := range image {
			if p.Invert {
				v = 255 - v
			}
			pixel, channel := j/size.Channels, j%size.Channels
			values[i*size.Len()+channel*size.Height*size.Width+pixel] = float32(v)
		}
	}
	return safetensors.Tensor{Name: named(onnx.Images, len(pixels)), Shape: []int{len(pixels), size.Channels, size.Height, size.Width}, Data: values}
}

// pairs returns random pairs of embeddings. A batch of more than four contains an equal
// pair, a pair of the same direction, a pair with one zero vector and one with two.
func pairs(batch, features int) (left, right [][]float32) {
	r := random.New(1, "pairs", batch)
	for range batch {
		left, right = append(left, vector(r, features)), append(right, vector(r, features))
	}
	if batch > 4 {
		copy(right[1], left[1])
		for j, v := range left[2] {
			right[2][j] = 2 * v
		}
		clear(left[3])
		clear(left[4])
		clear(right[4])
	}
	return left, right
}

func vector(r *rand.Rand, features int) []float32 {
	v := make([]float32, features)
	for j := range v {
		v[j] = float32(r.NormFloat64())
	}
	return v
}

func rows(name string, values [][]float32) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Shape: []int{len(values), len(values[0])}, Data: slices.Concat(values...)}
}

func column(name string, values [][]float32) safetensors.Tensor {
	t := rows(name, values)
	t.Shape = t.Shape[:1]
	return t
}

// probabilities returns σ(bias − distance), see objectives.CrossEntropy.
func probabilities(distances [][]float32, bias float32) [][]float32 {
	var all [][]float32
	for _, d := range distances {
		p, _ := graph.Sigmoid(float64(bias - d[0]))
		all = append(all, []float32{float32(p)})
	}
	return all
}
