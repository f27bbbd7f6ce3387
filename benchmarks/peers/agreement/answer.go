package main

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// answer is the inputs and the results of the library, in float32 or float64.
type answer struct {
	dtype tensor.Dtype
	file  safetensors.File
}

// answer runs the case with the given weights, whose running statistics it changes.
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

// train adds the loss, the gradients, the weights of the loss itself and the running
// statistics after the step.
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
		if strings.HasPrefix(weight.Name, objectives.WeightPrefix) { // not part of the model file
			own := safetensors.Tensor{Name: "weight " + weight.Name, Shape: weight.Value.Shape(), Data: weight.Value.Data()}
			a.file.Tensors = append(a.file.Tensors, own)
		}
		if weight.Role == graph.Buffer {
			statistic := safetensors.Tensor{Name: "after " + weight.Name, Shape: weight.Value.Shape(), Data: weight.Value.Data()}
			a.file.Tensors = append(a.file.Tensors, statistic)
		}
	}
	return nil
}

// add adds the values as a tensor of the type of the file.
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

// channelsFirst converts images (batch, height, width, channels) into PyTorch's
// (batch, channels, height, width).
func channelsFirst(images []float64, size imaging.Size) []float64 {
	converted := make([]float64, len(images))
	pixels := size.Height * size.Width
	for i, v := range images {
		image, pixel, channel := i/size.Len(), i/size.Channels%pixels, i%size.Channels
		converted[image*size.Len()+channel*pixels+pixel] = v
	}
	return converted
}

// write writes the files of the peer to the folder: model.safetensors, and files with the
// inputs and results in float32 and in float64.
func (c comparison) write(folder string, draw int) error {
	p, model, err := c.set(draw)
	if err != nil {
		return err
	}
	if err := model.Save(filepath.Join(folder, "model.safetensors")); err != nil {
		return err
	}
	for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
		answer, err := p.answer(model.Weights.Convert(dtype))
		if err != nil {
			return errors.Wrap(err, dtype.String())
		}
		if err := safetensors.WriteFile(filepath.Join(folder, dtype.String()+".safetensors"), answer.file); err != nil {
			return err
		}
	}
	return nil
}

// set returns a problem and its model.
func (c comparison) set(draw int) (problem, *likeness.Model, error) {
	p, err := c.problem(draw)
	if err != nil {
		return p, nil, err
	}
	model, err := likeness.New(p.network, p.head, imaging.Preprocessing{Size: p.network.Size}, 1)
	if err != nil {
		return p, nil, err
	}
	// The weight of the objective, if any, is created with its graph.
	program, err := graph.Build(model.Weights, graph.Training, p.training)
	if err != nil {
		return p, nil, err
	}
	if err := program.Close(); err != nil {
		return p, nil, err
	}
	gradcheck.Perturb(model.Weights, c.name())
	if !p.hasMargin() {
		return p, model, nil
	}
	if c.loss.Margin, err = p.margin(model.Weights.Clone()); err != nil {
		return p, nil, err
	}
	p, err = c.problem(draw)
	return p, model, err
}

// margin chooses a margin from the distances of the training graph.
func (p problem) margin(weights *graph.Weights) (float64, error) {
	program, err := p.run(weights, graph.Training, p.training)
	if err != nil {
		return 0, err
	}
	defer program.Close()
	distances, err := program.Get("distances")
	return p.marginFrom(distances), err
}
