package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/solver"
)

// The files from which a peer builds a workload.
const (
	ModelFile  = "model.safetensors"  // a model file: the initial weights, and the network as TOML
	InputsFile = "inputs.safetensors" // "0 images 1" are the images of batch 0 for tower 1; the metadata describes the workload
)

// description is the metadata of the inputs file.
type description struct {
	Loss    *Loss     `json:"loss"`
	Solver  optimizer `json:"solver"`
	Batches int       `json:"batches"`
}

type optimizer struct {
	Name     string  `json:"name"`
	Rate     float64 `json:"learning_rate"`
	Momentum float64 `json:"momentum"`
}

// Export writes the workload to the folder. It must be called before the first step.
func (t *Training) Export(folder string) error {
	file := safetensors.File{}
	for i, batch := range t.batches {
		for name, values := range batch {
			file.Tensors = append(file.Tensors, t.workload.tensor(fmt.Sprint(i, " ", name), values))
		}
	}
	return t.workload.export(folder, t.model.Save, file, len(t.batches))
}

// Export writes the workload to the folder, including the embeddings that a peer must
// reproduce.
func (e *Embedding) Export(folder string) error {
	images := make([]float32, e.workload.Count*e.workload.Network.Size.Len())
	e.model.Preprocessing.Normalize(images, slices.Concat(e.pixels...))
	embeddings, err := e.model.EmbedPixels(e.pixels)
	if err != nil {
		return err
	}
	file := safetensors.File{Tensors: []safetensors.Tensor{
		e.workload.tensor(fmt.Sprint(0, " ", imagesName(0)), images),
		e.workload.tensor("embeddings", slices.Concat(embeddings...)),
	}}
	return e.workload.export(folder, e.model.Save, file, 1)
}

func (w Workload) export(folder string, save func(string) error, inputs safetensors.File, batches int) error {
	text, err := json.Marshal(description{w.Loss, describe(w.Solver), batches})
	if err != nil {
		return err
	}
	inputs.Metadata = map[string]string{"workload": string(text)}
	if err := save(filepath.Join(folder, ModelFile)); err != nil {
		return err
	}
	return safetensors.WriteFile(filepath.Join(folder, InputsFile), inputs)
}

func describe(c solver.Config) optimizer { return optimizer{c.Solver, c.LearningRate, c.Momentum} }

// tensor returns the values as a tensor of Count rows; rows of the size of an image have
// the shape (height, width, channels).
func (w Workload) tensor(name string, values []float32) safetensors.Tensor {
	size := w.Network.Size
	shape := []int{w.Count}
	switch len(values) / w.Count {
	case 1:
	case size.Len():
		shape = append(shape, size.Height, size.Width, size.Channels)
	default:
		shape = append(shape, len(values)/w.Count)
	}
	return safetensors.Tensor{Name: name, Shape: shape, Data: values}
}

// batch is the inputs of a training step by name.
type batch map[string][]float32

const labelsName = "labels" // of pairs: 1 where the classes differ; otherwise class numbers

func imagesName(tower int) string { return fmt.Sprint("images ", tower) }

// batches generates the inputs of n steps.
func (w Workload) batches(n int) []batch {
	all := make([]batch, n)
	for i := range all {
		all[i] = batch{}
		if w.Loss.Towers < 3 { // triplets need no labels
			all[i][labelsName] = w.labels()
		}
		for tower := range w.Loss.Towers {
			r := random.New(1, w.Name, "batch", i, tower)
			images := make([]float32, 0, w.Count*w.Network.Size.Len())
			for range w.Count {
				for _, v := range w.image(r) {
					images = append(images, float32(v)/255)
				}
			}
			all[i][imagesName(tower)] = images
		}
	}
	return all
}

// labels returns alternating 0 and 1 for pairs, and sorted class numbers for a batch.
func (w Workload) labels() []float32 {
	labels := make([]float32, w.Count)
	for i := range labels {
		if w.Loss.Classes > 0 {
			labels[i] = float32(i / (w.Count / w.Loss.Classes))
		} else {
			labels[i] = float32(i % 2)
		}
	}
	return labels
}

// pixels returns the images to embed.
func (w Workload) pixels() [][]uint8 {
	r := random.New(1, w.Name, "images")
	all := make([][]uint8, w.Count)
	for i := range all {
		all[i] = w.image(r)
	}
	return all
}

// image returns a dark image with a bright rectangle at a random place, and noise.
func (w Workload) image(r *rand.Rand) []uint8 {
	size := w.Network.Size
	image := make([]uint8, size.Len())
	top, left := r.IntN(size.Height/2), r.IntN(size.Width/2)
	height, width := size.Height/4+r.IntN(size.Height/4), size.Width/4+r.IntN(size.Width/4)
	for i := range image {
		y, x := i/size.Channels/size.Width, i/size.Channels%size.Width
		image[i] = uint8(r.IntN(64))
		if y >= top && y < top+height && x >= left && x < left+width {
			image[i] += 160
		}
	}
	return image
}
