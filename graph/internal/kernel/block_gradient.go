package kernel

import (
	"github.com/likeness-go/likeness/internal/vector"
)

// Backward writes the gradients dx and dw that are not nil, given the arguments of the
// last Forward, its result y and the gradient dy of y. It may be called once after each
// Forward, because it overwrites what Forward has stored.
func (k *Block[T]) Backward(dx []T, dw BlockWeights[T], x []T, w BlockWeights[T], y, dy []T) {
	pool := k.pool
	checkLength("y", y, pool.Batch*pool.output())
	checkLength("dy", dy, pool.Batch*pool.output())
	checkOptional("dslope", dw.Slope, len(w.Slope))
	if !k.kept {
		panic("kernel: Backward of a block must follow a Forward, without another Backward between them, and not in evaluation")
	}
	defer func() { k.kept = false }()
	if !k.shape.pooled() {
		k.backwardUnpooled(dx, dw, x, w, y, dy)
		return
	}
	gradient := dy
	if k.shape.Norm != NoNorm || k.shape.Activation != ReLU && k.shape.Activation != Identity {
		gradient = grow(&k.gradient, len(dy))
		k.activationGradient(gradient, dw, w, y, dy)
	}
	if adder, ok := k.peaks(); ok {
		k.backwardPeaks(adder, dw.Weight, dw.Bias, x, gradient)
		dw.Weight, dw.Bias = nil, nil
		if dx == nil {
			return
		}
	}
	k.conv.backward(dx, dw.Weight, dw.Bias, x, w.Weight, k.convolutionGradient(gradient, x, w))
}

// BackwardSum writes the gradients dx, dw and daddend that are not nil, given the arguments of the last ForwardSum, its
// result y and the gradient dy of y. They have the bits of AddActivateBackward and Backward.
func (k *Block[T]) BackwardSum(dx []T, dw BlockWeights[T], daddend, x []T, w BlockWeights[T], y, dy []T, a Activation) {
	checkOptional("daddend", daddend, len(dy))
	k.sum = blockSum[T]{computed: true, activation: a, gradient: daddend}
	defer func() { k.sum = blockSum[T]{} }()
	k.Backward(dx, dw, x, w, y, dy)
}

// BackwardReadsResult reports whether Backward reads the values of y. Without a pool, the gradient
// of a function that clips follows from the convolution's result, which the block keeps.
func (k *Block[T]) BackwardReadsResult() bool {
	_, clips := k.shape.Activation.clip()
	return k.shape.pooled() || k.norm == nil || !clips
}

// backwardUnpooled is Backward, or BackwardSum, for a block without a pool. It reads y, dy and the
// convolution's result twice, once for the sums over pixels and once for the gradient of the
// convolution, rather than to store what lies between.
func (k *Block[T]) backwardUnpooled(dx []T, dw BlockWeights[T], x []T, w BlockWeights[T], y, dy []T) {
	k.unpooledSums(dw, x, w, y, dy)
	sum := k.sum
	if sum.gradient != nil { // that of z, too
		dy, sum.computed = sum.gradient, false
	}
	s := k.shape
	height, width := s.Conv.Output()
	run := width * s.Conv.Filters
	along, gradientMean := make([]T, s.Conv.Filters), make([]T, s.Conv.Filters)
	if s.Norm == BatchStatistics {
		along, gradientMean = k.norm.corrections()
	}
	clip, clips := s.Activation.clip()
	k.conv.backward(dx, dw.Weight, dw.Bias, x, w.Weight, func(work *workspace[T], to []T, at halo, span span) {
		var convolved []T
		if k.needsConvolved() {
			convolved = k.convolve(work, x, w.Bias, span)
		}
		for i := range span.images {
			for row := span.top; row < span.bottom; row++ {
				here, first := to[at.row(i, row):][:run], ((span.image+i)*height+row)*run
				z := part(convolved, (i*(span.bottom-span.top)+row-span.top)*run, (i*(span.bottom-span.top)+row-span.top+1)*run)
				values, slopes := y[first:][:run], dy[first:][:run]
				k.inParts(run, func(first, last int) {
					values, slopes := values[first:last], slopes[first:last]
					switch {
					case sum.computed:
						g := grow(&work.active, last-first)
						activateBackward(sum.activation, g, values, values, slopes, nil)
						k.engine.CenterClipped(vector.NoClip, here[first:last], z[first:last], g, k.mean(w), k.norm.scale, k.offset, along, gradientMean)
					case k.norm == nil || !clips:
						k.unpooledSlope(work, here[first:last], part(z, first, last), values, slopes, w)
						if k.norm == nil {
							return
						}
						k.engine.CenterClipped(vector.NoClip, here[first:last], z[first:last], here[first:last], k.mean(w), k.norm.scale, k.offset, along, gradientMean)
					default:
						k.engine.CenterClipped(clip, here[first:last], z[first:last], slopes, k.mean(w), k.norm.scale, k.offset, along, gradientMean)
					}
				})
			}
		}
	})
}

