package onnx_test

import "math"

// each applies f to every element.
func each(x array, f func(float64) float64) array {
	y := newArray(x.shape...)
	for i, v := range x.data {
		y.data[i] = f(v)
	}
	return y
}

// broadcast applies f to the elements of two arrays, in the manner of NumPy:
// shapes are aligned at their ends, and an extent of 1 goes with any.
func broadcast(x, y array, f func(x, y float64) float64) array {
	axes := max(len(x.shape), len(y.shape))
	shape := make([]int, axes)
	for axis := range shape {
		shape[axis] = max(extent(x, axis-axes), extent(y, axis-axes))
	}
	result := newArray(shape...)
	for i := range result.data {
		result.data[i] = f(at(x, i, shape), at(y, i, shape))
	}
	return result
}

// extent is that of an axis counted from the end: −1 is the last.
func extent(x array, axis int) int {
	if axis += len(x.shape); axis >= 0 {
		return x.shape[axis]
	}
	return 1
}

// at is the element of x that stands at a place in an array of the shape.
func at(x array, place int, shape []int) float64 {
	index, stride := 0, 1
	for axis := -1; axis >= -len(shape); axis-- {
		position := place % shape[len(shape)+axis]
		place /= shape[len(shape)+axis]
		if own := extent(x, axis); own > 1 {
			index += position * stride
			stride *= own
		}
	}
	return x.data[index]
}

// reduce adds up over all axes from the given one on.
func reduce(x array, axis int, keep bool, add func(sum, v float64) float64) array {
	y := newArray(x.shape[:axis]...)
	run := len(x.data) / len(y.data)
	for i, v := range x.data {
		y.data[i/run] = add(y.data[i/run], v)
	}
	if keep {
		y.shape = append(append([]int(nil), y.shape...), 1)
	}
	return y
}

// convolve takes x (batch, channels, height, width), the weight (filters,
// channels, kernel, kernel) and perhaps a bias (filters).
func convolve(operands []array, attributes map[string][]int) array {
	x, weight := operands[0], operands[1]
	stride, padding, kernel := attributes["strides"][0], attributes["pads"][0], attributes["kernel_shape"][0]
	channels, height, width := x.shape[1], x.shape[2], x.shape[3]
	rows, columns := (height+2*padding-kernel)/stride+1, (width+2*padding-kernel)/stride+1
	y := newArray(x.shape[0], weight.shape[0], rows, columns)
	for place := range y.data {
		column, row := place%columns, place/columns%rows
		filter, image := place/columns/rows%weight.shape[0], place/columns/rows/weight.shape[0]
		sum := 0.0
		if len(operands) > 2 {
			sum = operands[2].data[filter]
		}
		for c := range channels {
			for i := range kernel {
				for j := range kernel {
					top, left := row*stride+i-padding, column*stride+j-padding
					if top >= 0 && top < height && left >= 0 && left < width {
						sum += weight.data[((filter*channels+c)*kernel+i)*kernel+j] * x.data[((image*channels+c)*height+top)*width+left]
					}
				}
			}
		}
		y.data[place] = sum
	}
	return y
}

// pool folds each window of x (batch, channels, height, width).
func pool(x array, attributes map[string][]int, first float64, add func(a, b float64) float64) array {
	size, stride := attributes["kernel_shape"][0], attributes["strides"][0]
	height, width := x.shape[2], x.shape[3]
	rows, columns := (height-size)/stride+1, (width-size)/stride+1
	y := newArray(x.shape[0], x.shape[1], rows, columns)
	for place := range y.data {
		column, row, plane := place%columns, place/columns%rows, place/columns/rows
		y.data[place] = first
		for i := range size {
			for j := range size {
				y.data[place] = add(y.data[place], x.data[(plane*height+row*stride+i)*width+column*stride+j])
			}
		}
	}
	return y
}

// multiply is Gemm with the weight (units, features), and perhaps a bias.
func multiply(operands []array) array {
	x, weight := operands[0], operands[1]
	units, features := weight.shape[0], weight.shape[1]
	y := newArray(x.shape[0], units)
	for place := range y.data {
		if len(operands) > 2 {
			y.data[place] = operands[2].data[place%units]
		}
		for j := range features {
			y.data[place] += weight.data[place%units*features+j] * x.data[place/units*features+j]
		}
	}
	return y
}

// normalizeChannels is batch norm by the given mean and variance.
func normalizeChannels(operands []array) array {
	x, channels := operands[0], operands[0].shape[1]
	y := newArray(x.shape...)
	pixels := len(x.data) / x.shape[0] / channels
	for i, v := range x.data {
		c := i / pixels % channels
		y.data[i] = operands[1].data[c]*(v-operands[3].data[c])/math.Sqrt(operands[4].data[c]+1e-5) + operands[2].data[c]
	}
	return y
}
