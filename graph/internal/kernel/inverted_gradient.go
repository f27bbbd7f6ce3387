package kernel

import (
	"github.com/likeness-go/likeness/internal/vector"
)

// Backward writes the gradients that are not nil, given the arguments of the last Forward and the gradient dy of
// its result.
func (k *InvertedTraining[T]) Backward(dx []T, dw [3]BlockWeights[T], x []T, weights [3]BlockWeights[T], dy []T) {
	k.check(x, dy, weights)
	checkOptional("dx", dx, len(x))
	if k.windows && dx != nil {
		panic("kernel: an inverted residual whose expansion has larger windows than a pixel has no gradient of its input")
	}
	if !k.kept {
		panic("kernel: Backward of an inverted residual must follow a Forward, without another Backward between them")
	}
	k.kept = false
	third := k.project.norm
	total := make([]float64, 2*k.out)
	reduceRows(total, third.rows, k.out, func(sum []float64, first, last int) {
		k.engine.SumProducts(sum, k.z3[first*k.out:last*k.out], dy[first*k.out:last*k.out], third.Mean)
	})
	third.finishSums(total, dw[2].Gain, dw[2].Shift)
	k.packRows(&k.products[0], weights[2].Weight, k.out, k.wide)
	along, mean := third.corrections()
	result := func(w *workspace[T], first, last int) []T { // the gradient of the projection's result
		to := grow(&w.normalized, (last-first)*k.out)
		k.engine.Center(to, k.z3[first*k.out:last*k.out], dy[first*k.out:last*k.out], third.Mean, third.scale, along, mean)
		return to
	}
	if k.storesSloped() {
		defer borrowPass(func(m *passMemory[T]) { m.sloped, k.sloped = k.sloped, m.sloped })()
		grow(&k.sloped, len(k.z2))
	}
	k.projectionGradient(dw, result)
	k.depthwiseGradient(dx, dw, x, weights, dy, result)
}

// projectionGradient writes the gradients of the projection's weights and of the depthwise convolution's norm.
func (k *InvertedTraining[T]) projectionGradient(dw [3]BlockWeights[T], result func(w *workspace[T], first, last int) []T) {
	size := k.out * k.wide
	parts := k.parts(size)
	defer k.borrowPartial(parts * size)()
	second := k.depthwise.norm
	total := make([]float64, 2*k.wide)
	reduceWith(total, parts, func(w *workspace[T], sum []float64, part int) {
		for image := part * k.batch / parts; image < (part+1)*k.batch/parts; image++ {
			k.chunks(image, func(first, last int) {
				g := result(w, first, last)
				z, pixels := k.z2[first*k.wide:last*k.wide], last-first
				a := grow(&w.active, len(z))
				if dw[2].Weight != nil {
					k.engine.NormalizeClipped(k.clips[1], a, z, second.scale, k.offset[1])
					o := &w.outer
					*o = vector.Outer[T]{
						A: g, B: a, C: k.partial[part*size:][:size], AOffsets: k.narrow[2][:pixels], BOffsets: k.narrow[1][:pixels],
						Run: k.out, Columns: k.wide, CStride: k.wide, Add: true,
					}
					k.engine.Outer(o)
				}
				if k.storesSloped() {
					a = k.sloped[first*k.wide : last*k.wide]
				}
				k.multiply(w, &k.products[0], a, k.narrow[1], g, k.narrow[2], pixels, k.following(k.z2, last))
				k.engine.SumClipped(k.clips[1], sum, z, a, second.Mean, second.scale, k.offset[1])
			})
		}
	})
	second.finishSums(total, dw[1].Gain, dw[1].Shift)
	if dw[2].Weight != nil {
		checkLength("dweight", dw[2].Weight, size)
		Copy(dw[2].Weight, k.total(parts, size))
	}
}

