package works

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/solver"
)

// The files that a peer builds a work from.
const (
	ModelFile  = "model.safetensors"  // as any model is saved: the initial weights, and the network as TOML
	InputsFile = "inputs.safetensors" // "0 images 1" is batch 0's for tower 1; its metadata are a description
)

// description of a work, beside its inputs.
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

// Export writes the work to the folder, as it is before its first step.
func (t *Training) Export(folder string) error {
	file := safetensors.File{}
	for i, batch := range t.batches {
		for name, values := range batch {
			file.Tensors = append(file.Tensors, t.work.tensor(fmt.Sprint(i, " ", name), values))
		}
	}
	return t.work.export(folder, t.model.Save, file, len(t.batches))
}

// Export writes the work to the folder, with the embeddings that a peer must
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

func (w Work) export(folder string, save func(string) error, inputs safetensors.File, batches int) error {
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

func describe(c solver.Config) optimiser { return optimiser{c.Solver, c.Rate, c.Momentum} }

// tensor is of rows as many as the work's, and images are (height, width,
// channels) each.
func (w Work) tensor(name string, values []float32) safetensors.Tensor {
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