// unpooledSums adds up the gradients of the weights of batch normalization and of the slopes.
func (k *Block[T]) unpooledSums(dw BlockWeights[T], x []T, w BlockWeights[T], y, dy []T) {
	s, sums := k.shape, 0
	if k.norm != nil && (s.Norm == BatchStatistics || dw.Gain != nil || dw.Shift != nil) {
		sums = 2 * s.Conv.Filters
	}
	if sums == 0 && dw.Slope == nil {
		return
	}
	height, width := s.Conv.Output()
	run := width * s.Conv.Filters
	clip, clips := s.Activation.clip()
	total := make([]float64, sums+len(dw.Slope))
	bands := 1
	if k.conv.fourier == nil && k.conv.grouped == nil {
		bands = min(height, max(1, height*run/spanElements))
	}
	reduceWith(total, s.Conv.Batch, func(work *workspace[T], sum []float64, image int) {
		for _, span := range bandsOf(image, 1, height, bands) {
			z := k.convolve(work, x, w.Bias, span)
			first := (image*height + span.top) * run
			values, slopes, begin := y[first:], dy[first:], first
			k.inParts((span.bottom-span.top)*run, func(first, last int) {
				z, values, slopes := z[first:last], values[first:last], slopes[first:last]
				if k.sum.computed {
					g := part(k.sum.gradient, begin+first, begin+last)
					if g == nil {
						g = grow(&work.active, last-first)
					}
					activateBackward(k.sum.activation, g, values, values, slopes, nil)
					slopes = g
				}
				if clips {
					k.engine.SumClipped(clip, sum[:sums], z, slopes, k.mean(w), k.norm.scale, k.offset)
					return
				}
				g := grow(&work.active, last-first)
				argument := k.unpooledSlope(work, g, z, values, slopes, w)
				if dw.Slope != nil {
					addSlope(sum[sums:], argument, slopes)
				}
				if sums > 0 {
					k.engine.SumProducts(sum[:sums], z, g, k.mean(w))
				}
			})
		}
	})
	if sums > 0 {
		k.norm.finishSums(total[:sums], dw.Gain, dw.Shift)
	}
	round(dw.Slope, total[sums:])
}

// unpooledSlope writes to g the gradient of the activation's argument for a part of the
// convolution's result, and returns that argument if it needs it.
func (k *Block[T]) unpooledSlope(work *workspace[T], g, convolved, y, dy []T, w BlockWeights[T]) []T {
	a := k.shape.Activation
	if !a.NeedsArgument() {
		activateBackward(a, g, y, y, dy, w.Slope) // the gradients of ReLU and ReLU6 are those at their results
		return nil
	}
	argument := convolved
	if k.norm != nil {
		argument = grow(&work.normalized, len(convolved))
		k.engine.NormalizeClipped(vector.NoClip, argument, convolved, k.norm.scale, k.offset)
	}
	activateBackward(a, g, argument, y, dy, w.Slope)
	return argument
}

// activationGradient writes the gradient of the activation's argument at the maxima;
// elsewhere it is zero. In the same pass it adds up the gradients of the weights of batch
// normalization and of the slopes.
func (k *Block[T]) activationGradient(gradient []T, dw BlockWeights[T], w BlockWeights[T], y, dy []T) {
	pool := k.pool
	out, sums := pool.output(), 0
	if k.norm != nil {
		sums = 2 * pool.Channels
	}
	total := make([]float64, sums+len(dw.Slope))
	reduceWith(total, pool.Batch, func(work *workspace[T], sum []float64, image int) {
		y, dy, gradient := y[image*out:][:out], dy[image*out:][:out], gradient[image*out:][:out]
		if k.shape.Activation.NeedsArgument() {
			argument := grow(&work.normalized, out)
			k.argument(argument, k.maxima[image*out:][:out], w)
			if dw.Slope != nil {
				addSlope(sum[sums:], argument, dy)
			}
			activateBackward(k.shape.Activation, gradient, argument, y, dy, w.Slope)
		} else { // the gradients of ReLU and ReLU6 are those at their results
			activateBackward(k.shape.Activation, gradient, y, y, dy, w.Slope)
		}
		if k.norm != nil {
			k.engine.SumProducts(sum[:sums], k.maxima[image*out:][:out], gradient, k.mean(w))
		}
	})
	if k.norm != nil {
		k.norm.finishSums(total[:sums], dw.Gain, dw.Shift)
	}
	round(dw.Slope, total[sums:])
}

