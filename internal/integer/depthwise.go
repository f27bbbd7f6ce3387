package integer

import (
	"github.com/likeness-go/likeness/internal/vector"
)

// depthwise is the part of a convolution in which each channel is convolved by itself.
type depthwise struct {
	engine          vector.ByteEngine
	height, columns int // of the kernel, the height rounded up to whole groups of rows
	kernel          int // the height
	step            int
	width           int // of the result
	channels        int
	blocks          []depthwiseBlock
}

// depthwiseBlock is a block of channels.
type depthwiseBlock struct {
	left, channels int
	pixels         int // neighboring pixels, each of all channels, that are one block
	weights        []uint8
	initial        []int32
	result         vector.ByteResult
}

// newDepthwise returns nil if there is no loop for the convolution.
func newDepthwise(e vector.ByteEngine, s ConvShape, w Weights, initial []int32, q *Requantize) *depthwise {
	lanes, least := e.DepthwiseLanes()
	channels := s.Input.Channels
	if s.groups() == 1 || s.groups() != channels || s.Filters != channels || channels < least || q.Addend != nil || !e.HasDepthwise(s.KernelWidth, s.Stride) {
		return nil
	}
	rows := e.DepthwiseRows()
	d := &depthwise{
		engine: e, height: ceilDiv(s.KernelHeight, rows) * rows, columns: s.KernelWidth, kernel: s.KernelHeight,
		step: s.Stride, width: s.convolved().Width, channels: channels,
	}
	// Two pixels of half as many channels as a block has are one block.
	pixels := 1
	if 2*channels == lanes && s.Stride == 1 && d.width%2 == 0 && e.HasDepthwise(s.KernelWidth, 2) {
		pixels = 2
	}
	for left := 0; left < channels; left += lanes {
		b := depthwiseBlock{
			left: left, channels: pixels * min(channels, lanes), pixels: pixels,
			weights: make([]uint8, e.DepthwiseSize(s.KernelHeight, s.KernelWidth)), initial: make([]int32, lanes),
			result: q.sums(lanes),
		}
		if channels > lanes {
			b.left = min(left, channels-lanes) // the last one overlaps
		}
		taps := s.KernelHeight * s.KernelWidth
		weights := make([]int8, b.channels*taps)
		for c := range b.channels {
			copy(weights[c*taps:][:taps], w.Values[(b.left+c%channels)*taps:])
		}
		e.PackDepthwise(b.weights, weights, s.KernelHeight, s.KernelWidth, b.channels)
		for position := range lanes {
			c := e.DepthwiseChannel(position)
			if c >= b.channels {
				continue
			}
			c = b.left + c%channels
			b.initial[position] = initial[c]
			q.set(&b.result, position, c)
		}
		d.blocks = append(d.blocks, b)
	}
	return d
}

// row writes a row of the result, given images with their border.
func (d *depthwise) row(w *workspace, y, x []uint8, input halo, row int) {
	offsets := grow(&w.offsets, d.height)
	for k := range offsets {
		offsets[k] = int32(row * d.step * input.row)
		if k < d.kernel {
			offsets[k] = int32((row*d.step + k) * input.row)
		}
	}
	d.run(w, y, x, offsets)
}

// run writes a row of the result, given the offsets of the rows of its windows.
func (d *depthwise) run(w *workspace, y, x []uint8, rows []int32) {
	loop := &w.depthwise
	for i := range d.blocks {
		b := &d.blocks[i]
		loop.X, loop.Rows, loop.XPixel, loop.Step, loop.Columns = x[b.left:], rows, d.channels, d.step, d.columns
		loop.Y, loop.YPixel, loop.Count, loop.Channels = y[b.left:], d.channels, d.width, b.channels
		if b.pixels > 1 {
			// Results are pixels apart, and so are their windows.
			loop.Step, loop.YPixel, loop.Count = b.pixels, b.pixels*d.channels, d.width/b.pixels
		}
		loop.Weights, loop.Initial, loop.Result = b.weights, b.initial, b.result
		d.engine.Depthwise(loop)
	}
}
