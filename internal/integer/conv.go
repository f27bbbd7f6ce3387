package integer

import (
	"encoding/binary"
	"fmt"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Shape is the shape of an image of activations.
type Shape struct{ Height, Width, Channels int }

// Size returns the number of elements.
func (s Shape) Size() int { return s.Height * s.Width * s.Channels }

// String returns height×width×channels.
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.Height, s.Width, s.Channels) }

// validate returns an error unless all extents are at least 1 and the size fits in an int32.
func (s Shape) validate() error {
	const most = 1<<31 - 1
	if s.Height < 1 || s.Width < 1 || s.Channels < 1 {
		return errors.Errorf("the shape of the input is %v, all of it must be at least 1", s)
	}
	if s.Height > most/s.Width || s.Height*s.Width > most/s.Channels {
		return errors.Errorf("the shape of the input is %v, an image must have less than 2^31 elements", s)
	}
	return nil
}

// Padding is the width of the border on each side. It has the zero point of the input.
type Padding struct{ Top, Left, Bottom, Right int }

// ConvShape is the shape of a convolution.
type ConvShape struct {
	Input                              Shape
	Filters, KernelHeight, KernelWidth int
	Stride                             int // at least 1
	Padding                            Padding
	Groups                             int // of channels and of filters, each convolved by itself; 0 for 1
	Pool                               Pool
}

// convolved returns the shape of the result before the pool.
func (s ConvShape) convolved() Shape {
	p := s.Padding
	return Shape{
		(s.Input.Height+p.Top+p.Bottom-s.KernelHeight)/s.Stride + 1,
		(s.Input.Width+p.Left+p.Right-s.KernelWidth)/s.Stride + 1,
		s.Filters,
	}
}

// Output returns the shape of the result.
func (s ConvShape) Output() Shape { return s.Pool.output(s.convolved()) }

func (s ConvShape) groups() int { return max(1, s.Groups) }

// patch returns the number of weights of a filter.
func (s ConvShape) patch() int { return s.KernelHeight * s.KernelWidth * s.Input.Channels / s.groups() }

// maxExtent bounds kernels, strides and paddings, so that no product of a few overflows.
const maxExtent = 1 << 15

// Validate returns an error if the shape is not valid.
func (s ConvShape) Validate() error {
	if err := s.Input.validate(); err != nil {
		return err
	}
	for _, d := range []struct {
		name         string
		value, least int
	}{
		{"the number of filters", s.Filters, 1}, {"the kernel height", s.KernelHeight, 1}, {"the kernel width", s.KernelWidth, 1},
		{"the stride", s.Stride, 1}, {"a padding", s.Padding.Top, 0}, {"a padding", s.Padding.Left, 0},
		{"a padding", s.Padding.Bottom, 0}, {"a padding", s.Padding.Right, 0}, {"the number of groups", s.Groups, 0},
	} {
		if d.value < d.least || d.value > maxExtent {
			return errors.Errorf("%s is %d, it must be from %d to %d", d.name, d.value, d.least, maxExtent)
		}
	}
	if g := s.groups(); s.Input.Channels%g != 0 || s.Filters%g != 0 {
		return errors.Errorf("%d channels and %d filters in %d groups: both must be divisible by the number of groups", s.Input.Channels, s.Filters, g)
	}
	p := s.Padding
	if height, width := s.Input.Height+p.Top+p.Bottom, s.Input.Width+p.Left+p.Right; s.KernelHeight > height || s.KernelWidth > width {
		return errors.Errorf("the kernel %d×%d is larger than its input, %d×%d with padding", s.KernelHeight, s.KernelWidth, height, width)
	}
	if err := s.convolved().validate(); err != nil {
		return errors.Wrap(err, "the result of the convolution")
	}
	if err := (Shape{s.Input.Height + p.Top + p.Bottom, s.Input.Width + p.Left + p.Right, s.Input.Channels}).validate(); err != nil {
		return errors.Wrap(err, "the input with its padding")
	}
	return s.Pool.validate(s.convolved())
}

