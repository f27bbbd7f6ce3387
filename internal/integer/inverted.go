package integer

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Inverted is an inverted residual (Sandler et al. 2018): a 1×1 convolution that expands the
// channels, a depthwise convolution, and a 1×1 convolution that projects, whose addend may be the
// input. It computes a few rows at a time, so that the expanded channels, of which there are several
// times as many as of the input and of the result, stay in the level 2 cache. Its results are those
// of the convolutions one after the other.
type Inverted struct {
	expand, depthwise, project *Conv // expand may be nil

	band              int     // rows of the result that are computed at a time
	ring              int     // rows of expanded channels that are kept
	row, left         int     // bytes of such a row, and of its left border
	inputs, between   []int32 // offsets of the pixels of the input and of the depthwise result,
	expanded, results []int32 // of the expanded rows and of the result
}

// invertedBytes is about the size of the expanded rows and the depthwise results that are used at a
// time.
const invertedBytes = 256 << 10

// NewInverted returns the combination of convolutions, of which the first may be nil.
func NewInverted(expand, depthwise, project *Conv) (*Inverted, error) {
	k := &Inverted{expand: expand, depthwise: depthwise, project: project}
	if depthwise == nil || project == nil {
		return nil, errors.New("an inverted residual needs a depthwise convolution and one that projects")
	}
	if expand != nil && expand.shape.Output() != depthwise.shape.Input {
		return nil, errors.Errorf("the result of the expansion is %v, the input of the depthwise convolution %v: expected the same", expand.shape.Output(), depthwise.shape.Input)
	}
	if depthwise.shape.Output() != project.shape.Input {
		return nil, errors.Errorf("the result of the depthwise convolution is %v, the input of the projection %v: expected the same", depthwise.shape.Output(), project.shape.Input)
	}
	if depthwise.requantize.Addend != nil || expand != nil && expand.requantize.Addend != nil {
		return nil, errors.New("only the projection may have an addend")
	}
	if !k.combines() {
		return k, nil
	}
	s, out := depthwise.shape, depthwise.shape.Output()
	k.row = s.Input.Width * s.Input.Channels
	rowBytes := out.Width * s.Filters
	free := invertedBytes
	if expand != nil {
		k.left = s.Padding.Left * s.Input.Channels
		k.row = (s.Input.Width + s.Padding.Left + s.Padding.Right) * s.Input.Channels
		free -= (s.KernelHeight - s.Stride) * k.row
		rowBytes += s.Stride * k.row
	}
	k.band = max(1, free/rowBytes, ceilDiv(fewPixels, out.Width))
	k.band = ceilDiv(out.Height, ceilDiv(out.Height, min(k.band, out.Height))) // of equal height
	k.ring = (k.band-1)*s.Stride + s.KernelHeight
	if expand != nil {
		channels := expand.shape.Input.Channels
		for i := range k.ring * s.Input.Width {
			k.inputs = append(k.inputs, int32(i*channels))
			k.expanded = append(k.expanded, int32(i/s.Input.Width*k.row+k.left+i%s.Input.Width*s.Input.Channels))
		}
	}
	for i := range k.band * out.Width {
		k.between = append(k.between, int32(i*s.Filters))
		k.results = append(k.results, int32(i*project.shape.Filters))
	}
	return k, nil
}

// combines reports whether a few rows can be computed at a time.
func (k *Inverted) combines() bool {
	if k.depthwise.depthwise == nil || k.depthwise.shape.Pool.Size > 0 || !k.project.multipliesPixels() {
		return false
	}
	if k.expand == nil {
		return true
	}
	return k.expand.multipliesPixels()
}

// multipliesPixels reports whether the convolution is a product of each pixel, in place, with the
// weights.
func (c *Conv) multipliesPixels() bool {
	s := c.shape
	return s.KernelHeight == 1 && s.KernelWidth == 1 && s.Stride == 1 && s.groups() == 1 && s.Pool.Size == 0 && !c.input.copied
}

// Forward writes y, given x and, if the projection has an addend, that, of the shape of y; otherwise
// it is nil. y must not be x.
func (k *Inverted) Forward(y, x, addend []uint8, batch int) {
	first := k.depthwise
	if k.expand != nil {
		first = k.expand
	}
	checkLength("x", x, batch*first.shape.Input.Size())
	checkLength("y", y, batch*k.project.shape.Output().Size())
	if k.project.requantize.Addend != nil {
		checkLength("the addend", addend, batch*k.project.shape.Output().Size())
	}
	threads := parallel.Threads()
	parts := 1
	if units := batch; units%threads != 0 && units < 4*threads {
		parts = min(k.depthwise.shape.Output().Height, threads)
	}
	if !k.pays(parts) {
		k.separate(y, x, addend, batch)
		return
	}
	height := k.project.shape.Input.Height
	divide(batch*parts, func(w *workspace, i int) {
		part := i % parts
		k.rows(w, y, x, addend, i/parts, span{part * height / parts, (part + 1) * height / parts})
	})
}

