package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// A few small images have large weights and few rows, so that parts by rows would repeat many
// rows, and each thread would read all weights. They are therefore divided by channels: a thread
// expands the image to some channels and convolves these while they are in its cache. When all
// threads are done, they compute different filters of the projection. Each then reads its
// part of the weights, and loads what it needs next while it multiplies.

// channelGroups is the largest number of groups of expanded channels: enough for some threads, and
// few, because each group takes some time by itself.
const channelGroups = 16

// channelGroup is some of the expanded channels, which are those of some panels of the expansion.
type channelGroup[T Float] struct {
	first, last int     // of the panels
	left, count int     // of the channels
	pixel       int     // elements from a pixel of the expanded rows to the next
	offsets     []int32 // of the pixels in the expanded rows
	sweep       sweep[T]
}

// divideChannels divides the expanded channels into groups.
func (k *Inverted[T]) divideChannels() {
	s := k.depthwise.shape.Conv
	var p packed[T]
	p.layout(k.engine, k.expand.shape.Conv.Channels, s.Channels)
	groups := min(channelGroups, p.panels)
	_, width := s.Output()
	padded := s.Padding.Left + s.Width + s.Padding.Right
	for i := range groups {
		g := channelGroup[T]{first: i * p.panels / groups, last: (i + 1) * p.panels / groups}
		g.left, _, _ = p.panelColumns(g.first)
		left, columns, _ := p.panelColumns(g.last - 1)
		g.count = left + columns - g.left
		few := s
		few.Channels, few.Filters, few.Groups = g.count, g.count, g.count
		g.pixel = pixelStride(k.engine, few)
		for j := range s.Height * s.Width {
			g.offsets = append(g.offsets, int32((j/s.Width*padded+s.Padding.Left+j%s.Width)*g.pixel))
		}
		g.sweep = k.depthwise.conv.depthwise.forward
		g.sweep.columns = newAxis(padded, s.KernelWidth, s.Stride, 0, width)
		g.sweep.filters = g.count
		k.groups = append(k.groups, g)
	}
}

// forwardByChannels is Forward for images that are divided by channels.
func (k *Inverted[T]) forwardByChannels(y, x []T) {
	batch, groups, panels := k.depthwise.shape.Conv.Batch, len(k.groups), k.project.conv.forward.panels
	between := grow(&k.convolved, k.depthwise.shape.Conv.outputs())
	size := len(between) / batch
	divide(batch*groups, func(w *workspace[T], i int) {
		image, group := i/groups, i%groups
		k.convolveGroup(w, between[image*size:][:size], x, image, group)
	})
	// Panels are few, and not of the same width, so that pixels are divided, too. If there are many
	// pixels, a thread computes all panels of its part of them.
	const fewPixels = 24 // below which products are slow
	pixels, threads := size/k.project.conv.forward.depth, parallel.Threads()
	parts, byPixels := 1, pixels/threads >= 2*fewPixels
	if byPixels || panels*batch%threads > 0 {
		parts = min(threads, max(1, pixels/fewPixels))
	}
	divide(batch*panels*parts, func(w *workspace[T], i int) {
		image, panel, part := i/parts/panels, i/parts%panels, i%parts
		if byPixels {
			panel, part = i%panels, i/panels%parts
		}
		k.projectPanel(w, y, x, between[image*size:][:size], image, panel, part, parts)
	})
}

// convolveGroup writes the depthwise results (height, width, channels) of an image for a group of
// the channels.
func (k *Inverted[T]) convolveGroup(w *workspace[T], between, x []T, image, number int) {
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
	weights, p := &k.expand.conv.forward, &w.product
	*p = vector.Rows[T]{
		A: x[image*s.Height*s.Width*channels:], Segments: 1, Length: channels, Stride: channels,
		AOffsets: k.inputs[:s.Height*s.Width], COffsets: g.offsets, Clip: k.clips[0],
	}
	for i := g.first; i < g.last; i++ {
		q := weights.panel(i)
		p.C, p.B, p.Columns, p.Width = expanded[q.left-g.left:], q.data, q.columns, q.width
		if k.biases[0] != nil {
			p.Initial = k.biases[0][q.left:][:q.columns]
		}
		if p.Ahead = nil; i+1 < weights.panels {
			p.Ahead = weights.panel(i + 1).data
		}
		k.engine.Rows(p)
	}
	from := halo{images: 1, height: s.Height, width: padded, channels: g.pixel}
	to := halo{images: 1, height: height, width: width, channels: s.Filters}
	sweep, bias := g.sweep, k.biases[1]
	if sweep.weights = k.depthwise.conv.depthwise.weights[g.left:]; bias != nil {
		bias = bias[g.left:][:g.count]
	}
	sweep.run(w, k.engine, between[g.left:], to, expanded, from, bias, k.clips[1], 0, height)
}

// projectPanel writes the filters of a panel of the projection for a part of the pixels of an
// image.
func (k *Inverted[T]) projectPanel(w *workspace[T], y, x, between []T, image, panel, part, parts int) {
	filters, weights, p := k.project.shape.Conv.Filters, &k.project.conv.forward, &w.product
	pixels := len(between) / weights.depth
	first, last := part*pixels/parts, (part+1)*pixels/parts
	q := weights.panel(panel)
	y = y[image*pixels*filters:][:pixels*filters][q.left:]
	*p = vector.Rows[T]{
		A: between, B: q.data, C: y, Segments: 1, Length: weights.depth, Stride: weights.depth,
		AOffsets: k.between[first:last], COffsets: k.results[first:last],
		Columns: q.columns, Width: q.width, Clip: k.clips[2],
	}
	if k.biases[2] != nil {
		p.Initial = k.biases[2][q.left:][:q.columns]
	}
	if panel+1 < weights.panels { // of which each part loads a part
		next := weights.panel(panel + 1).data
		p.Ahead = next[part*len(next)/parts : (part+1)*len(next)/parts]
	}
	k.engine.Rows(p)
	for pixel := first; pixel < last && k.residual; pixel++ {
		k.engine.Add(y[pixel*filters:][:q.columns], x[(image*pixels+pixel)*filters+q.left:][:q.columns])
	}
}