// Weights are the weights of a convolution or of a fully connected layer.
type Weights struct {
	Values []int8  // (filters, channels/groups, kernel height, kernel width), or (outputs, features)
	Bias   []int32 // (filters), added to the sums; nil for zeros
	Zero   uint8   // the zero point of the input
}

// sums returns the initial values of the sums, bias − zero·Σ weights. It returns an error if a sum may
// not fit in an int32.
func (w Weights) sums(filters, patch int) (initial []int32, err error) {
	if len(w.Values) != filters*patch {
		return nil, errors.Errorf("found %d weights, expected %d", len(w.Values), filters*patch)
	}
	if len(w.Bias) != 0 && len(w.Bias) != filters {
		return nil, errors.Errorf("found %d biases, expected %d or none", len(w.Bias), filters)
	}
	initial = make([]int32, filters)
	for f := range filters {
		var sum, size int64
		for _, v := range w.Values[f*patch:][:patch] {
			sum += int64(v)
			size += max(int64(v), -int64(v))
		}
		first := -int64(w.Zero) * sum
		if w.Bias != nil {
			first += int64(w.Bias[f])
		}
		// Every partial sum lies within these bounds, in whatever order products are added.
		if bound := max(first, -first) + 255*size; bound > 1<<31-1 {
			return nil, errors.Errorf("filter %d: its sums can reach %d and must fit in 32 bits: the bias or the weights are too large, or too many", f, bound)
		}
		initial[f] = int32(first)
	}
	return initial, nil
}

// Conv is a convolution (as in other libraries of neural networks, a cross-correlation):
//
//	s[b, i, j, f] = bias[f] + Σ (x[b, i·stride+k−top, j·stride+l−left, c] − zero) · weight[f, c, k, l]
//
// with x (batch, height, width, channels) equal to zero, the zero point, outside the image. The
// sums are requantized and pooled. With groups, the first group has the first channels and the
// first filters, and the sum is over the channels of the filter's group.
type Conv struct {
	shape      ConvShape
	engine     vector.ByteEngine
	requantize Requantize
	zero       uint8
	input      halo
	depthwise  *depthwise // nil for others, which have columns
	columns    []packed   // of each group
	winograd   *winograd  // nil if the products of windows are faster
	images     int        // that are computed together, if they are small
	next       *Conv      // whose weights are loaded into the cache; may be nil
	windows    []int32    // the offset, in an image with its border, of the window of each pixel
	results    []int32    // the offset of each pixel of an image of the result
}

// NewConv packs the weights of a convolution. The slices of its arguments must not be changed
// afterwards.
func NewConv(s ConvShape, w Weights, q Requantize) (*Conv, error) {
	return newConv(vector.ByteEngineOf(vector.For[float32]()), s, w, q)
}

