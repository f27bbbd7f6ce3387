package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Clone copies the weights and their values; nil stays nil.
func (w *Weights) Clone() *Weights { return w.Convert(w.Dtype()) }

// Convert copies the weights into another arithmetic; nil stays nil. To one that
// is neither Float32 nor Float64 nothing is copied: see NewWeights.
func (w *Weights) Convert(dtype tensor.Dtype) *Weights {
	if w == nil {
		return nil
	}
	other := NewWeights(dtype, w.seed)
	if other.check() != nil {
		return other
	}
	for _, weight := range w.All() {
		twin := other.add(weight.Name, weight.Role, weight.Value.Shape())
		twin.Frozen = weight.Frozen
		copyValue(twin.Value, weight.Value)
	}
	return other
}

// CopyFrom overwrites the values with those of the weights of the same names.
// It is an error when a name or a shape differs; then nothing is changed.
func (w *Weights) CopyFrom(source *Weights) error {
	if w == nil || source == nil {
		return errors.New("copy weights: found nil, expected two Weights")
	}
	for _, weight := range w.All() {
		other := source.Get(weight.Name)
		if other == nil {
			return errors.Errorf("weight %q is missing", weight.Name)
		}
		if !other.Value.Shape().Eq(weight.Value.Shape()) {
			return errors.Errorf("weight %q: found shape %v, expected %v", weight.Name, other.Value.Shape(), weight.Value.Shape())
		}
	}
	for _, other := range source.All() {
		if w.Get(other.Name) == nil {
			return errors.Errorf("weight %q is not part of the network", other.Name)
		}
	}
	for _, weight := range w.All() {
		copyValue(weight.Value, source.Get(weight.Name).Value)
	}
	return nil
}

// copyValue writes dst = src, on all threads where the arithmetic is the same: a
// network of many weights is copied before each step of its training.
func copyValue(dst, src *tensor.Dense) {
	switch narrow := src.Dtype() == Float32; {
	case src.Dtype() != dst.Dtype() && narrow:
		store(dst, src.Float32s())
	case src.Dtype() != dst.Dtype():
		store(dst, src.Float64s())
	case narrow:
		kernel.Copy(dst.Float32s(), src.Float32s())
	default:
		kernel.Copy(dst.Float64s(), src.Float64s())
	}
}
