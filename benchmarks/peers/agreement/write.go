package main

import (
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// write leaves in the folder what the peer needs: model.safetensors, as any
// model is saved, and for each arithmetic a file of inputs and answers. Each
// draw is of other inputs.
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

// set draws a problem and the model to try it on.
func (c comparison) set(draw int) (problem, *likeness.Model, error) {
	p, err := c.problem(draw)
	if err != nil {
		return p, nil, err
	}
	model, err := likeness.New(p.network, p.head, imaging.Preprocessing{Size: p.network.Size}, 1)
	if err != nil {
		return p, nil, err
	}
	// The objective's own weight comes into being with its graph.
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

// margin is one that suits the distances of the training graph.
func (p problem) margin(weights *graph.Weights) (float64, error) {
	program, err := p.run(weights, graph.Training, p.training)
	if err != nil {
		return 0, err
	}
	defer program.Close()
	distances, err := program.Get("distances")
	return p.marginFrom(distances), err
}
