package objectives

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// CrossBatchMemory computes a loss of labeled images with more references than a batch has:
// the images of the batch, and the embeddings of earlier batches as they were computed, which
// are Size together. Embeddings change slowly from step to step, so those of earlier batches
// are nearly what the present network would compute, and they cost no images.
//
// As in pytorch-metric-learning, the references are the batch and the Size − N latest
// embeddings before it (N is the batch size), an anchor is not compared with itself, the same
// image met in another batch is a positive, and references have no gradient, those of the
// batch included: gradients reach the anchors only. Losses of pairs therefore count (i, j) and
// (j, i) of two images of the batch. The paper's authors add the loss of the batch alone.
//
// In the first Warmup steps the loss is that of the batch alone, with gradients of anchors and
// references, and no embeddings are kept (algorithm 1). Then the memory fills, with N
// embeddings in each step.
//
// The loss must use References: angular, batch-all, batch-contrastive, batch-cross-entropy,
// batch-hard, batch-ratio, circle, fastap, lifted-structure, margin, multi-similarity, n-pair,
// nca, prototypical, semi-hard, smooth-ap, supervised-contrastive, tuplet-margin, a Sum of
// these, or one of your own. Check refuses losses of pairs and triplets, which have no
// references, and losses with class vectors, which compare images with these. Angular and
// prototypical also compute the distances between all references, Size².
//
// Package trainer keeps the Memory. In a graph of your own, call NewMemory for its state.
//
// Inputs: labeled images, without references; N < Size. Requirements: those of the loss. The
// graph has the inputs "memory embeddings" (Size−N, D), "memory labels" and "memory valid"
// (Size−N), and "memory gradient" (1), which Memory.Set sets.
//
// Source: Wang, Zhang, Huang & Scott 2020, "Cross-Batch Memory for Embedding Learning",
// algorithm 1.
type CrossBatchMemory struct {
	Loss   Loss
	Size   int // references of an anchor, more than the images of a batch
	Warmup int // steps, at least 0
}

// Names of the inputs of a graph with a CrossBatchMemory.
const (
	memoryEmbeddings = "memory embeddings"
	memoryLabels     = "memory labels"
	memoryValid      = "memory valid"
	memoryGradient   = "memory gradient" // factor on the gradients of the batch as references
)

// Name is that of the loss, with "cross-batch memory".
func (c CrossBatchMemory) Name() string {
	return Weighted{Loss: c.Loss}.name() + " with cross-batch memory"
}

// Kind is that of the loss.
func (c CrossBatchMemory) Kind() datasets.Kind {
	if c.Loss == nil {
		return datasets.Labeled
	}
	return c.Loss.Kind()
}

// Check refuses losses that have no use for a memory, and checks the loss.
func (c CrossBatchMemory) Check(head heads.Head) error {
	if c.Loss == nil {
		return errors.New("cross-batch memory: found no loss, expected one of labeled images, such as NPair")
	}
	if err := takesMemory(c.Loss); err != nil {
		return errors.WithMessage(err, "cross-batch memory")
	}
	switch {
	case c.Size < 2:
		return errors.Errorf("cross-batch memory: found size %d, expected more than the images of a batch", c.Size)
	case c.Warmup < 0:
		return errors.Errorf("cross-batch memory: found a warm-up of %d steps, expected at least 0", c.Warmup)
	}
	return errors.WithMessage(c.Loss.Check(head), "cross-batch memory")
}

// takesMemory says why a loss has no use for references of earlier batches.
func takesMemory(loss Loss) error {
	if loss == nil {
		return nil // Sum.Check says so
	}
	if value := reflect.ValueOf(loss); value.Kind() == reflect.Pointer && !value.IsNil() {
		if value, ok := value.Elem().Interface().(Loss); ok {
			loss = value
		}
	}
	switch loss := loss.(type) {
	case Projection:
		return errors.Errorf("%s: embeddings of earlier batches are not projected: leave out the projection or the memory", loss.Name())
	case Sum:
		for _, term := range loss {
			if err := takesMemory(term.Loss); err != nil {
				return err
			}
		}
		return nil
	case remembering:
		return errors.Errorf("found another one inside, %s: leave one of them out", Weighted{Loss: loss}.name())
	case ClassVectorLoss:
		return errors.Errorf("%s compares images with its class vectors and not with images of earlier batches: use a loss of a batch, such as multi-similarity or n-pair", loss.Name())
	}
	if kind := loss.Kind(); kind != datasets.Labeled {
		return errors.Errorf("%s compares the given %v, and has no other references: use a loss of labeled images, such as batch-contrastive or batch-hard", loss.Name(), kind)
	}
	return nil
}

