package kernel

import (
	"github.com/likeness-go/likeness/internal/vector"
)

// statistics computes the mean and the variance of arrays of rows of channels, which compute passes to add for each of
// several images. As in Block.computeStatistics the squares are those of differences, here from the first row of an image.
func (k *InvertedTraining[T]) statistics(n *BatchNorm[T], images int, compute func(w *workspace[T], image int, add func(z []T))) {
	space := borrow[float64](0)
	defer space.release()
	sums, centers := grow(&space.columns, images*2*n.channels), grow(&k.centers, images*n.channels)
	divide(images, func(w *workspace[T], image int) {
		sum, center := sums[image*2*n.channels:][:2*n.channels], centers[image*n.channels:][:n.channels]
		first := true
		clear(sum)
		compute(w, image, func(z []T) {
			if first {
				copy(center, z)
				first = false
			}
			k.engine.SumMoments(sum, z, center)
		})
	})
	own := make([]float64, 2*n.channels)
	mean, variance := own[:n.channels], own[n.channels:]
	rows := float64(n.rows) / float64(images) // of each image
	for image := range images {
		for c, v := range sums[image*2*n.channels:][:n.channels] {
			mean[c] += v / float64(n.rows)
		}
	}
	for image := range images {
		sum, squares := sums[image*2*n.channels:][:n.channels], sums[(image*2+1)*n.channels:][:n.channels]
		for c, center := range centers[image*n.channels:][:n.channels] {
			d := mean[c] - float64(center)
			variance[c] += (squares[c] - d*(2*(sum[c]-rows*float64(center))-rows*d)) / float64(n.rows)
		}
	}
	for c, v := range variance {
		variance[c] = max(0, v)
	}
	n.set(own)
}

// expansionStatistics computes the mean and the covariance of the input, and from these the statistics of the
// expansion.
func (k *InvertedTraining[T]) expansionStatistics(x, weight []T) {
	s, n := k.expand.shape.Conv, k.expand.norm
	sum := make([]float64, k.in)
	reduceRows(sum, n.rows, k.in, func(sum []float64, first, last int) { k.engine.SumRows(sum, x[first*k.in:last*k.in]) })
	grow(&k.mean, k.in)
	for c, v := range sum {
		k.mean[c] = T(v / float64(n.rows))
	}
	size, pixels := k.in*k.in, s.Height*s.Width
	parts, step := k.parts(size), max(chunkPixels, chunkElements/k.in)
	step = min(step, len(k.narrow[0]))
	defer k.borrowPartial(parts * size)()
	divide(parts, func(w *workspace[T], part int) {
		o := &w.outer
		for first := part * k.batch / parts * pixels; first < (part+1)*k.batch/parts*pixels; first += step {
			last := min(first+step, (part+1)*k.batch/parts*pixels)
			centered := grow(&w.active, (last-first)*k.in)
			k.engine.Normalize(centered, x[first*k.in:last*k.in], k.mean, k.ones, k.zeros)
			*o = vector.Outer[T]{
				A: centered, B: centered, C: k.partial[part*size:][:size], AOffsets: k.narrow[0][:last-first], BOffsets: k.narrow[0][:last-first],
				Run: k.in, Columns: k.in, CStride: k.in, Add: true,
			}
			k.engine.Outer(o)
		}
	})
	covariance := k.total(parts, size)
	k.engine.Scale(covariance, covariance, T(1/float64(n.rows)))
	k.packRows(&k.products[1], covariance, k.in, k.in)
	grow(&k.covariance, k.wide*k.in)
	own := make([]float64, 2*k.wide)
	k.eachFilter(func(w *workspace[T], first, last int) {
		k.multiply(w, &k.products[1], k.covariance[first*k.in:], k.narrow[0], weight[first*k.in:], k.narrow[0], last-first, nil)
		for f := first; f < last; f++ {
			row := weight[f*k.in:][:k.in]
			own[f], own[k.wide+f] = float64(k.engine.Dot(row, k.mean)), max(0, float64(k.engine.Dot(row, k.covariance[f*k.in:][:k.in])))
		}
	})
	n.set(own)
}

// eachFilter calls work for ranges of the filters of the expansion.
func (k *InvertedTraining[T]) eachFilter(work func(w *workspace[T], first, last int)) {
	const step = 24
	divide(ceilDiv(k.wide, step), func(w *workspace[T], i int) { work(w, i*step, min((i+1)*step, k.wide)) })
}

// windowStatistics computes the statistics of the expansion from its results, and the mean and the covariance of the
// windows.
func (k *InvertedTraining[T]) windowStatistics(x []T) {
	n, left := k.expand.norm, k.expand.conv.left
	k.packExpansion(false)
	size := (k.in + 1) * k.in // the sums of the products and of the windows
	step, pixels := k.chunk(), n.rows/k.batch
	partial, one, zeros := make([]T, k.batch*size), []T{1}, make([]int32, step)
	k.statistics(n, k.batch, func(w *workspace[T], image int, add func(z []T)) {
		in := k.inputImage(w, x, image)
		sums := partial[image*size:][:size]
		for first := 0; first < pixels; first += step {
			last := min(first+step, pixels)
			p := &w.product
			*p = vector.Rows[T]{}
			k.expansion(p, in, first, last)
			z := grow(&w.active, (last-first)*k.wide)
			p.COffsets = k.narrow[1][:last-first]
			for i := range k.products[1].panels {
				q := k.products[1].panel(i)
				p.C, p.B, p.Columns, p.Width = z[q.left:], q.data, q.columns, q.width
				k.engine.Rows(p)
			}
			add(z)
			for column := range left.rows {
				o := &w.outer
				*o = vector.Outer[T]{
					B: in[column*left.halo.rowSize():], BOffsets: left.windows[first:last], Columns: left.run, CStride: k.in, Add: true,
				}
				o.A, o.AOffsets, o.Run, o.C = one, zeros[:last-first], 1, sums[k.in*k.in+column*left.run:]
				k.engine.Outer(o)
				for row := range column + 1 { // the others follow by symmetry
					o.A, o.AOffsets, o.Run, o.C = in[row*left.halo.rowSize():], left.windows[first:last], left.run, sums[row*left.run*k.in+column*left.run:]
					k.engine.Outer(o)
				}
			}
		}
	})
	total := make([]float64, size)
	for image := range k.batch {
		for i, v := range partial[image*size:][:size] {
			total[i] += float64(v) / float64(n.rows)
		}
	}
	covariance, mean := make([]T, k.in*k.in), total[k.in*k.in:]
	round(grow(&k.mean, k.in), mean)
	for i := range covariance {
		row, column := i/k.in, i%k.in
		at := i
		if row > column {
			at = column*k.in + row
		}
		covariance[i] = T(total[at] - mean[row]*mean[column])
	}
	k.packRows(&k.products[2], covariance, k.in, k.in)
	grow(&k.covariance, k.wide*k.in)
	k.eachFilter(func(w *workspace[T], first, last int) {
		k.multiply(w, &k.products[2], k.covariance[first*k.in:], k.narrow[0], k.ordered[first*k.in:], k.narrow[0], last-first, nil)
	})
}
