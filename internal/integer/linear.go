package integer

import (
	"github.com/likeness-go/likeness/internal/vector"
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
	columns           packed
}

// NewLinear packs the weights of a layer, (outputs, features). If x are images, whose channels are
// their innermost dimension, but the weights are in the order of flattened images of
// PyTorch, (channels, height, width), image is their shape, and otherwise the zero value. With a
// nil q there is no Forward, only Sums.
func NewLinear(features, outputs int, image Shape, w Weights, q *Requantize) (*Linear, error) {
	return newLinear(vector.ByteEngineOf(vector.For[float32]()), features, outputs, image, w, q)
}

func newLinear(e vector.ByteEngine, features, outputs int, image Shape, w Weights, q *Requantize) (*Linear, error) {
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
	initial, err := w.sums(outputs, features)
	if err != nil {
		return nil, err
	}
	if q != nil {
		if err := q.validateSums(outputs); err != nil {
			return nil, err
		}
	}
	pixels, channels := 1, features
	if image != (Shape{}) {
		pixels, channels = image.Height*image.Width, image.Channels
	}
	depth := ceilDiv(features, 4) * 4
	ordered := make([]int8, outputs*depth)
	for o := range outputs {
		from, to := w.Values[o*features:][:features], ordered[o*depth:]
		for c := range channels {
			for p, v := range from[c*pixels:][:pixels] {
				to[p*channels+c] = v
			}
		}
	}
	return &Linear{features: features, outputs: outputs, requantize: q, columns: newPacked(e, ordered, depth, initial, q, 0)}, nil
}

// Forward writes y (batch, outputs), given x (batch, features) and, if the results have an addend,
// that, of the shape of y.
func (l *Linear) Forward(y, x, addend []uint8, batch int) {
	checkLength("y", y, batch*l.outputs)
	if l.requantize.Addend == nil {
		addend = nil
	} else {
		checkLength("the addend", addend, batch*l.outputs)
	}
	l.run(y, nil, x, addend, batch)
	if l.requantize.Table != nil {
		l.columns.engine.Lookup(y, y, l.requantize.Table)
	}
}

// Sums writes the sums themselves, y (batch, outputs).
func (l *Linear) Sums(y []int32, x []uint8, batch int) {
	checkLength("y", y, batch*l.outputs)
	l.run(nil, y, x, nil, batch)
}

func (l *Linear) run(y []uint8, sums []int32, x, addend []uint8, batch int) {
	checkLength("x", x, batch*l.features)
	if batch == 0 {
		return
	}
	padded := l.columns.depth
	var copied *workspace
	if padded != l.features {
		copied = borrow(0)
		defer copied.release()
		to := grow(&copied.halo, batch*padded)
		for i := range batch {
			row := to[i*padded:][:padded]
			clear(row[copy(row, x[i*l.features:][:l.features]):])
		}
		x = to
	}
	// Few rows read the weights from memory: each part of the work has its own.
	const rowsOfPart, rowsOfPrefetch = 96, 8
	parts := ceilDiv(batch, rowsOfPart)
	panels := len(l.columns.panels)
	divide(parts*panels, func(w *workspace, i int) {
		first, last := i/panels*batch/parts, (i/panels+1)*batch/parts
		r := &w.rows
		*r = vector.ByteRows{X: x, Y: y, Sums: sums, Addend: addend, Segments: 1, Length: padded, Stride: padded}
		xOffsets, yOffsets := grow(&w.xOffsets, last-first), grow(&w.yOffsets, last-first)
		for row := first; row < last; row++ {
			xOffsets[row-first], yOffsets[row-first] = int32(row*padded), int32(row*l.outputs)
		}
		r.XOffsets, r.YOffsets = xOffsets, yOffsets
		var after []uint8 // most likely the next of this thread, which few rows read as fast as it is loaded ahead
		if next := i%panels + 1; next < panels && last-first >= rowsOfPrefetch {
			after = l.columns.panel(next)
		}
		l.columns.multiply(r, i%panels, i%panels+1, after)
	})
}