// remembering is a CrossBatchMemory, or a loss that embeds one.
type remembering interface {
	Loss
	NewMemory(images, features int) (*Memory, error)
}

// Cost implements Loss.
func (c CrossBatchMemory) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, c, batch)
	if batch.References != nil {
		b.Fail("%s: found references, which the memory has itself: leave out Batch.References", c.Name())
	}
	embeddings := batch.Embeddings[0]
	rows, features := embeddings.Shape()[0], embeddings.Shape()[1]
	if err := c.checkRows(rows); err != nil {
		b.Fail("%v", err)
	}
	kept := c.Size - rows
	valid := b.Input(memoryValid, kept)
	batch.References = &References{
		Embeddings: b.Apply("references", tensor.Shape{c.Size, features}, followed[float32]{}, followed[float64]{},
			embeddings, b.Input(memoryEmbeddings, kept, features), b.Input(memoryGradient, 1)),
		Labels: b.Apply("labels of references", tensor.Shape{c.Size}, fixed[float32](join[float32]), fixed[float64](join[float64]), batch.Labels, b.Input(memoryLabels, kept)),
		Valid:  b.Apply("valid references", tensor.Shape{c.Size}, fixed[float32](afterOnes[float32]), fixed[float64](afterOnes[float64]), valid),
		Self:   true, Ordered: true,
	}
	return c.Loss.Cost(b, batch)
}

func (c CrossBatchMemory) checkRows(rows int) error {
	if rows < 1 || rows >= c.Size {
		return errors.Errorf("%s: found size %d and %d images of a batch, expected a size above the images, because the batch is part of the memory", c.Name(), c.Size, rows)
	}
	return nil
}

// MarshalJSON also writes the name of the loss, since losses of two types may have the same
// fields.
func (c CrossBatchMemory) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Size, Warmup int
		Name         string
		Loss         Loss
	}{c.Size, c.Warmup, Weighted{Loss: c.Loss}.name(), c.Loss})
}

// followed joins embeddings of the batch (N, D) and of earlier ones (K, D). Its third operand is
// a factor on the gradient of the batch: 0 makes it constant.
type followed[T graph.Float] struct{}

func (followed[T]) Forward(y []T, x ...[]T) { join(y, x[:2]...) }

func (followed[T]) Backward(dx, x [][]T, _, dy []T) {
	for i, d := range dx {
		clear(d)
		if factor := x[2][0]; i == 0 && factor != 0 {
			for j := range d {
				d[j] = factor * dy[j]
			}
		}
	}
}

func join[T graph.Float](y []T, x ...[]T) { copy(y[copy(y, x[0]):], x[1]) }

// afterOnes writes the mask of earlier embeddings after ones, for the batch.
func afterOnes[T graph.Float](y []T, x ...[]T) {
	first := len(y) - len(x[0])
	for i := range first {
		y[i] = 1
	}
	copy(y[first:], x[0])
}

// Memory is what a CrossBatchMemory keeps between the steps of one training: a ring of the
// latest embeddings of earlier batches with their labels. Before each run of the graph call
// Set, and after each step Add. It is not safe for concurrent use.
type Memory struct {
	loss           CrossBatchMemory
	rows, features int // of a batch
	steps          int // added, with those of the warm-up
	embeddings     []float64
	labels         []float64
}

// NewMemory returns an empty memory for batches of so many images, whose embeddings have so
// many features.
func (c CrossBatchMemory) NewMemory(images, features int) (*Memory, error) {
	if err := c.checkRows(images); err != nil {
		return nil, err
	}
	if features < 1 || features > graph.MaxElements/c.Size {
		return nil, errors.Errorf("%s: found %d features and size %d, expected 1 to %d features", c.Name(), features, c.Size, graph.MaxElements/c.Size)
	}
	kept := c.Size - images
	return &Memory{loss: c, rows: images, features: features, embeddings: make([]float64, kept*features), labels: make([]float64, kept)}, nil
}

