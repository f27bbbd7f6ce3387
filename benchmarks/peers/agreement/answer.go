package main

import (
	"encoding/json"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"gorgonia.org/tensor"
)

// answer is the inputs and what the library makes of them, in one arithmetic.
type answer struct {
	dtype tensor.Dtype
	file  safetensors.File
}

// answer runs the case on weights, whose running statistics it changes.
func (p problem) answer(weights *graph.Weights) (answer, error) {
	question, err := json.Marshal(p.loss)
	a := answer{
		dtype: weights.Dtype(),
		file:  safetensors.File{Metadata: map[string]string{"loss": string(question)}},
	}
	if err != nil {
		return a, err
	}
	for i, images := range p.images {
		size := p.network.Size
		a.add(inputName(i), channelsFirst(images, size), p.batch, size.Channels, size.Height, size.Width)
	}
	a.add("labels", p.labels, p.batch)
	if err := a.evaluate(p, weights); err != nil {
		return a, err
	}
	return a, a.train(p, weights)
}

// evaluate adds the embeddings.
func (a *answer) evaluate(p problem, weights *graph.Weights) error {
	program, err := p.run(weights, graph.Evaluation, p.evaluation)
	if err != nil {
		return err
	}
	defer program.Close()
	for i := range p.images {
		embeddings, err := program.Get(embeddingsName(i))
		if err != nil {
			return err
		}
		a.add(embeddingsName(i), embeddings, p.batch, len(embeddings)/p.batch)
	}
	return nil
}

// train adds the cost, the gradients and the running statistics after it.
func (a *answer) train(p problem, weights *graph.Weights) error {
	program, err := p.run(weights, graph.Training, p.training)
	if err != nil {
		return err
	}
	defer program.Close()
	cost, err := program.Scalar(graph.Cost)
	if err != nil {
		return err
	}
	a.add("cost", []float64{cost}, 1)
	for _, parameter := range program.Parameters() {
		gradient, err := parameter.Elements()
		if err != nil {
			return err
		}
		a.add("gradient "+parameter.Name(), gradient, parameter.Value().Shape()...)
	}
	for _, weight := range weights.All() {
		if weight.Role == graph.Buffer {
			statistic := safetensors.Tensor{Name: "after " + weight.Name, Shape: weight.Value.Shape(), Data: weight.Value.Data()}
			a.file.Tensors = append(a.file.Tensors, statistic)
		}
	}
	return nil
}

// add keeps the values in the arithmetic of the file.
func (a *answer) add(name string, values []float64, shape ...int) {
	t := safetensors.Tensor{Name: name, Shape: shape, Data: values}
	if a.dtype == graph.Float32 {
		narrow := make([]float32, len(values))
		for i, v := range values {
			narrow[i] = float32(v)
		}
		t.Data = narrow
	}
	a.file.Tensors = append(a.file.Tensors, t)
}

// channelsFirst turns images (batch, height, width, channels) into PyTorch's
// (batch, channels, height, width).
func channelsFirst(images []float64, size imaging.Size) []float64 {
	turned := make([]float64, len(images))
	pixels := size.Height * size.Width
	for i, v := range images {
		image, pixel, channel := i/size.Len(), i/size.Channels%pixels, i%size.Channels
		turned[image*size.Len()+channel*pixels+pixel] = v
	}
	return turned
}
