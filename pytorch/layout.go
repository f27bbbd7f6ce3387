package pytorch

import (
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// layouts are the orders of axes that a tensor may have, each with that of the
// weight that it becomes. Axes in brackets are one axis of the tensor; c, h and w
// are those of the images before they were flattened.
var layouts = map[string]string{
	"oihw": "oihw", "hwio": "oihw", "ohwi": "oihw",
	"oi": "oi", "io": "oi",
	"o(hwc)": "o(chw)", "(hwc)o": "o(chw)",
}

// axes are a layout without its brackets.
func axes(layout string) string { return strings.NewReplacer("(", "", ")", "").Replace(layout) }

// shapeOf is the shape of an array in the layout, given the extents of the axes.
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

// extentsOf gives the extents of the axes of a weight's own layout. The size
// (channels, height, width) is that of the images that were flattened before
// the weight, and is asked for where the layout needs it.
func extentsOf(own string, shape []int, size func() ([3]int, error)) (map[rune]int, error) {
	if len(own) == len(shape) {
		extents := map[rune]int{}
		for i, axis := range own {
			extents[axis] = shape[i]
		}
		return extents, nil
	}
	if own != "o(chw)" || len(shape) != 2 {
		return nil, errors.Errorf("the layout is of another kind of weight: this one has shape %v", show(shape))
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