// FullAfter returns the number of steps, those of the warm-up included, after which the
// memory is full.
func (m *Memory) FullAfter() int {
	if m == nil || m.rows == 0 {
		return 0
	}
	return m.loss.Warmup + (len(m.labels)+m.rows-1)/m.rows
}

// added is the number of embeddings that were added, those that were overwritten included.
func (m *Memory) added() int { return max(0, m.steps-m.loss.Warmup) * m.rows }

// Set sets the inputs of the loss for the next run of a graph.
func (m *Memory) Set(program *graph.Program) error {
	if m == nil || m.rows == 0 {
		return errors.New("cross-batch memory: found none, expected one of NewMemory")
	}
	valid := make([]float64, len(m.labels))
	for i := range min(m.added(), len(valid)) {
		valid[i] = 1
	}
	gradient := []float64{0}
	if m.steps < m.loss.Warmup {
		gradient[0] = 1
	}
	for name, values := range map[string][]float64{memoryEmbeddings: m.embeddings, memoryLabels: m.labels, memoryValid: valid, memoryGradient: gradient} {
		if err := program.Set(name, values); err != nil {
			return errors.WithMessage(err, "cross-batch memory")
		}
	}
	return nil
}

// Add records a step with the embeddings (N, D) and the labels (N) of its batch, as the run of
// the graph computed them. After the warm-up they replace the oldest ones.
func (m *Memory) Add(embeddings, labels []float64) error {
	if m == nil || m.rows == 0 {
		return errors.New("cross-batch memory: found none, expected one of NewMemory")
	}
	if len(embeddings) != m.rows*m.features || len(labels) != m.rows {
		return errors.Errorf("cross-batch memory: found %d values of embeddings and %d labels, expected %d and %d", len(embeddings), len(labels), m.rows*m.features, m.rows)
	}
	if i := notFinite(embeddings); i >= 0 {
		return errors.Errorf("cross-batch memory: the embedding of image %d of the batch is not finite: use a lower learning rate", i/m.features)
	}
	if m.steps >= m.loss.Warmup {
		for i, first := 0, m.added(); i < m.rows; i++ {
			at := (first + i) % len(m.labels)
			copy(m.embeddings[at*m.features:][:m.features], embeddings[i*m.features:])
			m.labels[at] = labels[i]
		}
	}
	m.steps++
	return nil
}

// State returns copies of what Restore needs: the number of steps added, and the ring of
// embeddings (K, D) with their labels (K), K = Size − N. Its position and its fill follow
// from the steps.
func (m *Memory) State() (steps int, embeddings, labels []float64) {
	if m == nil {
		return 0, nil, nil
	}
	return m.steps, slices.Clone(m.embeddings), slices.Clone(m.labels)
}

// Restore continues from a State. After an error nothing has changed.
func (m *Memory) Restore(steps int, embeddings, labels []float64) error {
	switch {
	case m == nil || m.rows == 0:
		return errors.New("cross-batch memory: found none, expected one of NewMemory")
	case steps < 0 || steps > math.MaxInt32:
		return errors.Errorf("cross-batch memory: found %d steps, expected 0 to %d", steps, math.MaxInt32)
	case len(embeddings) != len(m.embeddings) || len(labels) != len(m.labels):
		return errors.Errorf("cross-batch memory: found %d values of embeddings and %d labels, expected %d and %d", len(embeddings), len(labels), len(m.embeddings), len(m.labels))
	case notFinite(embeddings) >= 0 || notFinite(labels) >= 0:
		return errors.New("cross-batch memory: found an embedding or a label that is not finite")
	}
	m.steps = steps
	copy(m.embeddings, embeddings)
	copy(m.labels, labels)
	return nil
}

// notFinite is the index of the first value that is not finite, or −1.
func notFinite(values []float64) int {
	return slices.IndexFunc(values, func(v float64) bool { return v-v != 0 })
}
