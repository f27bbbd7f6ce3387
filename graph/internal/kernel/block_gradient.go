package kernel

import "github.com/likeness-go/likeness/internal/vector"

// Backward writes the gradients dx and dw that are not nil, given what the last
// Forward was given, its result y and the gradient dy of that. It uses up what
// that Forward kept.
func (k *Block[T]) Backward(dx []T, dw BlockWeights[T], x []T, w BlockWeights[T], y, dy []T) {
	pool := k.shape.pool()
	checkLength("y", y, pool.Batch*pool.output())
	checkLength("dy", dy, pool.Batch*pool.output())
	checkOptional("dslope", dw.Slope, len(w.Slope))
	if !k.kept {
		panic("kernel: a block's Backward must follow a Forward, with no other Backward between them, and not in evaluation")
	}
	k.kept = false
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

// activationGradient writes the gradient of the activation's argument, at the
// maxima alone: elsewhere it is zero. Along the way it adds up the gradients of
// the batch norm's weights and of the slopes.
func (k *Block[T]) activationGradient(gradient []T, dw BlockWeights[T], w BlockWeights[T], y, dy []T) {
	pool := k.shape.pool()
	out, sums := pool.output(), 0
	if k.norm != nil {
		sums = 2 * pool.Channels
	}
	total := make([]float64, sums+len(dw.Slope))
	reduceWith(total, pool.Batch, func(work *workspace[T], sum []float64, image int) {
		y, dy, gradient := y[image*out:][:out], dy[image*out:][:out], gradient[image*out:][:out]
		if k.shape.Activation == PReLU {
			argument := grow(&work.normalized, out)
			k.argument(argument, k.maxima[image*out:][:out], w)
			if dw.Slope != nil {
				addSlope(sum[sums:], argument, dy)
			}
			activateBackward(PReLU, gradient, argument, y, dy, w.Slope)
		} else { // ReLU's result says as much as its argument
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

// convolutionGradient returns the source of the gradient of the convolution's
// result: that of the activation's argument, scaled by the batch norm, and the
// part that goes through the batch's statistics, which is not zero anywhere.
func (k *Block[T]) convolutionGradient(gradient, x []T, w BlockWeights[T]) source[T] {
	pool := k.shape.pool()
	height, width := pool.Output()
	run, out := pool.Width*pool.Channels, width*pool.Channels
	batchNorm := k.shape.Norm == BatchStatistics
	var along, gradientMean []T
	if batchNorm {
		along, gradientMean = k.norm.centring()
	}
	tiled := pool.Size == pool.Stride && pool.Height%pool.Stride == 0 && pool.Width%pool.Stride == 0
	return func(work *workspace[T], to []T, at halo, span span) {
		var convolved []T
		if batchNorm {
			convolved = k.convolve(work, x, w.Bias, span)
		}
		windows := &work.windows
		*windows = vector.Windows[T]{
			Offsets: pool.appendOffsets(grow(&work.places, pool.Size*pool.Size)[:0], at.rowSize()),
			Count:   width, Step: pool.Stride * pool.Channels, Channels: pool.Channels,
			Add: batchNorm || !tiled,
		}
		if k.norm != nil {
			windows.Scale = k.norm.scale
		}
		for i := range span.images {
			for row := span.top; row < span.bottom && windows.Add; row++ {
				here := to[at.row(i, row):][:run]
				if batchNorm {
					from := convolved[(i*(span.bottom-span.top)+row-span.top)*run:][:run]
					k.engine.Centre(here, from, nil, k.norm.Mean, k.norm.scale, along, gradientMean)
				} else {
					clear(here)
				}
			}
			for row := ceilDiv(span.top, pool.Stride); row < min(ceilDiv(span.bottom, pool.Stride), height); row++ {
				first := ((span.image+i)*height + row) * out
				windows.X = to[at.row(i, row*pool.Stride):]
				windows.Y, windows.Position = gradient[first:][:out], k.position[first:][:out]
				k.engine.ScatterWindows(windows)
			}
		}
	}
}