func newConv(e vector.ByteEngine, s ConvShape, w Weights, q Requantize) (*Conv, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	initial, err := w.sums(s.Filters, s.patch())
	if err != nil {
		return nil, err
	}
	if err := q.validateSums(s.Filters); err != nil {
		return nil, err
	}
	if q.Addend != nil && s.Pool.Size > 0 {
		return nil, errors.New("an addend and a pool cannot be combined: use MaxPool after the convolution")
	}
	c := &Conv{shape: s, engine: e, requantize: q, zero: w.Zero}
	groups, out := s.groups(), s.convolved()
	channels, filters := s.Input.Channels/groups, s.Filters/groups
	c.winograd = newWinograd(e, s, w, initial, &q, false)
	if c.depthwise = newDepthwise(e, s, w, initial, &q); c.depthwise != nil {
		channels = s.Input.Channels
	}
	c.input = newHalo(s, channels)
	pixels := out.Height * out.Width
	c.images = 1
	if c.depthwise == nil && s.Pool.Size == 0 {
		const most = 1<<31 - 1
		c.images = max(1, min(enoughPixels/pixels, most/c.input.size(), most/out.Size()))
	}
	for i := range c.images * pixels {
		image, row, column := i/pixels, i%pixels/out.Width, i%out.Width
		c.windows = append(c.windows, int32(image*c.input.size()+row*s.Stride*c.input.row+column*s.Stride*channels))
		c.results = append(c.results, int32(i*s.Filters))
	}
	if c.depthwise != nil {
		c.input.copied = s.Padding != Padding{}
		return c, nil
	}
	// The rows of a window are contiguous, with weights of zero behind them.
	segment := ceilDiv(s.KernelWidth*channels, 4) * 4
	ordered := make([]int8, filters*s.KernelHeight*segment)
	for g := range groups {
		for f := range filters {
			from := w.Values[(g*filters+f)*s.patch():][:s.patch()]
			for k := range s.KernelHeight {
				to := ordered[(f*s.KernelHeight+k)*segment:]
				for i := range s.KernelWidth * channels {
					to[i] = from[(i%channels*s.KernelHeight+k)*s.KernelWidth+i/channels]
				}
			}
		}
		c.columns = append(c.columns, newPacked(e, ordered, s.KernelHeight*segment, initial[g*filters:][:filters], &q, g*filters))
	}
	return c, nil
}

// Then tells a convolution which one is computed after it, so that the weights of that are loaded into
// the cache in time. It must be called before the first Forward, and changes no result.
func (c *Conv) Then(next *Conv) { c.next = next }

// Instructions returns about the number of instructions of the products of an image, and how many of them Winograd's
// algorithm saves where two threads divide one image; 0 if it is not used there.
func (c *Conv) Instructions() (products, saved float64) {
	out := c.shape.convolved()
	products = float64(out.Height*out.Width*c.shape.Filters) * float64(c.shape.patch()) / 64
	if c.winograd != nil && c.winograd.least <= 0.5 {
		saved = c.winograd.saved
	}
	return products, saved
}

// DivideWithoutWinograd tells a convolution to compute images that threads divide by the products of windows. It must
// be called before the first Forward, and changes no result.
func (c *Conv) DivideWithoutWinograd() {
	if c.winograd != nil {
		c.winograd.whole = true
	}
}

// SharedImages returns the number of images from which on a thread computes them faster together than
// one after the other, because they share transformed weights; 1 if it does not.
func (c *Conv) SharedImages() int {
	if c.winograd == nil {
		return 1
	}
	return c.winograd.images
}

// Shape returns the shape.
func (c *Conv) Shape() ConvShape { return c.shape }

// Forward writes y (batch, output height, output width, filters), given x (batch, height, width,
// channels) and, if the results have an addend, that, of the shape of y; otherwise it is nil. y may
// be the addend. It panics if an array does not have the length of its shape.
func (c *Conv) Forward(y, x, addend []uint8, batch int) {
	s := c.shape
	out := s.convolved()
	checkLength("x", x, batch*s.Input.Size())
	checkLength("y", y, batch*s.Output().Size())
	if c.requantize.Addend != nil {
		checkLength("the addend", addend, batch*out.Size())
	}
	if c.winograd.pays(batch) {
		c.winograd.forward(y, x, addend, batch)
		return
	}
	d := c.division(batch)
	divide(d.units(), func(w *workspace, i int) { c.part(w, y, x, addend, d.unit(i)) })
}

// division divides the results of a batch: its groups of images, and the rows or the panels of
// columns of each group.
type division struct {
	batch, images, height         int
	groups, rowParts, columnParts int
	panels                        int
}

// unit is a part of the results: after the pool, rows [top, bottom) of one image, or all rows of several, and some
// panels of a group of filters.
type unit struct {
	image, images, top, bottom int
	group, first, last         int // panels
}

func (d division) units() int {
	return ceilDiv(d.batch, d.images) * d.groups * d.rowParts * d.columnParts
}