// depthwiseGradient writes the other gradients.
func (k *InvertedTraining[T]) depthwiseGradient(dx []T, dw [3]BlockWeights[T], x []T, weights [3]BlockWeights[T], dy []T, result func(w *workspace[T], first, last int) []T) {
	s, p := k.depthwise.shape.Conv, k.depthwise.conv.depthwise
	p.initGradient()
	p.packBackward()
	g := &invertedGradient[T]{InvertedTraining: k, dx: dx, x: x, result: result, taps: s.KernelHeight * s.KernelWidth, input: make([][]T, k.batch)}
	g.along, g.mean = k.depthwise.norm.corrections()
	size := 0
	if k.expand != nil {
		size = k.in * k.wide
		if g.back = &k.products[2]; dx != nil {
			k.packRows(g.back, k.folded, k.wide, k.in)
		}
	}
	parts := k.parts(max(size, 1))
	defer k.borrowPartial(parts * size)()
	total := make([]float64, (g.taps+1)*k.wide)
	reduceWith(total, parts, func(w *workspace[T], sum []float64, part int) {
		for image := part * k.batch / parts; image < (part+1)*k.batch/parts; image++ {
			g.image(w, sum, k.partial[part*size:][:size], image)
		}
	})
	if dweight := dw[1].Weight; dweight != nil {
		checkLength("dweight", dweight, g.taps*k.wide)
		for f := range k.wide {
			for tap := range g.taps {
				dweight[f*g.taps+tap] = T(total[tap*k.wide+f])
			}
		}
	}
	if k.expand != nil {
		k.expansionGradient(dx, dw[0], x, k.ordered, dy, k.total(parts, size), total[g.taps*k.wide:])
	} else if dx != nil && k.residual {
		Add(dx, dy)
	}
}

// invertedGradient computes the gradient of the depthwise convolution and its products.
type invertedGradient[T Float] struct {
	*InvertedTraining[T]
	dx, x       []T
	result      func(w *workspace[T], first, last int) []T
	taps        int
	along, mean []T        // corrections of the depthwise convolution's norm
	input       [][]T      // the present images of the input
	back        *packed[T] // (wide, in) the folded weights of the expansion; nil without one
}

// image computes an image. It adds the gradient of the depthwise weights and of the expansion's shift to sum and the
// products of the expansion's gradient and the input to products, (in, wide).
func (g *invertedGradient[T]) image(w *workspace[T], sum []float64, products []T, image int) {
	k, s, p := g.InvertedTraining, g.depthwise.shape.Conv, g.depthwise.conv.depthwise
	at := halo{images: 1, height: k.height, width: k.width, channels: k.wide}
	kept := ceilDiv(s.Padding.Top+s.KernelHeight, s.Stride) // at most
	gradient := grow(&w.gradient, min(k.bandBack+kept, k.height)*at.rowSize())
	var e expandedRows[T]
	if k.storesActive() {
		e = k.storedRows(image)
		e.end = s.Height
	} else if k.expand != nil {
		e = k.newExpanded(w, image, min(k.bandBack*s.Stride+s.KernelHeight+s.Padding.Top, s.Height))
	}
	if k.expand != nil {
		g.input[image] = k.inputImage(w, g.x, image)
	}
	first, done := 0, 0 // the first row of the gradient, and the number of rows of the input that are done
	for top := 0; top < k.height; top += k.bandBack {
		bottom := min(top+k.bandBack, k.height)
		keep := top
		if done < s.Height {
			keep = min(top, max(0, ceilDiv(max(0, done+s.Padding.Top-s.KernelHeight+1), s.Stride)))
		}
		copy(gradient, gradient[(keep-first)*at.rowSize():(top-first)*at.rowSize()])
		first = keep
		at.top = -first
		g.resultRows(w, gradient[(top-first)*at.rowSize():], image, top, bottom)

		last := s.Height
		if bottom < k.height { // the rows in no window that begins later
			last = min(max(done, bottom*s.Stride-s.Padding.Top), s.Height)
		}
		in, from := []T(nil), halo{}
		if k.expand != nil {
			above, below := p.inputRows(top, bottom)
			k.expandTo(w, &e, g.input[image], min(above, done), max(below, last), nil)
			in, from = e.data, k.expandedHalo(&e)
		}
		g.addWeights(w, sum[:g.taps*k.wide], gradient, at, in, from, image, top, bottom)
		g.inputRows(w, sum[g.taps*k.wide:], products, gradient[:(bottom-first)*at.rowSize()], at, &e, image, done, last)
		done = last
	}
}