// convolutionGradient returns the source of the gradient of the convolution's result: the
// gradient of the activation's argument, scaled by batch normalization, and the part that
// comes from the statistics of the batch, which is not zero anywhere.
func (k *Block[T]) convolutionGradient(gradient, x []T, w BlockWeights[T]) source[T] {
	pool := k.pool
	height, width := pool.Output()
	run := pool.Width * pool.Channels
	batchNorm := k.shape.Norm == BatchStatistics
	var along, gradientMean []T
	if batchNorm {
		along, gradientMean = k.norm.corrections()
	}
	tiled := pool.Size == pool.Stride && pool.Padding == 0 && pool.Height%pool.Stride == 0 && pool.Width%pool.Stride == 0
	return func(work *workspace[T], to []T, at halo, span span) {
		var convolved []T
		if batchNorm {
			convolved = k.convolve(work, x, w.Bias, span)
		}
		pooling, windows := pool.windows(at.rowSize()), &work.windows
		*windows = vector.Windows[T]{Step: pool.Stride * pool.Channels, Channels: pool.Channels, Add: batchNorm || !tiled}
		if k.norm != nil {
			windows.Scale = k.norm.scale
		}
		for i := range span.images {
			for row := span.top; row < span.bottom && windows.Add; row++ {
				here := to[at.row(i, row):][:run]
				if batchNorm {
					from := convolved[(i*(span.bottom-span.top)+row-span.top)*run:][:run]
					k.engine.Center(here, from, nil, k.norm.Mean, k.norm.scale, along, gradientMean)
				} else {
					clear(here)
				}
			}
			// Windows that reach over the edge of the span also write outside of it, in the margin.
			firstRow, lastRow := pool.windowRows(span.top, span.bottom)
			for row := firstRow; row < lastRow; row++ {
				pooling.row(pool, row, func(offsets []int32, top, left, first, count int) {
					first, size := (((span.image+i)*height+row)*width+first)*pool.Channels, count*pool.Channels
					windows.Offsets, windows.Count = offsets, count
					windows.X = to[at.row(i, top)+left*pool.Channels:]
					windows.Y, windows.Position = gradient[first:][:size], k.position[first:][:size]
					k.engine.ScatterWindows(windows)
				})
			}
		}
	}
}

// peaks returns the engine's loop for the gradient of the weights from the maxima of the
// pool alone, and whether it applies. It is for a first layer, which has many pixels and
// little arithmetic for each: writing zeros to three of four pixels, and reading them
// again, would take longer than everything else.
func (k *Block[T]) peaks() (vector.PeakAdder, bool) {
	s := k.shape
	if s.Norm != NoNorm || s.PoolSize != 2 || s.PoolStride != 2 || s.PoolPadding != 0 || s.Conv.Stride != 1 || s.Conv.groups() > 1 || s.Conv.patchStart(1) > vector.MaxTaps || k.conv.factors.rounded {
		return nil, false
	}
	return vector.AsPeakAdder(k.engine)
}

// backwardPeaks writes the gradients of the weights and of the bias that are not nil,
// given the gradient at the maxima.
func (k *Block[T]) backwardPeaks(adder vector.PeakAdder, dweight, dbias, x, gradient []T) {
	c, s, pool := k.conv, k.shape.Conv, k.pool
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
	partial := asFloat32(grow(&c.gradient.partial, parts*s.weights()))
	sums := make([]float32, parts*s.Filters)
	clear(partial)
	divide(parts, func(w *workspace[T], part int) {
		p := &any(w).(*workspace[float32]).peaks
		*p = vector.Peaks[float32]{
			C: partial[part*s.weights():][:s.weights()], CStride: s.Filters, Sum: sums[part*s.Filters:][:s.Filters],
			AStep: 2 * s.Channels, ARow: row, Offsets: [4]int{0, s.Channels, row, row + s.Channels},
			Count: width, Channels: s.Filters, Rows: s.KernelHeight, Taps: s.patchStart(1),
		}
		for image := part * s.Batch / parts; image < (part+1)*s.Batch/parts; image++ {
			in := asFloat32(c.window(w, x, span{image: image, images: 1, bottom: pool.Height}))
			for y := range height {
				first := (image*height + y) * out
				p.A, p.Y, p.Position = in[2*y*row:], asFloat32(gradient)[first:], k.position[first:]
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
