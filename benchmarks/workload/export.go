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

// The files that a peer builds a workload from.
const (
	ModelFile  = "model.safetensors"  // as any model is saved: the initial weights, and the network as TOML
	InputsFile = "inputs.safetensors" // "0 images 1" is batch 0's for tower 1; its metadata are a description
)

// description of a workload, beside its inputs.
type description struct {
	Loss    *Loss     `json:"loss"`
	Solver  optimiser `json:"solver"`
	Batches int       `json:"batches"`
}

type optimiser struct {
	Name     string  `json:"name"`
	Rate     float64 `json:"rate"`
	Momentum float64 `json:"momentum"`
}

// Export writes the workload to the folder, as it is before its first step.
func (t *Training) Export(folder string) error {
	file := safetensors.File{}
	for i, batch := range t.batches {
		for name, values := range batch {
			file.Tensors = append(file.Tensors, t.work.tensor(fmt.Sprint(i, " ", name), values))
		}
	}
	return t.work.export(folder, t.model.Save, file, len(t.batches))
}

// Export writes the workload to the folder, with the embeddings that a peer must
// find too.
func (e *Embedding) Export(folder string) error {
	images := make([]float32, e.work.Count*e.work.Network.Size.Len())
	e.model.Preprocessing.Normalize(images, slices.Concat(e.pixels...))
	embeddings, err := e.model.EmbedPixels(e.pixels)
	if err != nil {
		return err
	}
	file := safetensors.File{Tensors: []safetensors.Tensor{
		e.work.tensor(fmt.Sprint(0, " ", imagesName(0)), images),
		e.work.tensor("embeddings", slices.Concat(embeddings...)),
	}}
	return e.work.export(folder, e.model.Save, file, 1)
}

func (w Workload) export(folder string, save func(string) error, inputs safetensors.File, batches int) error {
	text, err := json.Marshal(description{w.Loss, describe(w.Solver), batches})
	if err != nil {
		return err
	}
	inputs.Metadata = map[string]string{"work": string(text)}
	if err := save(filepath.Join(folder, ModelFile)); err != nil {
		return err
	}
	return safetensors.WriteFile(filepath.Join(folder, InputsFile), inputs)
}

func describe(c solver.Config) optimiser { return optimiser{c.Solver, c.LearningRate, c.Momentum} }

// tensor is of rows as many as the workload's, and images are (height, width,
// channels) each.
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

// batch is the inputs of a step of training by their names.
type batch map[string][]float32

const labelsName = "labels" // whether a pair is different, or classes

func imagesName(tower int) string { return fmt.Sprint("images ", tower) }

// batches draws the inputs of so many steps.
func (w Workload) batches(n int) []batch {
	all := make([]batch, n)
	for i := range all {
		all[i] = batch{}
		if w.Loss.Towers < 3 { // triplets are in order
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

// labels are 0 and 1 in turn for pairs, and the classes one after another for
// a batch.
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

// pixels are the images to embed.
func (w Workload) pixels() [][]uint8 {
	r := random.New(1, w.Name, "images")
	all := make([][]uint8, w.Count)
	for i := range all {
		all[i] = w.image(r)
	}
	return all
}

// image is a dark one with a bright rectangle at random, and noise on it.
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
