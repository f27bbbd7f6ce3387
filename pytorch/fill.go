package pytorch

import (
	"maps"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// Fill overwrites the model's weights with the tensors that the mapping names.
// Every weight but a head's must be mapped or stay by intention, and every tensor
// must be mapped or ignored. After an error nothing is changed.
func (f *File) Fill(model *likeness.Model, mapping Mapping) error {
	if err := f.check(model); err != nil {
		return err
	}
	if dtype := model.Weights.Dtype(); dtype != graph.Float32 {
		return errors.Errorf("%s: found a model of %v, expected one of float32", f.path, dtype)
	}
	assignments, err := mapping.assign(model.Weights)
	if err != nil {
		return errors.Wrap(err, mapping.where())
	}
	for _, a := range assignments {
		if f.find(a.tensor) == nil {
			return errors.Wrapf(nearest.Unknown("tensor", a.tensor, f.names()), "%s: for weight %q", f.path, a.weight.Name)
		}
	}
	if err := f.complete(mapping, assignments); err != nil {
		return err
	}
	values := make([][]float32, len(assignments))
	for i, a := range assignments {
		if values[i], err = fit(model, a, f.find(a.tensor)); err != nil {
			return errors.Wrapf(err, "%s: tensor %q for weight %q", f.path, a.tensor, a.weight.Name)
		}
	}
	for i, a := range assignments {
		copy(a.weight.Value.Data().([]float32), values[i])
	}
	return nil
}

// complete says whether every tensor has a place.
func (f *File) complete(m Mapping, assignments []assignment) error {
	ignored, err := matching(m.Ignore, f.names())
	if err != nil {
		return errors.Wrapf(err, "%s: ignore", m.where())
	}
	for _, name := range f.names() {
		taken := slices.ContainsFunc(assignments, func(a assignment) bool { return a.tensor == name })
		switch {
		case taken && ignored[name]:
			return errors.Errorf("%s: tensor %q is mapped and ignored, expected one of the two", m.where(), name)
		case !taken && !ignored[name]:
			return errors.Errorf("%s: tensor %q %v is mapped to no weight: map it, or list it under ignore", f.path, name, show(f.find(name).Shape))
		}
	}
	return nil
}

// fit gives the tensor's elements in the order of the weight's.
func fit(model *likeness.Model, a assignment, found *safetensors.Tensor) ([]float32, error) {
	data, err := elements(found)
	if err != nil {
		return nil, err
	}
	shape := []int(a.weight.Value.Shape())
	expected := shape
	if a.layout != "" {
		extents, err := extentsOf(layouts[a.layout], shape, func() ([3]int, error) { return flattened(model, a.weight.Name) })
		if err != nil {
			return nil, errors.Wrapf(err, "layout %q", a.layout)
		}
		if expected = shapeOf(a.layout, extents); slices.Equal(found.Shape, expected) {
			return rearrange(data, extents, axes(a.layout), axes(layouts[a.layout])), nil
		}
	}
	switch {
	case slices.Equal(found.Shape, expected):
		return slices.Clone(data), nil
	case isSlope(a.weight.Name) && len(data) == 1: // PyTorch's usual PReLU: one slope for all channels
		return slices.Repeat(data, shape[0]), nil
	}
	err = errors.Errorf("found shape %v, expected %v", show(found.Shape), show(expected))
	if others := layoutsOf(model, a.weight, found.Shape); len(others) > 0 {
		err = errors.WithMessagef(err, "a tensor of layout %s would have this shape", strings.Join(others, " or "))
	}
	return nil, err
}

// layoutsOf are the layouts in which the weight would have the shape.
func layoutsOf(model *likeness.Model, weight *graph.Weight, shape []int) []string {
	var fitting []string
	for _, layout := range slices.Sorted(maps.Keys(layouts)) {
		extents, err := extentsOf(layouts[layout], weight.Value.Shape(), func() ([3]int, error) { return flattened(model, weight.Name) })
		if err == nil && slices.Equal(shapeOf(layout, extents), shape) {
			fitting = append(fitting, layout)
		}
	}
	return fitting
}

// isSlope says whether a weight is a PReLU's.
func isSlope(name string) bool {
	layer, suffix := cut(name)
	return suffix == "weight" && strings.Contains(layer, "prelu")
}