func (d division) unit(i int) unit {
	parts := d.rowParts * d.columnParts
	images, group, part := i/(parts*d.groups), i/parts%d.groups, i%parts
	row, column := part/d.columnParts, part%d.columnParts
	return unit{
		image: images * d.images, images: min(d.images, d.batch-images*d.images),
		top: row * d.height / d.rowParts, bottom: (row + 1) * d.height / d.rowParts,
		group: group, first: column * d.panels / d.columnParts, last: (column + 1) * d.panels / d.columnParts,
	}
}

// fewPixels is the number of pixels below which products are slow, and enoughPixels that of large
// units.
const (
	fewPixels    = 96
	enoughPixels = 512
)

// division returns the division of a batch. The results do not depend on it.
func (c *Conv) division(batch int) division {
	s, out, threads := c.shape, c.shape.Output(), parallel.Threads()
	pixels := s.convolved().Height * s.convolved().Width
	d := division{batch: batch, images: 1, height: out.Height, groups: 1, rowParts: 1, columnParts: 1, panels: 1}
	weights := 0
	if c.depthwise == nil {
		d.groups, d.panels, weights = s.groups(), len(c.columns[0].panels), len(c.columns[0].data)
	}
	if threads == 1 || batch%threads == 0 || batch >= 4*threads || d.groups >= 4*threads {
		d.images = max(1, min(c.images, batch/threads))
		return d
	}
	// Each thread reads a part of the weights if these are larger than the input.
	const larger = 4
	if d.panels%threads == 0 && pixels < enoughPixels && weights > larger*s.Input.Size()/d.groups {
		d.images, d.columnParts = max(1, min(c.images, batch)), threads
		return d
	}
	d.rowParts = max(1, min(out.Height, 4*threads, max(threads, pixels/enoughPixels)))
	d.rowParts = max(1, d.rowParts/threads*threads)
	return d
}

// part writes a part of the results.
func (c *Conv) part(w *workspace, y, x, addend []uint8, u unit) {
	s, out, pool := c.shape, c.shape.Output(), c.shape.Pool
	rows := span{u.top, u.bottom}
	if pool.Size > 0 {
		rows = pool.rows(rows, s.convolved())
	}
	in := c.input.window(w, x, s, c.zero, u, rows)
	first := u.group * s.Filters / s.groups()
	row := out.Width * out.Channels
	at := u.image*out.Size() + u.top*row
	if pool.Size > 0 {
		c.pooled(w, y[at:], in, u, rows.first, first)
		return
	}
	var add []uint8
	if c.requantize.Addend != nil {
		add = addend[at+first:]
	}
	c.rows(w, y[at+first:], in, add, u, rows)
}

// pooled writes the pooled rows of a unit, of one image. It computes a few rows of the convolution
// at a time, which are in the cache when they are pooled; the first one is begin.
func (c *Conv) pooled(w *workspace, y, x []uint8, u unit, begin, first int) {
	s, full, pool := c.shape, c.shape.convolved(), c.shape.Pool
	left, channels := c.filters(u)
	left += first
	row := full.Width * full.Channels
	between := grow(&w.between, (pool.rows(span{u.top, u.bottom}, full).last-begin)*row)
	band, done := ceilDiv(fewPixels, full.Width*pool.Stride), begin
	for at := u.top; at < u.bottom; at += band {
		part := span{at, min(at+band, u.bottom)}
		if needed := pool.rows(part, full).last; needed > done {
			c.rows(w, between[(done-begin)*row+first:], x, nil, u, span{done, needed})
			done = needed
		}
		for i := part.first; i < part.last; i++ {
			pool.row(w, c.engine, y[(i-u.top)*s.Output().Width*full.Channels:], between, full, i, begin, left, channels)
		}
	}
}

