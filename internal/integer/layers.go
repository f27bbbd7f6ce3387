package integer

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Add is the sum of two tensors with scales:
//
//	y = clamp(Zero + round((a − zeroA)·scaleA + (b − zeroB)·scaleB), Low, High)
//
// with the bounds, the zero point and the table of a Requantize.
type Add struct {
	engine vector.ByteEngine
	zero   uint8 // of the first tensor
	result vector.WideByteResult
	table  []uint8
}

// NewAdd returns the layer. q has one scale, which is that of the first tensor, and an addend.
func NewAdd(zero uint8, q Requantize) (*Add, error) {
	return newAdd(vector.ByteEngineOf(vector.For[float32]()), zero, q)
}

func newAdd(e vector.ByteEngine, zero uint8, q Requantize) (*Add, error) {
	if len(q.Scale) != 1 || q.Addend == nil {
		return nil, errors.Errorf("found %d scales and the addend %v, expected one scale and an addend", len(q.Scale), q.Addend)
	}
	if err := q.validateWide(1, 255); err != nil {
		return nil, err
	}
	return &Add{e, zero, q.wide(1), q.Table}, nil
}

// Forward writes y, given a and b, all of the same length. y may be a or b.
func (l *Add) Forward(y, a, b []uint8) {
	checkLength("b", b, len(a))
	checkLength("y", y, len(a))
	eachChunk(len(a), func(first, last int) {
		l.engine.Add(y[first:last], a[first:last], b[first:last], l.zero, &l.result)
		if l.table != nil {
			l.engine.Lookup(y[first:last], y[first:last], l.table)
		}
	})
}

// Multiply multiplies each channel of an image by a byte:
//
//	y = clamp(Zero + round((x − zeroX)·(gate − zeroGate)·Scale[c]), Low, High)
//
// as squeeze-and-excitation does.
type Multiply struct {
	engine          vector.ByteEngine
	zeroX, zeroGate uint8
	result          vector.WideByteResult
	table           []uint8
}

// NewMultiply returns the layer. q has one scale.
func NewMultiply(zeroX, zeroGate uint8, q Requantize) (*Multiply, error) {
	return newMultiply(vector.ByteEngineOf(vector.For[float32]()), zeroX, zeroGate, q)
}

func newMultiply(e vector.ByteEngine, zeroX, zeroGate uint8, q Requantize) (*Multiply, error) {
	if len(q.Scale) != 1 || q.Addend != nil {
		return nil, errors.Errorf("found %d scales and the addend %v, expected one scale and no addend", len(q.Scale), q.Addend)
	}
	if err := q.validateWide(1, 255*255); err != nil {
		return nil, err
	}
	return &Multiply{e, zeroX, zeroGate, q.wide(1), q.Table}, nil
}

// Forward writes y (batch, pixels, channels), given x of the same shape and gate (batch, channels).
// y may be x.
func (m *Multiply) Forward(y, x, gate []uint8, pixels, channels, batch int) {
	checkLength("x", x, batch*pixels*channels)
	checkLength("y", y, len(x))
	checkLength("gate", gate, batch*channels)
	if channels == 0 {
		return
	}
	const chunk = 16 << 10
	rows := max(1, chunk/channels)
	parts := ceilDiv(pixels, rows)
	divide(batch*parts, func(w *workspace, i int) {
		image, first := i/parts, i%parts*rows
		factors := grow(&w.factors, channels)
		for c, a := range gate[image*channels:][:channels] {
			factors[c] = int32(a) - int32(m.zeroGate)
		}
		from, to := (image*pixels+first)*channels, (image*pixels+min(pixels, first+rows))*channels
		m.engine.Multiply(y[from:to], x[from:to], factors, m.zeroX, &m.result)
		if m.table != nil {
			m.engine.Lookup(y[from:to], y[from:to], m.table)
		}
	})
}

// Lookup writes y[i] = table[x[i]]. y may be x. The table has 256 bytes.
func Lookup(y, x, table []uint8) {
	checkLength("y", y, len(x))
	checkLength("the table", table, 256)
	e := vector.ByteEngineOf(vector.For[float32]())
	eachChunk(len(x), func(first, last int) { e.Lookup(y[first:last], x[first:last], table) })
}

// LookupPixels writes y[i] = tables[c][x[i]] for pixels, with c = i mod channels, the channel of a byte. y may be x.
// Each of the tables has 256 bytes.
func LookupPixels(y, x, tables []uint8, channels int) {
	checkLength("y", y, len(x))
	checkLength("the tables", tables, 256*channels)
	vector.ByteEngineOf(vector.For[float32]()).Lookups(y, x, tables, channels)
}

// Flatten writes images (batch, height, width, channels) in PyTorch's order, (batch, channels, height,
// width). A fully connected layer after images does not need it, see NewLinear.
func Flatten(y, x []uint8, image Shape, batch int) {
	checkLength("x", x, batch*image.Size())
	checkLength("y", y, len(x))
	pixels := image.Height * image.Width
	parallel.For(batch, func(b int) {
		from, to := x[b*image.Size():], y[b*image.Size():]
		for p := range pixels {
			for c := range image.Channels {
				to[c*pixels+p] = from[p*image.Channels+c]
			}
		}
	})
}

// eachChunk calls work for parts of n elements.
func eachChunk(n int, work func(first, last int)) {
	const chunk = 16 << 10
	parallel.For(int(math.Ceil(float64(n)/chunk)), func(i int) { work(i*chunk, min(n, (i+1)*chunk)) })
}
