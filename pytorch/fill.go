package pytorch

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Fill overwrites the weights of the model with the tensors of the mapping. Every weight
// must be mapped or listed under initial, except those of the head, and every tensor
// must be mapped or ignored. After an error nothing has changed.
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
			return errors.Wrapf(wording.Unknown("tensor", a.tensor, f.names()), "%s: for weight %q", f.path, a.weight.Name)
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

// complete returns an error if a tensor is neither mapped nor ignored.
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

// fit returns the elements of the tensor in the order of those of the weight.
//
// Shapes are compared before elements are read: those of a file are only claims, of which
// strides of 0 allow any number.
func fit(model *likeness.Model, a assignment, found *safetensors.Tensor) ([]float32, error) {
	shape := []int(a.weight.Value.Shape())
	expected := shape
	if a.layout != "" {
		extents, err := extentsOf(layouts[a.layout], shape, func() ([3]int, error) { return flattened(model, a.weight.Name) })
		if err != nil {
			return nil, errors.Wrapf(err, "layout %q", a.layout)
		}
		if expected = shapeOf(a.layout, extents); slices.Equal(found.Shape, expected) {
			data, err := elements(found)
			if err != nil {
				return nil, err
			}
			return rearrange(data, extents, axes(a.layout), axes(layouts[a.layout])), nil
		}
	}
	fits := slices.Equal(found.Shape, expected) || a.layout == "" && slices.Equal(withoutOnes(found.Shape), withoutOnes(expected))
	// PyTorch's default PReLU has one slope for all channels.
	oneSlope := isSlope(a.weight.Name) && len(withoutOnes(found.Shape)) == 0
	if !fits && !oneSlope {
		err := errors.Errorf("found shape %v, expected %v", show(found.Shape), show(expected))
		if others := layoutsOf(model, a.weight, found.Shape); len(others) > 0 {
			err = errors.WithMessagef(err, "a tensor of layout %s would have this shape", strings.Join(others, " or "))
		}
		return nil, err
	}
	data, err := elements(found)
	switch {
	case err != nil:
		return nil, err
	case !fits:
		return slices.Repeat(data, shape[0]), nil
	}
	return slices.Clone(data), nil
}

// withoutOnes returns a shape without the dimensions of 1 at its end, which do not change
// the order of elements: a fully connected layer, (out, in), is a 1×1 convolution,
// (out, in, 1, 1).
func withoutOnes(shape []int) []int {
	for len(shape) > 0 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}

// layoutsOf returns the layouts in which the weight would have the shape.
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

// isSlope reports whether a weight is the slope of a PReLU.
func isSlope(name string) bool {
	layer, suffix := cut(name)
	return suffix == "weight" && strings.Contains(layer, "prelu")
}

// assignment is a tensor and the weight that it is assigned to.
type assignment struct {
	weight *graph.Weight
	tensor string
	layout string
}

// assign finds the weights and tensors of the mapping.
func (m Mapping) assign(weights *graph.Weights) ([]assignment, error) {
	var names []string
	for _, weight := range weights.All() {
		names = append(names, weight.Name)
	}
	initial, err := matching(m.Initial, names)
	if err != nil {
		return nil, errors.Wrap(err, "initial")
	}
	var assignments []assignment
	mapped := map[string]bool{}
	for _, source := range m.Sources {
		known := false
		for _, weight := range weights.All() {
			rest, within := strings.CutPrefix(weight.Name, source.Weight)
			if !within || rest != "" && rest[0] != '.' {
				continue
			}
			known = true
			if rest != "" && initial[weight.Name] {
				continue // a layer without this weight
			}
			if mapped[weight.Name] {
				return nil, errors.Errorf("weight %q is mapped twice", weight.Name)
			}
			mapped[weight.Name] = true
			a := assignment{weight: weight, tensor: source.Tensor + rest}
			if rest == "" || weight.Value.Dims() > 1 {
				a.layout = source.Layout // the layout of a layer applies to its kernel
			}
			assignments = append(assignments, a)
		}
		if !known {
			return nil, unknownWeight(source.Weight, names)
		}
	}
	for _, name := range names {
		switch {
		case mapped[name] && initial[name]:
			return nil, errors.Errorf("weight %q is mapped and initial, expected one of the two", name)
		case !mapped[name] && !initial[name] && !strings.HasPrefix(name, "head."):
			return nil, errors.Errorf("no tensor is mapped to weight %q %v: map one, or list the weight under initial", name, show(weights.Get(name).Value.Shape()))
		}
	}
	return assignments, nil
}