// rows writes rows of the convolution of one image, or all rows of several, with y and addend beginning
// at the first one.
func (c *Conv) rows(w *workspace, y, x, addend []uint8, u unit, rows span) {
	width := c.shape.convolved().Width
	if c.depthwise != nil {
		for row := rows.first; row < rows.last; row++ {
			c.depthwise.row(w, y[(row-rows.first)*width*c.shape.Filters:], x, c.input, row)
		}
		if c.requantize.Table != nil {
			all := y[:(rows.last-rows.first)*width*c.shape.Filters]
			c.engine.Lookup(all, all, c.requantize.Table)
		}
		return
	}
	columns := &c.columns[u.group]
	r := &w.rows
	*r = vector.ByteRows{
		X: x, Y: y, Addend: addend,
		Segments: c.shape.KernelHeight, Length: columns.depth / c.shape.KernelHeight, Stride: c.input.row,
	}
	// Many weights, which leave the cache, are read once for all rows.
	const manyWeights, blockPixels = 512 << 10, 192
	windows := c.windows[rows.first*width : ((u.images-1)*c.shape.convolved().Height+rows.last)*width]
	step := len(windows)
	if len(columns.data) < manyWeights {
		step = blockPixels
	}
	for at := 0; at < len(windows); at += step {
		last := min(at+step, len(windows))
		r.XOffsets, r.YOffsets = windows[at:last], c.results[at:last]
		var after []uint8
		if last == len(windows) && c.next != nil && c.next.depthwise == nil {
			// Parts of the next one are divided alike.
			next := &c.next.columns[0]
			after = next.panel(u.first * len(next.panels) / len(columns.panels))
		}
		columns.multiply(r, u.first, u.last, after)
	}
	if c.requantize.Table == nil {
		return
	}
	left, count := c.filters(u)
	if count == c.shape.Filters {
		all := y[:len(windows)*c.shape.Filters]
		c.engine.Lookup(all, all, c.requantize.Table)
		return
	}
	for _, at := range c.results[:len(windows)] {
		pixel := y[int(at)+left:][:count]
		c.engine.Lookup(pixel, pixel, c.requantize.Table)
	}
}

// filters returns the first filter of a unit in its group, and their number.
func (c *Conv) filters(u unit) (left, count int) {
	if c.depthwise != nil {
		return 0, c.shape.Filters
	}
	panels := c.columns[u.group].panels
	left = panels[u.first].left
	return left, panels[u.last-1].left + panels[u.last-1].columns - left
}

// packed are the packed weights of a group of filters, and the parameters of their results.
type packed struct {
	engine    vector.ByteEngine
	depth     int // bytes of a filter
	data      []uint8
	initial   []int32
	requanted vector.ByteResult
	panels    []panel
}

// panel is a part of the filters.
type panel struct {
	left, columns, width int
	data, parameters     int // their first elements
}

// newPacked packs weights (filters, depth). q has the parameters of the filters from first on.
func newPacked(e vector.ByteEngine, weights []int8, depth int, initial []int32, q *Requantize, first int) packed {
	p := packed{engine: e, depth: depth}
	lanes, filters := e.Lanes(), len(initial)
	vectors := ceilDiv(filters, lanes)
	count := ceilDiv(vectors, e.MaxWidth())
	for i := range count {
		from, to := i*vectors/count, (i+1)*vectors/count
		left := from * lanes
		next := panel{left: left, columns: min(filters, to*lanes) - left, width: to - from, data: len(p.data), parameters: len(p.initial)}
		p.panels = append(p.panels, next)
		p.data = append(p.data, make([]uint8, e.PanelSize(depth, next.width))...)
		e.PackRows(p.data[next.data:], weights[left*depth:], depth, next.columns, next.width)
		p.initial = append(p.initial, make([]int32, next.width*lanes)...)
		copy(p.initial[next.parameters:], initial[left:][:next.columns])
	}
	if q == nil {
		return p
	}
	p.requanted = q.sums(len(p.initial))
	for _, next := range p.panels {
		for j := range next.columns {
			q.set(&p.requanted, next.parameters+j, first+next.left+j)
		}
	}
	return p
}

// panel returns the packed weights of a panel.
func (p *packed) panel(i int) []uint8 {
	return p.data[p.panels[i].data:][:p.engine.PanelSize(p.depth, p.panels[i].width)]
}