// resultRows writes the gradient of the depthwise convolution's results in some rows.
func (g *invertedGradient[T]) resultRows(w *workspace[T], to []T, image, top, bottom int) {
	k, n := g.InvertedTraining, g.depthwise.norm
	begin := (image*k.height + top) * k.width
	for first := begin; first < (image*k.height+bottom)*k.width; first += k.chunk() {
		last := min(first+k.chunk(), (image*k.height+bottom)*k.width)
		here := to[(first-begin)*k.wide:][:(last-first)*k.wide]
		slope := here
		if k.storesSloped() {
			slope = k.sloped[first*k.wide : last*k.wide]
		} else {
			k.multiply(w, &k.products[0], here, k.narrow[1], g.result(w, first, last), k.narrow[2], last-first, k.z2[first*k.wide:last*k.wide])
		}
		k.engine.CenterClipped(k.clips[1], here, k.z2[first*k.wide:last*k.wide], slope, n.Mean, n.scale, k.offset[1], g.along, g.mean)
	}
}

// addWeights adds the gradient of the depthwise weights, see depthwise.addWeights.
func (g *invertedGradient[T]) addWeights(w *workspace[T], sum []float64, gradient []T, at halo, in []T, from halo, image, top, bottom int) {
	p := g.depthwise.conv.depthwise
	if g.expand == nil {
		p.addWeights(w, sum, g.x, gradient, at, image, top, bottom)
		return
	}
	step := max(1, 2*weightPixels/at.width)
	for first := top; first < bottom; first += step {
		part := grow(&w.values, len(sum))
		clear(part)
		sweep := g.sweep
		sweep.weights = part
		sweep.eachPart(&w.depthwise, gradient, at, in, from, first, min(first+step, bottom), func(d *vector.Depthwise[T]) {
			if d.Rows > 0 && d.Columns > 0 {
				g.engine.DepthwiseGradient(d)
			}
		})
		g.engine.SumRows(sum, part)
	}
}

// inputRows computes the gradient of rows [top, bottom) of the depthwise convolution's input and, with an
// expansion, its products.
func (g *invertedGradient[T]) inputRows(w *workspace[T], sum []float64, products, gradient []T, at halo, e *expandedRows[T], image, top, bottom int) {
	k, s, p := g.InvertedTraining, g.depthwise.shape.Conv, g.depthwise.conv.depthwise
	if top == bottom {
		return
	}
	if k.expand == nil {
		if g.dx != nil {
			p.inputGradient(w, g.dx[image*s.Height*k.row:], gradient, at, top, bottom)
		}
		return
	}
	run := s.Width * k.wide
	to := grow(&w.results, (bottom-top)*run)
	p.inputRowsGradient(w, to, gradient, at, top, bottom)
	for y := top; y < bottom; y++ {
		clipped := e.data[(y-e.begin)*k.row+s.Padding.Left*k.pixel:]
		here := to[(y-top)*run:][:run]
		for x := 0; x < s.Width && k.pixel != k.wide; x++ {
			k.clipGradient(here[x*k.wide:][:k.wide], clipped[x*k.pixel:])
		}
		if k.pixel == k.wide {
			k.clipGradient(here, clipped)
		}
	}
	begin := (image*s.Height + top) * s.Width
	for first := 0; first < (bottom-top)*s.Width; first += k.chunk() {
		last := min(first+k.chunk(), (bottom-top)*s.Width)
		here, pixels := to[first*k.wide:last*k.wide], last-first
		k.engine.SumRows(sum, here)
		if g.dx != nil {
			k.multiply(w, g.back, g.dx[(begin+first)*k.in:], k.narrow[0], here, k.narrow[1], pixels, nil)
		}
		o, left, at := &w.outer, k.expand.conv.left, top*s.Width+first
		*o = vector.Outer[T]{
			B: here, AOffsets: left.windows[at : at+pixels], BOffsets: k.narrow[1][:pixels],
			Run: left.run, Columns: k.wide, CStride: k.wide, Add: true,
		}
		for row := range left.rows {
			o.A, o.C = g.input[image][row*left.halo.rowSize():], products[row*left.run*k.wide:]
			k.engine.Outer(o)
		}
	}
}

// clipGradient sets the gradient to zero where a value is clipped, given the clipped values.
func (k *InvertedTraining[T]) clipGradient(gradient, clipped []T) {
	switch k.clips[0] {
	case vector.ClipZero:
		k.engine.ReLUGradient(gradient, clipped[:len(gradient)], gradient)
	case vector.ClipSix:
		k.engine.ActivateGradient(vector.ReLU6, gradient, clipped[:len(gradient)], gradient)
	}
}

