package trainer

import (
	"math"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// watch looks for a collapse, once in each window of steps. It changes nothing
// of the training.
type watch struct {
	*run
	window  int
	sample  [][]uint8
	labels  []int
	sum     float64 // of the costs of the window
	steps   int     // of the window
	plateau float64
	before  spread
	earlier *signs // nil before the second window
	told    bool
}

// newWatch looks at the embeddings before the first step; it is nil where nobody
// wants to know.
func (r *run) newWatch() (*watch, error) {
	if r.OnCollapse == nil {
		return nil, nil
	}
	w := &watch{run: r, window: max(leastWindow, r.Epochs*r.epochSteps/windows)}
	images := r.Examples.images
	for _, i := range random.New(r.Seed, "watch").Perm(images.Len())[:min(sampleImages, images.Len())] {
		w.sample = append(w.sample, images.Images[i])
		if images.Labels != nil {
			w.labels = append(w.labels, images.Labels[i])
		}
	}
	var err error
	if w.plateau, err = r.plateau(); err != nil {
		return nil, err
	}
	w.before, _, err = w.look()
	return w, err
}

// step takes in the cost of a step, and tells of a collapse once.
func (w *watch) step(cost float64) error {
	if w == nil || w.told {
		return nil
	}
	w.sum += cost
	if w.steps++; w.steps < w.window {
		return nil
	}
	now := signs{cost: w.sum / float64(w.steps), plateau: w.plateau, before: w.before}
	w.sum, w.steps = 0, 0
	var err error
	if now.sample, now.active, err = w.look(); err != nil {
		return err
	}
	if w.earlier != nil {
		if found := now.collapse(w.place.Steps, *w.earlier); found != nil {
			w.told = true
			if err := guarded("OnCollapse", func() error { w.OnCollapse(*found); return nil }); err != nil {
				return err
			}
		}
	}
	w.earlier = &now
	return nil
}

// look measures the sample: how far its embeddings spread, and how many of its
// triplets are within the margin.
func (w *watch) look() (s spread, active float64, err error) {
	embeddings, err := w.Model.EmbedPixels(w.sample)
	if err != nil {
		return s, 0, err
	}
	margin, found := marginOf(w.Objective)
	if active = math.NaN(); found && w.labels != nil {
		if active, err = w.active(embeddings, margin); err != nil {
			return s, 0, err
		}
	}
	return spreadOf(embeddings), active, nil
}

// spreadOf is zero where all embeddings are.
func spreadOf(embeddings [][]float32) spread {
	mean := make([]float64, len(embeddings[0]))
	var squares float64
	for _, e := range embeddings {
		for j, v := range e {
			mean[j] += float64(v) / float64(len(embeddings))
			squares += float64(v) * float64(v)
		}
	}
	var common float64
	for _, v := range mean {
		common += v * v
	}
	squares /= float64(len(embeddings))
	if squares == 0 {
		return spread{}
	}
	absolute := math.Sqrt(max(0, squares-common))
	return spread{absolute, absolute / math.Sqrt(squares)}
}

// active is the share of the sample's triplets whose loss is above zero; NaN
// where it has none.
func (w *watch) active(embeddings [][]float32, margin float64) (float64, error) {
	distance, err := heads.DistanceOf(w.Model.Head, w.Model.Weights)
	if err != nil {
		return 0, err
	}
	within, all := 0, 0
	for a, anchor := range w.labels {
		for p, positive := range w.labels {
			if p == a || positive != anchor {
				continue
			}
			near := distance.Between(embeddings[a], embeddings[p])
			for n, negative := range w.labels {
				if negative == anchor {
					continue
				}
				if all++; near-distance.Between(embeddings[a], embeddings[n])+margin > 0 {
					within++
				}
			}
		}
	}
	return float64(within) / float64(all), nil
}

// plateau is the cost of the first step's examples for a network that gives all
// images one embedding: the objective, and the head, of zeros. Where the cost has
// a bias that is learned it is the least over the bias.
func (r *run) plateau() (float64, error) {
	shape, err := backbone.ShapeOf(r.Model.Backbone)
	if err != nil {
		return 0, err
	}
	weights := r.Model.Weights.Clone()
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		var embeddings []*graph.Node
		for _, tower := range r.Examples.kind.towers() {
			embeddings = append(embeddings, b.Input(tower, r.Examples.count, shape.Features)) // zeros
		}
		return graph.Outputs{graph.Cost: r.Examples.cost(b, embeddings, r.Model.Head, r.Objective)}
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	_, labels := r.Examples.kind.sample(random.New(r.Seed, "examples", 0), r.Examples.count)
	for name, values := range labels {
		if err := program.Set(name, values); err != nil {
			return 0, err
		}
	}
	cost := func(bias float64) (float64, error) {
		if learned := weights.Get("head.bias"); learned != nil {
			if err := learned.Value.Memset(of(learned.Value.Dtype(), bias)); err != nil {
				return 0, errors.WithStack(err)
			}
		}
		if err := program.Run(); err != nil {
			return 0, err
		}
		return program.Scalar(graph.Cost)
	}
	least := math.Inf(1)
	for bias := -8.; bias <= 8; bias += 0.125 {
		value, err := cost(bias)
		if err != nil {
			return 0, err
		}
		if least = min(least, value); weights.Get("head.bias") == nil {
			break
		}
	}
	return least, nil
}

// of is a number in the arithmetic of a tensor.
func of(dtype tensor.Dtype, v float64) any {
	if dtype == tensor.Float32 {
		return float32(v)
	}
	return v
}
