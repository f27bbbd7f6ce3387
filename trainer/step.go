package trainer

import (
	"context"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// ErrNotFinite is the error of a training that stopped because the loss, a gradient or a
// weight was NaN or infinite. The weights are those before that step.
var ErrNotFinite = errors.New("training diverged")

// step takes one step and reports it.
func (r *run) step(epoch int, next prepared) (cost float64, err error) {
	if next.err != nil {
		return 0, next.err
	}
	if cost, err = r.learn(next.examples); err != nil {
		return 0, err
	}
	if r.average != nil {
		if err := r.average.Update(r.tensors()); err != nil {
			return 0, err
		}
	}
	r.place.Steps++
	if err := r.watch.step(cost); err != nil {
		return 0, err
	}
	if r.OnStep != nil {
		report := Step{Number: r.place.Steps, Steps: r.epochs() * r.epochSteps, Epoch: epoch, Loss: cost, Images: r.imagesPerStep()}
		if err := guarded("OnStep", func() error { r.OnStep(report); return nil }); err != nil {
			return 0, err
		}
	}
	return cost, nil
}

// learn runs the graph on the examples, moves the weights by their gradients and
// returns the loss before that. After an error all weights are as before: a run of
// the graph moves the running statistics of batch norm, of which there is a copy,
// before its loss is known; and a solver that returns an error has moved nothing.
func (r *run) learn(e *examples) (cost float64, err error) {
	for _, b := range r.buffers {
		b.keep()
	}
	done := false
	defer func() {
		if !done { // after an error or a panic
			for _, b := range r.buffers {
				b.restore()
			}
		}
	}()
	if cost, err = r.differentiate(e); err != nil {
		return 0, err
	}
	if !finite(cost) {
		return 0, r.diverged(fmt.Sprintf("the loss is %v", cost))
	}
	for _, b := range r.buffers {
		if !b.finite() {
			return 0, r.diverged(fmt.Sprintf("weight %q is not finite", b.weight.Name))
		}
	}
	var embeddings []float64
	if r.memory != nil {
		if r.parts != nil {
			embeddings = r.parts.embeddings()
		} else if embeddings, err = r.program.Get(embeddingsOutput); err != nil {
			return 0, err
		}
		if slices.ContainsFunc(embeddings, func(v float64) bool { return !finite(v) }) {
			return 0, r.diverged("an embedding is not finite")
		}
	}
	r.solver.SetLearningRate(r.rate())
	if err := r.solver.Step(r.gradients()); errors.Is(err, solver.ErrNotFinite) {
		return 0, r.diverged(err.Error())
	} else if err != nil {
		return 0, err
	}
	done = true
	if err := r.noteGradients(cost); err != nil {
		return 0, err
	}
	if r.memory != nil {
		return cost, r.memory.Add(embeddings, widen(e.labels))
	}
	return cost, nil
}

// noteGradients warns once of a training whose first steps have a loss and no gradients.
func (r *run) noteGradients(cost float64) error {
	const steps = 10
	switch {
	case r.still < 0 || cost == 0:
	case r.solver.Progress().GradientNorm != 0:
		r.still = -1
	default:
		if r.still++; r.still == steps && r.OnWarning != nil {
			message := fmt.Sprintf("the loss is %.3g, but all gradients of the first %d steps are 0, so nothing is learned: a loss of your own may not set its derivatives (Anchor.Slopes), see package graph/gradcheck", cost, steps)
			return guarded("OnWarning", func() error { r.OnWarning(message); return nil })
		}
	}
	return nil
}

// gradients are the weights that the solver moves, with their gradients.
func (r *run) gradients() []gorgonia.ValueGrad {
	if r.parts != nil {
		return r.parts.model
	}
	return r.program.Gradients()
}

// differentiate runs the graph and returns the loss.
func (r *run) differentiate(e *examples) (float64, error) {
	if r.parts != nil {
		return r.parts.differentiate(e)
	}
	for i, name := range towers(r.kind) {
		if err := r.program.Set(name, e.images[i]); err != nil {
			return 0, err
		}
	}
	if name := labelsInput(r.kind); name != "" {
		if err := r.program.Set(name, e.labels); err != nil {
			return 0, err
		}
	}
	if r.memory != nil {
		if err := r.memory.Set(r.program); err != nil {
			return 0, err
		}
	}
	if err := r.program.Run(); err != nil {
		return 0, err
	}
	return r.program.Scalar(graph.Cost)
}

// embeddingsOutput names the output of embeddings, which a graph has whose loss has a memory.
const embeddingsOutput = "embeddings"

// newMemory is the empty memory of the loss; nil if it has none.
func (r *run) newMemory() (*objectives.Memory, error) {
	loss, ok := r.Loss.(interface {
		NewMemory(images, features int) (*objectives.Memory, error)
	})
	if !ok {
		return nil, nil
	}
	shape, err := backbone.ShapeOf(r.Model.Backbone)
	if err != nil {
		return nil, err
	}
	return loss.NewMemory(r.count, shape.Features)
}

func widen(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}

// rate is the learning rate of the present step.
func (r *run) rate() float64 { return r.schedule.LearningRate(r.place.Steps, r.Epochs*r.epochSteps) }

// diverged says what to do about what was found.
func (r *run) diverged(found string) error {
	return errors.Wrapf(ErrNotFinite, "%s: use a lower learning rate than %v, clip the gradient norm (Clip, --clip-norm) or check the data for extreme values", found, r.rate())
}

// buffer is a running statistic and its values before the present step.
type buffer struct {
	weight *graph.Weight
	before []float64
}

// buffersOf are the weights that a run of a training graph moves.
func buffersOf(weights *graph.Weights) []buffer {
	var buffers []buffer
	for _, weight := range weights.All() {
		if weight.Role == graph.Buffer && !weight.Frozen {
			buffers = append(buffers, buffer{weight, make([]float64, weight.Value.Size())})
		}
	}
	return buffers
}

func (b buffer) keep() {
	switch data := b.weight.Value.Data().(type) {
	case []float32:
		for i, v := range data {
			b.before[i] = float64(v)
		}
	case []float64:
		copy(b.before, data)
	}
}

func (b buffer) restore() {
	switch data := b.weight.Value.Data().(type) {
	case []float32:
		for i, v := range b.before {
			data[i] = float32(v)
		}
	case []float64:
		copy(data, b.before)
	}
}

func (b buffer) finite() bool {
	switch data := b.weight.Value.Data().(type) {
	case []float32:
		return !slices.ContainsFunc(data, func(v float32) bool { return v-v != 0 })
	case []float64:
		return !slices.ContainsFunc(data, func(v float64) bool { return v-v != 0 })
	}
	return true
}

// towers names the inputs of images of the graph, one for each image of an
// example. The random numbers of augmentation depend on these names.
func towers(kind datasets.Kind) []string {
	switch kind {
	case datasets.Pairs:
		return []string{"left", "right"}
	case datasets.Triplets:
		return []string{"anchor", "positive", "negative"}
	case datasets.Views:
		return []string{"first", "second"}
	}
	return []string{"images"}
}

// labelsInput names the graph's input of labels; triplets and views have none.
func labelsInput(kind datasets.Kind) string {
	switch kind {
	case datasets.Pairs:
		return "different"
	case datasets.Triplets, datasets.Views:
		return ""
	}
	return "labels"
}

// build adds the whole of a step to the graph: towers, head, loss and penalties.
func (r *run) build(b *graph.Builder) graph.Outputs {
	var embeddings []*graph.Node
	b.SetPrecision(r.Precision)
	for _, tower := range towers(r.kind) {
		embeddings = append(embeddings, r.embed(b, tower, r.count))
	}
	b.SetPrecision(graph.SinglePrecision) // the loss
	cost := r.cost(b, embeddings)
	if len(r.Penalties) > 0 {
		cost = b.Node(gorgonia.Add(cost, objectives.Penalty(b, r.Penalties)))
	}
	outputs := graph.Outputs{graph.Cost: cost}
	if r.memory != nil {
		outputs[embeddingsOutput] = embeddings[0]
	}
	return outputs
}

// embed adds the backbone on an input of so many images.
func (r *run) embed(b *graph.Builder, input string, count int) *graph.Node {
	if r.prefix != nil {
		return r.prefix.embed(b, input, count)
	}
	size := r.Images.ImageSize()
	return r.Model.Backbone.Embed(b, b.Input(input, count, size.Height, size.Width, size.Channels))
}

// cost adds the input of labels and the loss with its head.
func (r *run) cost(b *graph.Builder, embeddings []*graph.Node) *graph.Node {
	batch := objectives.Batch{Embeddings: embeddings, Head: r.Model.Head, Classes: len(r.Images.ClassNames())}
	if name := labelsInput(r.kind); name != "" {
		batch.Labels = b.Input(name, r.count)
	}
	return b.Named("loss "+r.Loss.Name(), func() *graph.Node { return r.Loss.Cost(b, batch) })
}

// layersOfLoss are the learning rates of the class vectors of a loss, whose names begin with
// the prefix. Those with the rate of the solver have none.
func layersOfLoss(loss objectives.Loss, head heads.Head, prefix string) (layers []solver.Layer) {
	switch loss := loss.(type) {
	case *objectives.Sum:
		return layersOfLoss(*loss, head, prefix)
	case objectives.Sum:
		for i, term := range loss {
			layers = append(layers, layersOfLoss(term.Loss, head, fmt.Sprintf("%s%d.", prefix, i+1))...)
		}
	case objectives.ClassVectorLoss:
		if scale := loss.LearningRateScale(head); scale != 1 {
			layers = append(layers, solver.Layer{Name: prefix + "*", LearningRateScale: &scale})
		}
	}
	return layers
}

// imagesPerStep is the number of images that a step reads.
func (r *run) imagesPerStep() int { return r.kind.Towers() * r.count }

// chooseSampler sets the kind, the sampler and the number of examples of a step.
func (r *run) chooseSampler() (err error) {
	if r.kind = r.Loss.Kind(); r.kind.Towers() == 0 {
		return errors.Errorf("field Loss: %s: found the kind %d of examples, expected Pairs, Triplets, Labeled or Views", r.Loss.Name(), r.kind)
	}
	if r.kind == datasets.Views {
		if err := checkViews(r.Loss, r.Augment); err != nil {
			return err
		}
	}
	if r.sampler = r.Sampler; r.sampler == nil {
		if r.sampler, err = datasets.DefaultSampler(r.kind, r.Images, r.Batch, 0); err != nil {
			return errors.Wrapf(err, "draw examples for the loss %q", r.Loss.Name())
		}
	}
	return guarded("field Sampler: a method of "+typeOf(r.sampler), func() error {
		if kind := r.sampler.Kind(); kind != r.kind {
			return errors.Errorf("field Sampler: it draws %v, but the loss %s needs %v", kind, r.Loss.Name(), r.kind)
		}
		first := r.sample(0)
		if r.count = first.Len(); r.count < 1 {
			return errors.Errorf("field Sampler: %s: it draws nothing for a Batch of %d", r.sampler.Identity(), r.Batch)
		}
		return r.checkTuples(first)
	})
}

// checkViews refuses an augmentation that does not tell the two views of an image apart.
func checkViews(loss objectives.Loss, augment *datasets.Augmentation) error {
	switch {
	case augment == nil:
		return errors.Errorf("field Augment: found none, but %s compares two augmented views of each image, which would be equal: set one, such as a random resized crop with color jitter", loss.Name())
	case augment.Image == datasets.Distortion{} && augment.Photo == datasets.Photo{}:
		return errors.Errorf("field Augment: found nothing in Image and Photo, which are drawn for each view, but %s compares two augmented views of each image: set one of the two, such as a random resized crop with color jitter", loss.Name())
	}
	return nil
}

// sample draws the examples of a step: a function of the seed and the step alone.
func (r *run) sample(step int) datasets.Tuples {
	return r.sampler.Sample(random.New(r.Seed, "examples", step), r.Batch)
}

// checkTuples refuses examples of another number or form than those of the graph.
func (r *run) checkTuples(t datasets.Tuples) error {
	if want := len(towers(r.kind)); len(t.Indices) != want {
		return errors.Errorf("field Sampler: %s: found %d lists of indices, expected %d for %v", r.sampler.Identity(), len(t.Indices), want, r.kind)
	}
	for _, indices := range t.Indices {
		if len(indices) != r.count {
			return errors.Errorf("field Sampler: %s: found %d examples, expected %d as in the first step", r.sampler.Identity(), len(indices), r.count)
		}
	}
	if r.kind == datasets.Pairs && len(t.Different) != r.count {
		return errors.Errorf("field Sampler: %s: found %d values of Different for %d pairs", r.sampler.Identity(), len(t.Different), r.count)
	}
	return nil
}

// examples are the values of the graph's inputs in one step.
type examples struct {
	images [][]float32 // of each tower, or of each part of this rank
	labels []float32   // none for triplets and views
}

func (r *run) newExamples() *examples {
	inputs, count := len(towers(r.kind)), r.count
	if r.parts != nil {
		inputs, count = len(r.parts.own), r.parts.images()
	}
	e := &examples{images: make([][]float32, inputs)}
	for i := range e.images {
		length := r.Images.ImageSize().Len()
		if r.prefix != nil {
			length = r.prefix.length()
		}
		e.images[i] = make([]float32, count*length)
	}
	if labelsInput(r.kind) != "" {
		e.labels = make([]float32, r.count)
	}
	return e
}

// fill draws the examples of a step, reads and augments their images.
func (r *run) fill(step int, e *examples) error {
	tuples := r.sample(step)
	if err := r.checkTuples(tuples); err != nil {
		return err
	}
	if r.parts != nil {
		if err := r.fillParts(step, tuples, e); err != nil {
			return err
		}
		return r.label(tuples, e.labels)
	}
	for i, tower := range towers(r.kind) {
		if r.prefix != nil {
			r.prefix.fill(e.images[i], r.rowsOf(tuples.Indices[i]))
			continue
		}
		if err := datasets.Fill(e.images[i], r.Images, tuples.Indices[i], r.Model.Preprocessing, r.Augment, r.Seed, step, tower); err != nil {
			return err
		}
	}
	return r.label(tuples, e.labels)
}

// fillParts reads and augments the images of the parts of this rank.
func (r *run) fillParts(step int, tuples datasets.Tuples, e *examples) error {
	names := towers(r.kind)
	for i, one := range r.parts.own {
		positions := r.parts.positions(one.number)
		for t, tower := range names {
			length := len(e.images[i]) / len(names)
			dst, indices := e.images[i][t*length:][:length], tuples.Indices[t]
			if r.prefix != nil {
				own := make([]int, len(positions))
				for k, position := range positions {
					own[k] = indices[position]
				}
				r.prefix.fill(dst, r.rowsOf(own))
				continue
			}
			if err := datasets.FillRows(dst, r.Images, indices, positions, r.Model.Preprocessing, r.Augment, r.Seed, step, tower); err != nil {
				return err
			}
		}
	}
	return nil
}

// label writes the labels of the examples: 1 for pairs of two classes and 0 for
// pairs of one, or the number of the class of each image.
func (r *run) label(tuples datasets.Tuples, labels []float32) error {
	for i := range labels {
		switch {
		case r.kind == datasets.Labeled:
			index := tuples.Indices[0][i]
			label := r.Images.Label(index)
			if label < 0 {
				return errors.Wrapf(datasets.ErrUnlabeled, "field Sampler: %s: %s", r.sampler.Identity(), r.Images.Source(index))
			}
			labels[i] = float32(label)
		case tuples.Different[i]:
			labels[i] = 1
		default:
			labels[i] = 0
		}
	}
	return nil
}

// ahead is how many steps' examples are prepared while one step runs.
const ahead = 2

// prepared are the examples of a step, or why there are none.
type prepared struct {
	examples *examples
	err      error
}

// pipeline prepares the examples of the coming steps in the background, in order.
// The memory of examples that were used is filled again.
type pipeline struct {
	ready chan prepared
	used  chan *examples
}

// prepare starts a pipeline for the steps from first to steps−1. It ends, and
// closes its channel, after the last step, after an error or with the context.
func prepare(ctx context.Context, first, steps int, allocate func() *examples, fill func(step int, e *examples) error) *pipeline {
	p := &pipeline{ready: make(chan prepared, ahead), used: make(chan *examples, ahead+2)}
	go func() {
		defer close(p.ready)
		for step := first; step < steps && ctx.Err() == nil; step++ {
			var e *examples
			select {
			case e = <-p.used:
			default:
				e = allocate()
			}
			err := guarded("drawing the examples", func() error { return fill(step, e) })
			select {
			case p.ready <- prepared{e, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// next waits for the examples of the next step; they are the zero value after the end.
func (p *pipeline) next() prepared { return <-p.ready }

// recycle gives examples back whose step is done.
func (p *pipeline) recycle(done prepared) {
	select {
	case p.used <- done.examples:
	default:
	}
}

// drain waits until the pipeline has ended.
func (p *pipeline) drain() {
	for range p.ready {
	}
}
