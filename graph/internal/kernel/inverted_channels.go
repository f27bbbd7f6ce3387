package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// A few small images have large weights and few rows, so that parts by rows would repeat many
// rows and each thread would read all weights. They are therefore divided by the expanded
// channels: a thread expands the image to some of these, convolves them, and multiplies them with
// their rows of the projection, which is a part of each sum. Each thread then reads its part of
// the weights only, and threads meet once for three layers.
//
// The parts of the sums are those of channelGroups groups of channels, of any number of threads.
// Those of the first half of the groups are added in order, so are the others, and then the
// two sums.
const channelGroups = 8

// channelsOf describes some of the expanded channels.
type channelsOf[T Float] struct {
	panels      [2]int // of the expansion
	left, count int
	pixel       int // elements from a pixel of the expanded rows to the next
	offsets     []int32
	between     []int32
	sweep       sweep[T]
}

// rows returns the weights of the projection for these channels, in one of its panels.
func (g *channelsOf[T]) rows(weights *packed[T], panel int) []T {
	q := weights.panel(panel)
	wide := q.width * weights.lanes
	return q.data[g.left*wide:][:g.count*wide]
}

// columns returns the weights of the expansion for these channels.
func (g *channelsOf[T]) columns(weights *packed[T]) []T {
	last := weights.panel(g.panels[1] - 1)
	first := g.left * weights.depth
	return weights.data[first : last.left*weights.depth+len(last.data)]
}

// divideChannels divides the expanded channels into groups, if there is an expansion.
func (k *Inverted[T]) divideChannels() {
	s := k.depthwise.shape.Conv
	p := &packed[T]{}
	p.layout(k.engine, k.expand.shape.Conv.Channels, s.Channels)
	groups := min(channelGroups, p.panels)
	height, width := s.Output()
	padded := s.Padding.Left + s.Width + s.Padding.Right
	for i := range groups {
		var g channelsOf[T]
		g.panels = [2]int{i * p.panels / groups, (i + 1) * p.panels / groups}
		g.left, _, _ = p.panelColumns(g.panels[0])
		last, columns, _ := p.panelColumns(g.panels[1] - 1)
		g.count = last + columns - g.left
		few := s
		few.Channels, few.Filters, few.Groups = g.count, g.count, g.count
		g.pixel = pixelStride(k.engine, few)
		for j := range s.Height * s.Width {
			g.offsets = append(g.offsets, int32((j/s.Width*padded+s.Padding.Left+j%s.Width)*g.pixel))
		}
		for j := range height * width {
			g.between = append(g.between, int32(j*g.count))
		}
		g.sweep = k.depthwise.conv.depthwise.forward
		g.sweep.columns = newAxis(padded, s.KernelWidth, s.Stride, 0, width)
		g.sweep.filters, g.sweep.tap = g.count, s.Channels
		k.groups = append(k.groups, g)
	}
}

// forwardByChannels is Forward for images that are divided by channels.
func (k *Inverted[T]) forwardByChannels(y, x []T) {
	s, project := k.depthwise.shape.Conv, k.project.shape.Conv
	half := ceilDiv(len(k.groups), 2)
	each := half // groups of a unit of work
	if parallel.Threads() > 2*s.Batch {
		each = 1
	}
	units := ceilDiv(len(k.groups), each)
	size := project.outputs() / s.Batch
	partial := grow(&k.partial, (units-1)*len(y))
	// The result of the first unit is where the sum is.
	result := func(image, unit int) []T {
		if unit == 0 {
			return y[image*size:][:size]
		}
		return partial[(image*(units-1)+unit-1)*size:][:size]
	}
	divide(s.Batch*units, func(w *workspace[T], i int) {
		image, unit := i/units, i%units
		first, last := unit*each, min((unit+1)*each, len(k.groups))
		for g := first; g < last; g++ {
			k.group(w, result(image, unit), x, image, g, first, last)
		}
	})
	add := func(image, to, first, last int) {
		for unit := first; unit < last; unit++ {
			k.engine.Add(result(image, to), result(image, unit))
		}
	}
	for image := range s.Batch {
		second := half / each
		add(image, 0, 1, second)
		add(image, second, second+1, units)
		add(image, 0, second, min(second+1, units))
		to := result(image, 0)
		if k.residual {
			k.engine.Add(to, x[image*size:][:size])
		}
		vector.ApplyClip(k.clips[2], to)
	}
}

// group adds the part of the result of an image that is that of a group of channels, one of those
// from first to last. The first one writes it.
func (k *Inverted[T]) group(w *workspace[T], y, x []T, image, number, first, last int) {
	s, g := k.depthwise.shape.Conv, &k.groups[number]
	height, width := s.Output()
	padded := s.Padding.Left + s.Width + s.Padding.Right
	row := padded * g.pixel
	expanded := grow(&w.halo, s.Height*row)
	for at := 0; at < len(expanded); at += row {
		clear(expanded[at:][:s.Padding.Left*g.pixel])
		clear(expanded[at+(s.Padding.Left+s.Width)*g.pixel:][:s.Padding.Right*g.pixel])
	}
	channels := k.expand.shape.Conv.Channels
	weights, next, p := &k.expand.conv.forward, &k.project.conv.forward, &w.product
	*p = vector.Rows[T]{
		A: x[image*s.Height*s.Width*channels:], Segments: 1, Length: channels, Stride: channels,
		AOffsets: k.inputs[:s.Height*s.Width], COffsets: g.offsets, Clip: k.clips[0],
	}
	for i := g.panels[0]; i < g.panels[1]; i++ {
		if at := i - g.panels[0]; at < next.panels {
			p.Ahead = g.rows(next, at)
		}
		q := weights.panel(i)
		p.C, p.B, p.Columns, p.Width = expanded[q.left-g.left:], q.data, q.columns, q.width
		if k.biases[0] != nil {
			p.Initial = k.biases[0][q.left:][:q.columns]
		}
		k.engine.Rows(p)
	}
	from := halo{images: 1, height: s.Height, width: padded, channels: g.pixel}
	to := halo{images: 1, height: height, width: width, channels: g.count}
	between := grow(&w.convolved, height*width*g.count)
	sweep, bias := g.sweep, k.biases[1]
	if sweep.weights = k.depthwise.conv.depthwise.weights[g.left:]; bias != nil {
		bias = bias[g.left:][:g.count]
	}
	sweep.run(w, k.engine, between, to, expanded, from, bias, k.clips[1], 0, height)

	weights, next = next, weights
	*p = vector.Rows[T]{
		A: between, Segments: 1, Length: g.count, Stride: g.count,
		AOffsets: g.between, COffsets: k.results[:height*width], Add: number > first,
	}
	if number+1 < last {
		p.Ahead = k.groups[number+1].columns(next)
	}
	for i := range weights.panels {
		q := weights.panel(i)
		p.C, p.B, p.Columns, p.Width = y[q.left:], g.rows(weights, i), q.columns, q.width
		if number == 0 && k.biases[2] != nil {
			p.Initial = k.biases[2][q.left:][:q.columns]
		}
		k.engine.Rows(p)
	}
}
