package trainer

import (
	"fmt"
	"math"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Collapse is a warning that the embeddings do not distinguish images and that continuing
// the training is unlikely to help.
type Collapse struct {
	Step  int
	Found string // what was measured
	Try   string // what usually helps
}

func (c Collapse) String() string {
	return fmt.Sprintf("step %d: %s; try %s", c.Step, c.Found, c.Try)
}

// What counts as a collapse. The loss of a healthy training begins near that of
// equal embeddings, since its first embeddings are alike, and leaves it within one
// window of steps. A sign must therefore hold in two windows in a row.
const (
	windows      = 10   // in a training
	minWindow    = 20   // steps
	nearPlateau  = 2e-2 // relative difference of the mean loss from that of equal embeddings
	minSpread    = 1e-2 // of the embeddings relative to their size, as a part of that before training
	minSize      = 1e-3 // of the spread of the embeddings, as a part of that before training
	sampleImages = 64   // that are embedded once in each window
)

// watch looks for a collapse, once in each window of steps. It changes nothing of
// the training.
type watch struct {
	*run
	window  int
	sample  [][]uint8 // images
	plateau float64   // loss of a network that gives all images one embedding; 0 if it is not compared
	before  spread    // of the sample before the first step
	sum     float64   // of the losses of the present window
	steps   int       // of the present window
	earlier *signs    // of the window before; nil in the first one
	learned bool      // a step had a loss other than 0, so the weights have moved
	done    bool      // OnCollapse was called
}

// signs are the measurements of one window of steps.
type signs struct {
	cost   float64 // mean
	sample spread
	full   bool // the memory of the loss, if it has one, was full in all steps
}

// hasClassVectors reports whether images are compared with trainable vectors. These move while
// the network learns, so the loss of one embedding for all images is not a constant, and a
// loss with a margin begins above it.
func hasClassVectors(loss objectives.Loss) bool {
	switch loss := loss.(type) {
	case *objectives.Sum:
		return hasClassVectors(*loss)
	case objectives.Sum:
		return slices.ContainsFunc(loss, func(term objectives.Weighted) bool { return hasClassVectors(term.Loss) })
	case objectives.ClassVectorLoss:
		return true
	}
	return false
}

// spread is how far the sample's embeddings lie from their mean: the root mean
// square of the distance, and the same as a part of their own root mean square.
type spread struct{ absolute, relative float64 }

// newWatch measures the embeddings before the first step; it is nil without
// OnCollapse.
func (r *run) newWatch() (*watch, error) {
	if r.OnCollapse == nil {
		return nil, nil
	}
	w := &watch{run: r, window: max(minWindow, r.epochs()*r.epochSteps/windows), learned: r.place.Sum != 0}
	for _, epoch := range r.result.Epochs { // of a training that resumes
		w.learned = w.learned || epoch.Loss != 0
	}
	count := r.Images.Len()
	for _, i := range random.New(r.Seed, "watch").Perm(count)[:min(sampleImages, count)] {
		pixels := make([]uint8, r.Images.ImageSize().Len())
		if err := r.Images.Read(i, pixels); err != nil {
			return nil, errors.WithMessagef(err, "read %s", r.Images.Source(i))
		}
		w.sample = append(w.sample, pixels)
	}
	var err error
	if !hasClassVectors(r.Loss) {
		if w.plateau, err = r.plateau(); err != nil {
			return nil, err
		}
	}
	w.before, err = w.measure()
	return w, err
}

// step takes in the loss of a step and reports a collapse once.
func (w *watch) step(cost float64) error {
	if w == nil || w.done {
		return nil
	}
	w.sum += cost
	w.learned = w.learned || cost != 0
	if w.steps++; w.steps < w.window {
		return nil
	}
	now := signs{cost: w.sum / float64(w.steps), full: w.place.Steps-w.steps >= w.memory.FullAfter()}
	w.sum, w.steps = 0, 0
	var err error
	if now.sample, err = w.measure(); err != nil {
		return err
	}
	if w.earlier != nil {
		if found := w.collapse(now, *w.earlier); found != nil {
			w.done = true
			if err := guarded("OnCollapse", func() error { w.OnCollapse(*found); return nil }); err != nil {
				return err
			}
		}
	}
	w.earlier = &now
	return nil
}

// collapse judges the signs of two windows in a row; it is nil for a healthy
// training.
func (w *watch) collapse(now, earlier signs) *Collapse {
	narrow := func(s signs) bool {
		return !(s.sample.relative > minSpread*w.before.relative && s.sample.absolute > minSize*w.before.absolute)
	}
	stuck := func(s signs) bool { return s.full && w.plateau > 0 && math.Abs(s.cost/w.plateau-1) < nearPlateau }
	switch {
	case narrow(now) && narrow(earlier):
		return &Collapse{w.place.Steps,
			fmt.Sprintf("all images have nearly one embedding: they lie %.2g from their mean, %.2g of their size; before training %.2g and %.2g",
				now.sample.absolute, now.sample.relative, w.before.absolute, w.before.relative),
			"a lower learning rate, a smaller penalty, a larger margin, or batch norm"}
	case stuck(now) && stuck(earlier):
		return &Collapse{w.place.Steps,
			fmt.Sprintf("the loss is stuck at %.4f, that of a network that gives all images one embedding (%.4f)", now.cost, w.plateau),
			"a lower learning rate with warm-up, random triplets or batch-all before batch-hard, or another scale of the weights"}
	case !w.learned: // a loss that has fallen to 0 is that of classes that are far apart
		return &Collapse{w.place.Steps,
			"the loss of every batch has been 0 from the first step: no example violates the margin, and nothing is learned",
			"harder triplets (batch-hard, semi-hard) or a larger margin"}
	}
	return nil
}

// measure embeds the sample.
func (w *watch) measure() (spread, error) {
	embeddings, err := w.Model.EmbedPixels(w.sample)
	if err != nil {
		return spread{}, err
	}
	return spreadOf(embeddings), nil
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

// plateau is the loss of the first step's examples for a network that gives all
// images one embedding: the head and the loss of embeddings of zeros. Where the loss
// has a trainable bias it is the minimum over the bias. A memory of the loss is full.
func (r *run) plateau() (float64, error) {
	shape, err := backbone.ShapeOf(r.Model.Backbone)
	if err != nil {
		return 0, err
	}
	weights := r.Model.Weights.Clone()
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		var embeddings []*graph.Node
		for _, tower := range towers(r.kind) {
			embeddings = append(embeddings, b.Input(tower, r.count, shape.Features)) // zeros
		}
		return graph.Outputs{graph.Cost: r.cost(b, embeddings)}
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	if name := labelsInput(r.kind); name != "" {
		labels := make([]float32, r.count)
		if err := r.label(r.sample(0), labels); err != nil {
			return 0, err
		}
		if err := program.Set(name, labels); err != nil {
			return 0, err
		}
	}
	if r.memory != nil {
		if err := r.fillMemory(program); err != nil {
			return 0, err
		}
	}
	run := func() (float64, error) {
		if err := program.Run(); err != nil {
			return 0, err
		}
		return program.Scalar(graph.Cost)
	}
	bias := weights.Get("head.bias")
	if bias == nil {
		return run()
	}
	return minimum(-8, 8, 1e-2, func(value float64) (float64, error) {
		var element any = value
		if bias.Value.Dtype() == tensor.Float32 {
			element = float32(value)
		}
		if err := bias.Value.Memset(element); err != nil {
			return 0, errors.WithStack(err)
		}
		return run()
	})
}

// fillMemory sets a memory that is full of embeddings of zeros, with the labels of the first
// steps.
func (r *run) fillMemory(program *graph.Program) error {
	memory, err := r.newMemory()
	if err != nil {
		return err
	}
	_, embeddings, labels := memory.State()
	batch := make([]float32, r.count)
	for step, done := 0, 0; done < len(labels); step++ {
		if err := r.label(r.sample(step), batch); err != nil {
			return err
		}
		done += copy(labels[done:], widen(batch))
	}
	if err := memory.Restore(memory.FullAfter(), embeddings, labels); err != nil {
		return err
	}
	return memory.Set(program)
}

// minimum finds the minimum of a convex function between two points by golden
// section search (Kiefer 1953), to the given width.
func minimum(from, to, width float64, f func(float64) (float64, error)) (float64, error) {
	const ratio = 1 / math.Phi
	left, right := to-ratio*(to-from), from+ratio*(to-from)
	atLeft, err := f(left)
	if err != nil {
		return 0, err
	}
	atRight, err := f(right)
	for err == nil && to-from > width {
		if atLeft < atRight {
			to, right, atRight = right, left, atLeft
			left = to - ratio*(to-from)
			atLeft, err = f(left)
		} else {
			from, left, atLeft = left, right, atRight
			right = from + ratio*(to-from)
			atRight, err = f(right)
		}
	}
	return min(atLeft, atRight), err
}
