package kernel

// Backward writes the gradients dx and dw that are not nil, given what the last
// Forward was given and the gradient dy of its result. It uses up what that
// Forward kept.
func (k *Block[T]) Backward(dx []T, dw BlockWeights[T], x []T, w BlockWeights[T], dy []T) {
	pool := k.shape.pool()
	checkLength("dy", dy, pool.Batch*pool.output())
	checkOptional("dslope", dw.Slope, len(w.Slope))
	if !k.kept {
		panic("kernel: a block's Backward must follow a Forward, with no other Backward between them, and not in evaluation")
	}
	k.kept = false
	mean := w.Mean
	if k.shape.Norm == BatchStatistics {
		mean = k.norm.Mean
	}
	k.activationGradient(dw, mean, w, dy)
	k.convolutionGradient(mean)
	k.conv.Backward(dx, dw.Weight, dw.Bias, x, w.Weight, k.convolved)
}

// activationGradient writes the gradient of the activation's argument, at the
// maxima alone: elsewhere it is zero. Along the way it adds up the gradients of
// the batch norm's weights and of the slopes.
func (k *Block[T]) activationGradient(dw BlockWeights[T], mean []T, w BlockWeights[T], dy []T) {
	pool := k.shape.pool()
	in, out, sums := pool.input(), pool.output(), 0
	if k.norm != nil {
		sums = 2 * pool.Channels
	}
	grow(&k.gradient, len(dy))
	total := make([]float64, sums+len(dw.Slope))
	reduce(total, pool.Batch, func(sum []float64, image int) {
		work := borrow[T]()
		defer work.giveBack()
		dy, gradient := dy[image*out:][:out], k.gradient[image*out:][:out]
		convolved := k.convolved[image*in:][:in]
		if k.shape.pooled() {
			convolved = grow(&work.rows, out)
			gatherMaxima(pool, convolved, k.convolved[image*in:][:in], k.position[image*out:][:out], k.offsets)
		}
		argument := convolved
		if k.norm != nil {
			argument = grow(&work.normalized, out)
			normalizeChannels(argument, convolved, mean, k.norm.scale, w.Shift)
		}
		if dw.Slope != nil {
			addSlope(sum[sums:], argument, dy)
		}
		active := grow(&work.active, out)
		activate(k.shape.Activation, active, argument, w.Slope)
		activateBackward(k.shape.Activation, gradient, argument, active, dy, w.Slope)
		if k.norm != nil {
			addProducts(sum[:sums], convolved, gradient, mean)
		}
	})
	if k.norm != nil {
		k.norm.finishSums(total[:sums], dw.Gain, dw.Shift)
	}
	round(dw.Slope, total[sums:])
}

// convolutionGradient replaces the convolution's result by its gradient: that
// of the activation's argument, scaled by the batch norm, and the part that
// goes through the batch's statistics, which is not zero anywhere.
func (k *Block[T]) convolutionGradient(mean []T) {
	pool := k.shape.pool()
	in, out := pool.input(), pool.output()
	var along, gradientMean []T
	if k.shape.Norm == BatchStatistics {
		along, gradientMean = k.norm.centring()
	}
	Parallel(pool.Batch, func(image int) {
		to, gradient := k.convolved[image*in:][:in], k.gradient[image*out:][:out]
		if k.shape.Norm == BatchStatistics {
			centreChannels(to, to, nil, mean, k.norm.scale, along, gradientMean)
		} else {
			clear(to)
		}
		if k.norm != nil {
			scaleChannels(gradient, gradient, k.norm.scale)
		}
		if k.shape.pooled() {
			scatterMaxima(pool, to, gradient, k.position[image*out:][:out], k.offsets)
		} else {
			for i, v := range gradient {
				to[i] += v
			}
		}
	})
}
