package workload

import (
	"context"
	"math"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/quantized"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Step is a prepared workload. It is not safe for concurrent use.
type Step interface {
	// Do runs the workload once: for training, one step on the next batch, of which it
	// returns the loss; for embedding it returns 0.
	Do() (loss float64, err error)
	Close() error
}

// Prepare builds the workload. Training cycles through the given number of different
// batches.
func (w Workload) Prepare(batches int) (Step, error) {
	if w.Loss == nil {
		return w.Embedding()
	}
	return w.Training(batches)
}

// Time runs the step n times and returns the milliseconds of each.
func Time(step Step, n int) ([]float64, error) {
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		if _, err := step.Do(); err != nil {
			return nil, err
		}
		times[i] = float64(time.Since(start)) / float64(time.Millisecond)
	}
	return times, nil
}

// Training is a prepared workload with a loss. A step sets the inputs, runs the forward
// and backward passes, and updates the weights.
type Training struct {
	workload Workload
	model    *likeness.Model
	program  *graph.Program
	solver   solver.Solver
	batches  []batch
	steps    int // number of steps done
}

// Training builds a training step that cycles through the given number of batches.
func (w Workload) Training(batches int) (*Training, error) {
	objective, head, err := objectives.Named(w.Loss.Objective, w.Loss.Head, objectives.Options{Margin: w.Loss.Margin, Scale: w.Loss.Scale})
	if err != nil {
		return nil, err
	}
	model, err := w.model(head)
	if err != nil {
		return nil, err
	}
	t := &Training{workload: w, model: model, batches: w.batches(batches)}
	t.program, err = graph.Build(model.Weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{graph.Cost: w.cost(b, objective, head)}
	})
	if err != nil {
		return nil, err
	}
	t.solver, _, err = solver.New(w.Solver, solver.Length{Epochs: 1, EpochSteps: 1})
	return t, err
}

// cost adds the towers, the head and the loss to the graph.
func (w Workload) cost(b *graph.Builder, objective objectives.Loss, head heads.Head) *graph.Node {
	size := w.Network.Size
	var embeddings []*graph.Node
	for tower := range w.Loss.Towers {
		images := b.Input(imagesName(tower), w.Count, size.Height, size.Width, size.Channels)
		embeddings = append(embeddings, w.Network.Embed(b, images))
	}
	batch := objectives.Batch{Embeddings: embeddings, Head: head}
	if objective.Kind() != datasets.Triplets {
		batch.Labels = b.Input(labelsName, w.Count)
	}
	return objective.Cost(b, batch)
}

// Do runs one step on the next batch and returns its loss.
func (t *Training) Do() (loss float64, err error) {
	for name, values := range t.batches[t.steps%len(t.batches)] {
		if err := t.program.Set(name, values); err != nil {
			return 0, err
		}
	}
	t.steps++
	if err := t.program.Run(); err != nil {
		return 0, err
	}
	if loss, err = t.program.Scalar(graph.Cost); err != nil {
		return 0, err
	}
	return loss, t.solver.Step(t.program.Gradients())
}

// Close releases the graph.
func (t *Training) Close() error { return t.program.Close() }

// model returns an untrained model of the network.
func (w Workload) model(head heads.Head) (*likeness.Model, error) {
	return likeness.New(w.Network, head, imaging.Preprocessing{Size: w.Network.Size}, 1)
}

// Embedding is a prepared workload without a loss: it embeds images, given as bytes, in
// evaluation mode.
type Embedding struct {
	workload Workload
	model    *likeness.Model
	pixels   [][]uint8
}

// Embedding builds the embedding of the workload's images.
func (w Workload) Embedding() (*Embedding, error) {
	model, err := w.model(heads.L2{}) // embeddings do not depend on the head
	return &Embedding{w, model, w.pixels()}, err
}

// Do embeds all images. It returns 0.
func (e *Embedding) Do() (loss float64, err error) {
	_, err = e.model.EmbedPixels(e.pixels)
	return 0, err
}

// Quantized returns the step in integers of 8 bits, calibrated on its own images.
func (e *Embedding) Quantized() (*QuantizedEmbedding, error) {
	model, err := e.model.Quantize(likeness.Pixels(e.pixels), quantized.Options{})
	if err != nil {
		return nil, err
	}
	return &QuantizedEmbedding{e, &Embedding{e.workload, model, e.pixels}}, nil
}

// QuantizedEmbedding is an Embedding in integers of 8 bits.
type QuantizedEmbedding struct {
	float *Embedding
	*Embedding
}

// Difference returns the length of the difference of the embeddings from those in float32, relative
// to their length.
func (q *QuantizedEmbedding) Difference() (float64, error) {
	found, err := q.model.EmbedPixels(q.pixels)
	if err != nil {
		return 0, err
	}
	expected, err := q.float.model.EmbedPixels(q.pixels)
	if err != nil {
		return 0, err
	}
	var difference, length float64
	for i, row := range expected {
		for j, v := range row {
			d := float64(found[i][j]) - float64(v)
			difference, length = difference+d*d, length+float64(v)*float64(v)
		}
	}
	return math.Sqrt(difference / length), nil
}

// Close has nothing to release.
func (e *Embedding) Close() error { return nil }

// Stream is the step of package trainer on real digits, including sampling and
// augmentation: the step as a user of the library runs it.
type Stream struct {
	proceed chan struct{}
	costs   chan float64
	ended   chan error
	cancel  context.CancelFunc
}

// Stream builds the workload, which must have the image size of MNIST, with pairs of MNIST
// as its inputs. The caller must close the stream.
func (w Workload) Stream() (*Stream, error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, err
	}
	objective, head, err := objectives.Named(w.Loss.Objective, w.Loss.Head, objectives.Options{Margin: w.Loss.Margin})
	if err != nil {
		return nil, err
	}
	model, err := w.model(head)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stream{make(chan struct{}), make(chan float64), make(chan error, 1), cancel}
	training := trainer.Trainer{
		Model: model, Loss: objective, Images: splits.Train, Batch: w.Count, Solver: w.Solver, Augment: datasets.EachImage(datasets.KochAffine()),
		Epochs: 1, EpochSteps: 1 << 30, Seed: 1, OnStep: s.onStep(ctx),
	}
	go func() {
		select { // wait before the first step, as after each step
		case <-s.proceed:
			_, err := training.Run(ctx)
			s.ended <- err
		case <-ctx.Done():
			s.ended <- nil
		}
	}()
	return s, nil
}

// onStep reports the loss of a step and waits until Do is called again. The trainer may begin a step while
// Close stops it, whose loss nobody receives.
func (s *Stream) onStep(ctx context.Context) func(trainer.Step) {
	return func(step trainer.Step) {
		select {
		case s.costs <- step.Loss:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.proceed:
		case <-ctx.Done():
		}
	}
}

// Do runs one step. Between calls the trainer prepares two batches in advance and waits.
func (s *Stream) Do() (loss float64, err error) {
	s.proceed <- struct{}{}
	select {
	case cost := <-s.costs:
		return cost, nil
	case err := <-s.ended:
		s.ended <- err
		return 0, errors.Wrap(err, "the training has stopped")
	}
}

// Close stops the training.
func (s *Stream) Close() error {
	s.cancel()
	return <-s.ended
}
