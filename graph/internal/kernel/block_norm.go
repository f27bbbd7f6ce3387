package kernel

// normalization prepares what the convolution's result is multiplied by and
// what is added to it.
func (k *Block[T]) normalization(x []T, w BlockWeights[T]) {
	switch k.shape.Norm {
	case NoNorm:
		return
	case BatchStatistics:
		k.measure(x, w.Bias)
		k.norm.prepare(w.Gain, k.norm.Mean, k.norm.Variance)
	case GivenStatistics:
		k.norm.prepare(w.Gain, w.Mean, w.Variance)
	}
	checkLength("shift", w.Shift, k.norm.channels)
	mean := k.mean(w)
	grow(&k.offset, k.norm.channels)
	for c, m := range mean {
		k.offset[c] = w.Shift[c] - m*k.norm.scale[c]
	}
}

// mean returns the mean that is subtracted.
func (k *Block[T]) mean(w BlockWeights[T]) []T {
	if k.shape.Norm == GivenStatistics {
		return w.Mean
	}
	return k.norm.Mean
}

// measure computes the statistics of the convolution's result. Sums of squares
// are taken around the first pixel's result, a value of the right size: around
// zero they would lose a variance that is small beside the mean.
func (k *Block[T]) measure(x, bias []T) {
	pool, n := k.shape.pool(), k.norm
	run := pool.Width * pool.Channels
	spans := k.conv.spans(pool.Height, run, pool.Width)
	if k.keepsAll() {
		grow(&k.convolved, pool.Batch*pool.input())
	}
	centre := make([]T, n.channels)
	made := k.conv.fourier != nil // all at once, as spectra are of whole images
	if made {
		k.conv.overSpans(spans, x, func(work *workspace[T], i int) {
			k.conv.convolve(work, k.convolved[spans[i].image*pool.input():], x, bias, spans[i])
		})
		copy(centre, k.convolved)
	} else {
		work := borrow[T](0)
		first := grow(&work.convolved, run)
		k.conv.convolve(work, first, x, bias, span{images: 1, bottom: 1})
		copy(centre, first)
		work.giveBack()
	}
	reduceWith(n.total, len(spans), func(work *workspace[T], sum []float64, i int) {
		rows := spans[i]
		count := rows.images * (rows.bottom - rows.top) * run
		var to []T
		if k.keepsAll() {
			to = k.convolved[(rows.image*pool.Height+rows.top)*run:][:count]
		} else {
			to = grow(&work.convolved, count)
		}
		if !made {
			k.conv.convolve(work, to, x, bias, rows)
		}
		k.engine.SumRows(sum[:n.channels], to)
		k.engine.SumSquares(sum[n.channels:], to, centre)
	})
	for c, m := range centre {
		mean := n.total[c] / float64(n.rows)
		n.Mean[c] = T(mean)
		offset := mean - float64(m)
		n.Variance[c] = T(max(0, n.total[n.channels+c]/float64(n.rows)-offset*offset))
	}
}
