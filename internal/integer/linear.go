package integer

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Linear is a fully connected layer:
//
//	s[b, o] = bias[o] + Σ (x[b, i] − zero) · weight[o, i]
//
// with x (batch, features) of bytes.
type Linear struct {
	features, outputs int
	requantize        *Requantize
	weights           []int8
	initial           []int32
}

// NewLinear packs the weights of a layer, (outputs, features). If x are images, whose channels are
// their innermost dimension, but the weights are in the order of flattened images of
// PyTorch, (channels, height, width), image is their shape, and otherwise the zero value. With a
// nil q there is no Forward, only Sums.
func NewLinear(features, outputs int, image Shape, w Weights, q *Requantize) (*Linear, error) {
	if features < 1 || outputs < 1 || features > (1<<31-1)/outputs {
		return nil, errors.Errorf("found %d features and %d outputs, both must be at least 1 and their product less than 2^31", features, outputs)
	}
	if image != (Shape{}) {
		if err := image.validate(); err != nil {
			return nil, err
		}
		if image.Size() != features {
			return nil, errors.Errorf("found images of %v and %d features", image, features)
		}
	}
	initial, bounds, err := w.sums(outputs, features)
	if err != nil {
		return nil, err
	}
	if q != nil {
		if err := q.validate(outputs, func(c int) int64 { return bounds[c] }); err != nil {
			return nil, err
		}
	}
	weights := w.Values
	if image.Channels > 1 && image.Size() > image.Channels {
		weights = make([]int8, len(w.Values))
		pixels := image.Height * image.Width
		for o := range outputs {
			from, to := w.Values[o*features:][:features], weights[o*features:][:features]
			for i := range to {
				to[i] = from[i%image.Channels*pixels+i/image.Channels]
			}
		}
	}
	return &Linear{features: features, outputs: outputs, requantize: q, weights: weights, initial: initial}, nil
}

// Forward writes y (batch, outputs), given x (batch, features) and, if the results have an addend,
// that, of the shape of y.
func (l *Linear) Forward(y, x, addend []uint8, batch int) {
	checkLength("y", y, batch*l.outputs)
	if l.requantize.Addend != nil {
		checkLength("the addend", addend, batch*l.outputs)
	}
	l.run(x, batch, func(i, output int, sum int32) {
		var a uint8
		if l.requantize.Addend != nil {
			a = addend[i*l.outputs+output]
		}
		y[i*l.outputs+output] = l.requantize.byteOf(sum, output, a)
	})
}

// Sums writes the sums themselves, y (batch, outputs).
func (l *Linear) Sums(y []int32, x []uint8, batch int) {
	checkLength("y", y, batch*l.outputs)
	l.run(x, batch, func(i, output int, sum int32) { y[i*l.outputs+output] = sum })
}

func (l *Linear) run(x []uint8, batch int, put func(i, output int, sum int32)) {
	checkLength("x", x, batch*l.features)
	parallel.For(l.outputs, func(output int) {
		weights := l.weights[output*l.features:][:l.features]
		for i := range batch {
			sum := l.initial[output]
			for k, a := range x[i*l.features:][:l.features] {
				sum += int32(a) * int32(weights[k])
			}
			put(i, output, sum)
		}
	})
}
