package graph

import (
	"path"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Role is what a weight is for; solvers and penalties treat roles differently.
type Role int

const (
	Kernel Role = iota // convolution and matrix weights: the ones that decay
	Bias               // added to a channel or a feature
	Gain               // multiplies a channel: batch norm's scale, PReLU's slope
	Buffer             // batch norm's running mean and variance: never learned
)

// Weight is one named tensor of a network in canonical layout: a convolution
// is (out, in, height, width), a fully connected layer (out, in) with its
// inputs in channel-height-width order, both as in PyTorch.
type Weight struct {
	Name   string
	Role   Role
	Value  *tensor.Dense
	Frozen bool // kept as it is by training
}

// String names the role.
func (r Role) String() string {
	switch r {
	case Kernel:
		return "kernel"
	case Bias:
		return "bias"
	case Gain:
		return "gain"
	case Buffer:
		return "buffer"
	}
	return "unknown role"
}

// Learned says whether training changes the weight by its gradient.
func (w *Weight) Trainable() bool { return w != nil && w.Role != Buffer && !w.Frozen }

// Weights are the named weights of a network. They outlive the graphs that are
// built on them: a training graph, an evaluation graph and graphs of other
// batch sizes bind the same tensors.
//
// A weight comes into being when a graph first asks for it, with a value drawn
// from the seed and its name alone, so that the order of building changes
// nothing.
type Weights struct {
	dtype  tensor.Dtype
	seed   uint64
	names  []string // in the order of creation
	byName map[string]*Weight
}

// NewWeights is an empty set of weights with the given arithmetic, Float32 or
// Float64, and seed. Of another arithmetic, Add and Build return an error, as they
// do for a nil and a zero Weights.
func NewWeights(dtype tensor.Dtype, seed uint64) *Weights {
	return &Weights{dtype: dtype, seed: seed, byName: map[string]*Weight{}}
}

// Dtype is the arithmetic of the weights and of every graph built on them.
func (w *Weights) Dtype() tensor.Dtype {
	if w == nil {
		return tensor.Dtype{}
	}
	return w.dtype
}

// check says why there can be no weights.
func (w *Weights) check() error {
	switch {
	case w == nil || w.byName == nil:
		return errors.New("found no weights, expected those of NewWeights")
	case w.dtype != Float32 && w.dtype != Float64:
		return errors.New("found weights of another arithmetic, expected Float32 or Float64")
	}
	return nil
}

// Get finds a weight by name; it is nil when there is none.
func (w *Weights) Get(name string) *Weight {
	if w == nil {
		return nil
	}
	return w.byName[name]
}

// All lists the weights in the order in which they came into being.
func (w *Weights) All() []*Weight {
	if w == nil {
		return nil
	}
	all := make([]*Weight, len(w.names))
	for i, name := range w.names {
		all[i] = w.byName[name]
	}
	return all
}

// Count is the number of parameters: the elements of all weights but the
// statistics.
func (w *Weights) Count() int {
	count := 0
	for _, weight := range w.All() {
		if weight.Role != Buffer {
			count += weight.Value.Size()
		}
	}
	return count
}

// elements is the number of elements of all weights, statistics among them.
func (w *Weights) elements() int {
	elements := 0
	for _, weight := range w.byName {
		elements += weight.Value.Size()
	}
	return elements
}

// Add puts a weight of known value into the set, as a reader of files does.
// The elements are copied and converted to the set's arithmetic.
func (w *Weights) Add(name string, role Role, shape []int, elements []float64) error {
	if err := w.check(); err != nil {
		return errors.Wrapf(err, "weight %q", name)
	}
	if w.byName[name] != nil {
		return errors.Errorf("weight %q is there already", name)
	}
	if len(shape) > 0 && !extents(shape) {
		return errors.Errorf("weight %q: found shape %v, expected extents of at least 1", name, shape)
	}
	if size := tensor.Shape(shape).TotalSize(); size != len(elements) {
		return errors.Errorf("weight %q: found %d elements, expected %d for shape %v", name, len(elements), size, shape)
	}
	store(w.add(name, role, shape).Value, elements)
	return nil
}

func (w *Weights) add(name string, role Role, shape tensor.Shape) *Weight {
	weight := &Weight{Name: name, Role: role, Value: tensor.New(tensor.Of(w.dtype), tensor.WithShape(shape...))}
	w.names = append(w.names, name)
	w.byName[name] = weight
	return weight
}

// forget drops all but the first weights, of the given number.
func (w *Weights) forget(first int) {
	for _, name := range w.names[first:] {
		delete(w.byName, name)
	}
	w.names = w.names[:first]
}

// NotFinite names the first weight with an element that is no finite number; it is
// empty where there is none.
func (w *Weights) NotFinite() string {
	for _, weight := range w.All() {
		narrow := weight.Value.Dtype() == Float32
		if narrow && !kernel.Finite(weight.Value.Float32s()) || !narrow && !kernel.Finite(weight.Value.Float64s()) {
			return weight.Name
		}
	}
	return ""
}

// Freeze keeps the weights whose names match one of the patterns as they are.
// A pattern is a name, a block's name such as "conv1", or a path.Match pattern
// such as "conv[12].*". A pattern that matches nothing is an error; then
// nothing is frozen. Graphs built later treat frozen weights as constants.
func (w *Weights) Freeze(patterns ...string) error {
	var frozen []*Weight
	for _, pattern := range patterns {
		found := false
		for _, weight := range w.All() {
			matches, err := path.Match(pattern, weight.Name)
			if err != nil {
				return errors.Wrapf(err, "freeze %q", pattern)
			}
			if matches || hasPrefix(weight.Name, pattern) {
				frozen, found = append(frozen, weight), true
			}
		}
		if !found && w == nil {
			return errors.Errorf("freeze %q: the weights are nil", pattern)
		}
		if !found {
			return errors.Errorf("freeze %q: no weight has such a name; there are %v", pattern, w.names)
		}
	}
	for _, weight := range frozen {
		weight.Frozen = true
	}
	return nil
}

// hasPrefix says whether name lies in the block, as "conv1.weight" in "conv1".
func hasPrefix(name, block string) bool {
	return len(name) > len(block) && name[:len(block)] == block && name[len(block)] == '.'
}