// pays reports whether the combination is faster than the convolutions one after the other, for a
// number of parts of each image. Two parts of an image expand some rows both.
func (k *Inverted) pays(parts int) bool {
	if k.band == 0 {
		return false
	}
	if parts == 1 || k.expand == nil {
		return true
	}
	s := k.depthwise.shape
	const rows = 12 // of the result, for each one that is repeated
	repeated := float64(max(0, s.KernelHeight-s.Stride)) / float64(s.Stride)
	return float64(s.Output().Height) >= rows*repeated*float64(parts-1)
}

// separate computes the convolutions one after the other.
func (k *Inverted) separate(y, x, addend []uint8, batch int) {
	w := borrow(-1)
	defer w.release()
	if k.expand != nil {
		to := grow(&w.expanded, batch*k.depthwise.shape.Input.Size())
		k.expand.Forward(to, x, nil, batch)
		x = to
	}
	to := grow(&w.between, batch*k.project.shape.Input.Size())
	k.depthwise.Forward(to, x, nil, batch)
	k.project.Forward(y, to, addend, batch)
}

// rows writes rows of the result of an image.
func (k *Inverted) rows(w *workspace, y, x, addend []uint8, image int, rows span) {
	s, out, result := k.depthwise.shape, k.depthwise.shape.Output(), k.project.shape.Output()
	between := grow(&w.between, k.band*out.Width*s.Filters)
	offsets := grow(&w.rowOffsets, k.depthwise.depthwise.height)
	var buffer []uint8
	if k.expand == nil {
		buffer = k.depthwise.input.window(w, x, s, k.depthwise.zero, unit{image: image, images: 1}, rows)
	} else {
		x = x[image*k.expand.shape.Input.Size():]
		buffer = k.border(w)
	}
	done := max(0, rows.first*s.Stride-s.Padding.Top) // rows of the input that are expanded
	for first := rows.first; first < rows.last; first += k.band {
		last := min(first+k.band, rows.last)
		if k.expand != nil {
			if below := min((last-1)*s.Stride+s.KernelHeight-s.Padding.Top, s.Input.Height); below > done {
				k.expandRows(w, buffer, x, span{done, below})
				done = below
			}
		}
		for row := first; row < last; row++ {
			for i := range offsets {
				offsets[i] = k.offset(row*s.Stride + min(i, s.KernelHeight-1))
			}
			k.depthwise.depthwise.run(w, between[(row-first)*out.Width*s.Filters:], buffer, offsets)
		}
		pixels := (last - first) * out.Width
		if table := k.depthwise.requantize.Table; table != nil {
			all := between[:pixels*s.Filters]
			k.depthwise.engine.Lookup(all, all, table)
		}
		at := image*result.Size() + first*result.Width*result.Channels
		r := &w.rows
		*r = vector.ByteRows{X: between, Y: y[at:], XOffsets: k.between[:pixels], YOffsets: k.results[:pixels]}
		if k.project.requantize.Addend != nil {
			r.Addend = addend[at:]
		}
		k.project.multiplyPixels(r)
		if table := k.project.requantize.Table; table != nil {
			all := y[at:][:pixels*result.Channels]
			k.project.engine.Lookup(all, all, table)
		}
	}
}

// offset returns the offset of a row of the input with its border.
func (k *Inverted) offset(row int) int32 {
	if k.expand == nil {
		return int32(row * k.depthwise.input.row)
	}
	s := k.depthwise.shape
	if row -= s.Padding.Top; row < 0 || row >= s.Input.Height {
		return int32(k.ring * k.row) // a row of the zero point
	}
	return int32(row % k.ring * k.row)
}

// border returns the memory of the expanded rows, whose borders are set, and of a row of the zero
// point behind them.
func (k *Inverted) border(w *workspace) []uint8 {
	buffer := grow(&w.halo, (k.ring+1)*k.row)
	zero := k.depthwise.zero
	right := k.left + k.depthwise.shape.Input.Width*k.depthwise.shape.Input.Channels
	for i := range k.ring {
		line := buffer[i*k.row:][:k.row]
		fill(line[:k.left], zero)
		fill(line[right:], zero)
	}
	fill(buffer[k.ring*k.row:], zero)
	return buffer
}

// expandRows writes rows of the input of the depthwise convolution to the ring.
func (k *Inverted) expandRows(w *workspace, buffer, x []uint8, rows span) {
	in := k.depthwise.shape.Input
	for first := rows.first; first < rows.last; {
		at := first % k.ring
		n := min(rows.last-first, k.ring-at)
		r := &w.rows
		*r = vector.ByteRows{
			X: x[first*in.Width*k.expand.shape.Input.Channels:], Y: buffer,
			XOffsets: k.inputs[:n*in.Width], YOffsets: k.expanded[at*in.Width:][:n*in.Width],
		}
		k.expand.multiplyPixels(r)
		if table := k.expand.requantize.Table; table != nil {
			for i := range n {
				line := buffer[(at+i)*k.row+k.left:][:in.Width*in.Channels]
				k.expand.engine.Lookup(line, line, table)
			}
		}
		first += n
	}
}

// multiplyPixels computes the products of pixels with the weights of a 1×1 convolution.
func (c *Conv) multiplyPixels(r *vector.ByteRows) {
	columns := &c.columns[0]
	r.Segments, r.Length, r.Stride = 1, columns.depth, columns.depth
	columns.multiply(r, 0, len(columns.panels), nil)
}