// expansionGradient writes the gradients of the expansion, given g·x (in, wide) and g summed over all pixels, where
// g is the gradient of the argument of its activation. dx is g·(s·W) already.
func (k *InvertedTraining[T]) expansionGradient(dx []T, dw BlockWeights[T], x, weight, dy []T, products []T, sum []float64) {
	n := k.expand.norm
	rows := float64(n.rows)
	total := make([]float64, 2*k.wide)
	own := make([]float64, k.wide) // the difference of this part's mean from that of all parts
	turned := grow(&k.turned, k.wide*k.in)
	k.eachFilter(func(_ *workspace[T], first, last int) {
		k.engine.Transpose(turned[first*k.in:], k.in, products[first:], k.wide, k.in, last-first)
		for f := first; f < last; f++ {
			row, mean := weight[f*k.in:][:k.in], float64(n.Mean[f])
			own[f] = float64(k.engine.Dot(row, k.mean)) - mean
			total[f], total[k.wide+f] = float64(k.engine.Dot(row, turned[f*k.in:][:k.in]))-mean*sum[f], sum[f]
		}
	})
	n.finishSums(total, dw.Gain, dw.Shift)
	along, mean := n.corrections()
	checkOptional("dweight", dw.Weight, len(weight))
	if dx == nil && dw.Weight == nil {
		return
	}
	scaled := k.folded // no longer needed: now for correctInput
	constants := make([]float64, k.wide)
	k.eachFilter(func(_ *workspace[T], first, last int) {
		for f := first; f < last; f++ {
			scale, along := float64(n.scale[f]), float64(along[f])
			constants[f] = scale * (along*float64(n.Mean[f]) - float64(mean[f]))
			k.engine.Scale(scaled[f*k.in:][:k.in], weight[f*k.in:][:k.in], T(-scale*along))
			if dw.Weight == nil {
				continue
			}
			constant, slope := T(rows*(float64(mean[f])+along*own[f])), T(along*rows)
			product, covariance := turned[f*k.in:][:k.in], k.covariance[f*k.in:][:k.in]
			for c, m := range k.mean {
				product[c] = n.scale[f] * (product[c] - constant*m - slope*covariance[c])
			}
			channels := k.expand.shape.Conv.Channels
			if channels == k.in {
				copy(dw.Weight[f*k.in:], product)
				continue
			}
			k.engine.Transpose(dw.Weight[f*k.in:][:k.in], k.in/channels, product, channels, k.in/channels, channels)
		}
	})
	if dx != nil {
		k.correctInput(dx, x, weight, dy, constants)
	}
}

// correctInput subtracts from dx what the statistics of the expansion contribute to it, x·M and a constant, and adds dy with
// a residual. folded is the weights times −s·a, and constants are those for each filter.
func (k *InvertedTraining[T]) correctInput(dx, x, weight, dy []T, constants []float64) {
	n := k.expand.norm
	constant, initial, matrix := make([]float64, k.in), make([]T, k.in), make([]T, k.in*k.in)
	for f, v := range constants {
		for c, weight := range weight[f*k.in:][:k.in] {
			constant[c] += float64(weight) * v
		}
	}
	round(initial, constant)
	bands := ceilDiv(k.in, 8)
	divide(bands, func(w *workspace[T], band int) {
		first, last := band*k.in/bands, (band+1)*k.in/bands
		o := &w.outer
		*o = vector.Outer[T]{
			A: weight[first:], B: k.folded, C: matrix[first*k.in:], AOffsets: k.narrow[0][:k.wide], BOffsets: k.narrow[0][:k.wide],
			Run: last - first, Columns: k.in, CStride: k.in,
		}
		k.engine.Outer(o)
	})
	m := &k.products[2]
	k.packRows(m, matrix, k.in, k.in)
	step := min(max(chunkPixels, chunkElements/k.in), len(k.narrow[0]))
	divide(ceilDiv(n.rows, step), func(w *workspace[T], i int) {
		first, last := i*step, min((i+1)*step, n.rows)
		p := &w.product
		*p = vector.Rows[T]{
			A: x[first*k.in:], Segments: 1, Length: k.in, Add: true,
			AOffsets: k.narrow[0][:last-first], COffsets: k.narrow[0][:last-first],
		}
		for j := range m.panels {
			q := m.panel(j)
			p.C, p.B, p.Columns, p.Width = dx[first*k.in+q.left:], q.data, q.columns, q.width
			p.Initial = initial[q.left:][:q.columns]
			k.engine.Rows(p)
		}
		if k.residual {
			k.engine.Add(dx[first*k.in:last*k.in], dy[first*k.in:last*k.in])
		}
	})
}