// multiply computes the product of rows with some panels, and loads what is used after them into the
// cache.
func (p *packed) multiply(r *vector.ByteRows, first, last int, after []uint8) {
	y, sums, addend := r.Y, r.Sums, r.Addend
	for i, next := range p.panels[first:last] {
		r.Next = after
		if first+i+1 < last {
			r.Next = p.panel(first + i + 1)
		}
		r.B, r.Initial = p.data[next.data:], p.initial[next.parameters:]
		r.Width, r.Columns = next.width, next.columns
		if sums != nil {
			r.Sums = sums[next.left:]
		} else {
			r.Y = y[next.left:]
			r.Result = p.requanted
			r.Result.Shift, r.Result.Multiplier = r.Result.Shift[next.parameters:], r.Result.Multiplier[next.parameters:]
			if r.Result.NegativeShift != nil {
				r.Result.NegativeShift, r.Result.NegativeMultiplier = r.Result.NegativeShift[next.parameters:], r.Result.NegativeMultiplier[next.parameters:]
			}
			if addend != nil {
				r.Addend = addend[next.left:]
			}
		}
		p.engine.Rows(r)
	}
	r.Y, r.Sums, r.Addend = y, sums, addend
}

// halo is an image of the channels of a group with its border.
type halo struct {
	height, row int // row in bytes
	channels    int
	copied      bool // otherwise windows are read in place
}

// slack is the number of bytes behind an image that products may read.
const slack = 4

func newHalo(s ConvShape, channels int) halo {
	p := s.Padding
	return halo{
		height: s.Input.Height + p.Top + p.Bottom, row: (s.Input.Width + p.Left + p.Right) * channels, channels: channels,
		copied: p != Padding{} || s.groups() > 1 || s.KernelWidth*channels%4 != 0,
	}
}

// size returns the number of bytes of an image.
func (h halo) size() int { return h.height * h.row }

// window returns the images of a unit with their border; only the rows that the windows of some rows
// of the convolution cover are set.
func (h halo) window(w *workspace, x []uint8, s ConvShape, zero uint8, u unit, rows span) []uint8 {
	x = x[u.image*s.Input.Size():]
	if !h.copied {
		return x
	}
	to := grow(&w.halo, u.images*h.size()+slack)
	in, p := s.Input, s.Padding
	from, until := rows.first*s.Stride, (rows.last-1)*s.Stride+s.KernelHeight
	for image := range u.images {
		for row := from; row < until; row++ {
			line := to[image*h.size()+row*h.row:][:h.row]
			y := row - p.Top
			if y < 0 || y >= in.Height {
				fill(line, zero)
				continue
			}
			left, right := p.Left*h.channels, h.row-p.Right*h.channels
			fill(line[:left], zero)
			pixels := x[(image*in.Height+y)*in.Width*in.Channels:][:in.Width*in.Channels]
			if h.channels == in.Channels {
				copy(line[left:right], pixels)
			} else {
				for i := range in.Width {
					copy(line[left+i*h.channels:][:h.channels], pixels[i*in.Channels+u.group*h.channels:])
				}
			}
			fill(line[right:], zero)
		}
	}
	return to
}

// fill sets all elements.
func fill(x []uint8, value uint8) {
	const few = 64
	if n := len(x); n > few {
		fill(x[:few], value)
		for done := few; done < n; done *= 2 {
			copy(x[done:], x[:done])
		}
		return
	}
	eight := uint64(value) * 0x0101010101010101
	for ; len(x) >= 8; x = x[8:] {
		binary.LittleEndian.PutUint64(x, eight)
	}
	for i := range x {
		x[i] = value
	}
}

// checkLength panics unless an array has a length.
func checkLength[E any](name string, x []E, want int) {
	if len(x) != want {
		panic(fmt.Sprintf("integer: %s has %d elements, expected %d", name, len(x), want))
	}
}