// unknownWeight is the error of an unknown weight, or of an unknown layer if the name has
// no dot.
func unknownWeight(name string, weights []string) error {
	if strings.Contains(name, ".") {
		return wording.Unknown("weight", name, weights)
	}
	var layers []string
	for _, weight := range weights {
		layer, _ := cut(weight)
		layers = append(layers, layer)
	}
	return wording.Unknown("layer", name, slices.Compact(layers))
}

// matching returns the set of names that the patterns match. A pattern that matches no
// name is an error.
func matching(patterns, names []string) (map[string]bool, error) {
	matched := map[string]bool{}
	for _, pattern := range patterns {
		found := false
		for _, name := range names {
			matches, err := path.Match(pattern, name)
			if err != nil {
				return nil, errors.Wrapf(err, "pattern %q", pattern)
			}
			if matches || strings.HasPrefix(name, pattern+".") {
				matched[name], found = true, true
			}
		}
		if !found {
			return nil, errors.Errorf("pattern %q matches none of %s", pattern, strings.Join(names, ", "))
		}
	}
	return matched, nil
}

// flattened returns the size (channels, height, width) of the images that are flattened
// before the fully connected layer of the named weight.
func flattened(model *likeness.Model, name string) ([3]int, error) {
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return [3]int{}, errors.Errorf("the backbone is of type %T, expected a list of blocks, which shows the size of the flattened images", model.Backbone)
	}
	flatten, linear := -1, 0 // the last flatten block, and the number of linear ones
	for i, block := range network.Blocks {
		switch block.(type) {
		case graph.Flatten:
			flatten = i
		case graph.Linear:
			linear++
			if name == "linear"+strconv.Itoa(linear)+".weight" && flatten >= 0 {
				return sizeBefore(network, model.Weights, flatten)
			}
			flatten = -1
		}
	}
	return [3]int{}, errors.New("found no flatten block directly before the layer")
}

// sizeBefore returns the size of the input of a block.
func sizeBefore(network backbone.Network, weights *graph.Weights, block int) (size [3]int, err error) {
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		images := b.Sequence(network.Blocks[:block], b.Input("images", 1, network.Size.Height, network.Size.Width, network.Size.Channels))
		shape := images.Shape()
		size = [3]int{shape[3], shape[1], shape[2]}
		return graph.Outputs{"images": images}
	})
	if err != nil {
		return size, err
	}
	return size, program.Close()
}

// layouts are the orders of axes that a tensor may have, each with the order of the
// weight. Axes in brackets are one axis of the tensor; c, h and w are the axes of the
// images before they are flattened.
var layouts = map[string]string{
	"oihw": "oihw", "hwio": "oihw", "ohwi": "oihw",
	"oi": "oi", "io": "oi",
	"o(hwc)": "o(chw)", "(hwc)o": "o(chw)",
}

// axes returns a layout without brackets.
func axes(layout string) string { return strings.NewReplacer("(", "", ")", "").Replace(layout) }

// shapeOf returns the shape of an array in the layout, given the extents of the axes.
func shapeOf(layout string, extents map[rune]int) []int {
	var shape []int
	within := false
	for _, axis := range layout {
		switch {
		case axis == '(':
			shape, within = append(shape, 1), true
		case axis == ')':
			within = false
		case within:
			shape[len(shape)-1] *= extents[axis]
		default:
			shape = append(shape, extents[axis])
		}
	}
	return shape
}

// extentsOf returns the extents of the axes of a weight's own layout. size returns
// (channels, height, width) of the images that are flattened before the weight; it is
// called only if the layout needs it.
func extentsOf(own string, shape []int, size func() ([3]int, error)) (map[rune]int, error) {
	if len(own) == len(shape) {
		extents := map[rune]int{}
		for i, axis := range own {
			extents[axis] = shape[i]
		}
		return extents, nil
	}
	if own != "o(chw)" || len(shape) != 2 {
		return nil, errors.Errorf("the layout is that of another kind of weight: this one has shape %v", show(shape))
	}
	s, err := size()
	if err != nil {
		return nil, err
	}
	return map[rune]int{'o': shape[0], 'c': s[0], 'h': s[1], 'w': s[2]}, nil
}

// rearrange copies an array from one order of axes to another.
func rearrange(data []float32, extents map[rune]int, from, to string) []float32 {
	if from == to {
		return slices.Clone(data)
	}
	strides, stride := map[rune]int{}, 1
	for _, axis := range slices.Backward([]rune(from)) {
		strides[axis] = stride
		stride *= extents[axis]
	}
	order := []rune(to)
	result := make([]float32, 0, len(data))
	var walk func(axis, offset int)
	walk = func(axis, offset int) {
		if axis == len(order) {
			result = append(result, data[offset])
			return
		}
		for range extents[order[axis]] {
			walk(axis+1, offset)
			offset += strides[order[axis]]
		}
	}
	walk(0, 0)
	return result
}
