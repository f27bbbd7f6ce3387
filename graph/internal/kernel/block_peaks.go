package kernel

import "github.com/likeness-go/likeness/internal/vector"

// peaks says whether the gradient of the block's weights can be taken at the
// maxima of its pool alone: of a first layer, where there are many pixels and
// little arithmetic for each, to write zeros to three pixels of four, and to
// read them again, takes longer than all else.
func (k *Block[T]) peaks() (vector.PeakAdder, bool) {
	s := k.shape
	if s.Norm != NoNorm || s.PoolSize != 2 || s.PoolStride != 2 || s.Conv.Stride != 1 || s.Conv.patchStart(1) > vector.MostTaps {
		return nil, false
	}
	return vector.AsPeakAdder(k.engine)
}

// backwardPeaks writes those of the gradients of weights and bias that are not
// nil, given the gradient at the maxima.
func (k *Block[T]) backwardPeaks(adder vector.PeakAdder, dweight, dbias, x, gradient []T) {
	c, s, pool := k.conv, k.shape.Conv, k.shape.pool()
	checkLength("x", x, s.inputs())
	checkOptional("dweight", dweight, s.weights())
	checkOptional("dbias", dbias, s.Filters)
	if dweight == nil && dbias == nil {
		return
	}
	height, width := pool.Output()
	out, row := width*s.Filters, c.input.rowSize()
	parts := 16
	for parts > s.Batch || parts > 4 && s.pixels() < parts*1024 {
		parts /= 2
	}
	partial := single(grow(&c.gradient.partial, parts*s.weights()))
	sums := make([]float32, parts*s.Filters)
	clear(partial)
	parallel(parts, func(w *workspace[T], part int) {
		p := &any(w).(*workspace[float32]).peaks
		*p = vector.Peaks[float32]{
			C: partial[part*s.weights():][:s.weights()], CStride: s.Filters, Sum: sums[part*s.Filters:][:s.Filters],
			AStep: 2 * s.Channels, ARow: row, Offsets: [4]int{0, s.Channels, row, row + s.Channels},
			Count: width, Channels: s.Filters, Rows: s.KernelHeight, Taps: s.patchStart(1),
		}
		for image := part * s.Batch / parts; image < (part+1)*s.Batch/parts; image++ {
			in := single(c.window(w, x, span{image: image, images: 1, bottom: pool.Height}))
			for y := range height {
				first := (image*height + y) * out
				p.A, p.Y, p.Position = in[2*y*row:], single(gradient)[first:], k.position[first:]
				adder.Peaks(p)
			}
		}
	})
	if dweight != nil {
		c.orderGradient(dweight, c.addParts(parts))
	}
	if dbias != nil {
		total := make([]float64, s.Filters)
		for i, v := range sums {
			total[i%s.Filters] += float64(v)
		}
		round(dbias, total)
	}
}
