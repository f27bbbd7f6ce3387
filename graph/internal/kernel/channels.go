package kernel

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// channelChunk is the number of channels of one unit of work, in kernels that compute a
// number for each channel of each image.
const channelChunk = 128

// forEachChannelChunk calls work for ranges [first, last) of the channels of each image.
func forEachChannelChunk(batch, channels int, work func(image, first, last int)) {
	chunks := ceilDiv(channels, channelChunk)
	parallel.For(batch*chunks, func(i int) {
		first := i % chunks * channelChunk
		work(i/chunks, first, min(first+channelChunk, channels))
	})
}

// GlobalAverage writes the mean y (batch, channels) of the pixels of x (batch, pixels,
// channels), added in their order.
func GlobalAverage[T Float](y, x []T, batch, pixels, channels int) {
	checkLength("x", x, batch*pixels*channels)
	checkLength("y", y, batch*channels)
	e := vector.For[T]()
	forEachChannelChunk(batch, channels, func(image, first, last int) {
		mean := y[image*channels:][first:last]
		clear(mean)
		for p := range pixels {
			e.Add(mean, x[(image*pixels+p)*channels:][first:last])
		}
		for c := range mean {
			mean[c] /= T(pixels)
		}
	})
}

// GlobalAverageBackward writes the gradient dx of GlobalAverage, unless it is nil.
func GlobalAverageBackward[T Float](dx, dy []T, batch, pixels, channels int) {
	if dx == nil {
		return
	}
	checkLength("dx", dx, batch*pixels*channels)
	checkLength("dy", dy, batch*channels)
	parallel.For(batch, func(image int) {
		share := dx[image*pixels*channels:][:channels]
		for c, g := range dy[image*channels:][:channels] {
			share[c] = g / T(pixels)
		}
		for p := 1; p < pixels; p++ {
			copy(dx[(image*pixels+p)*channels:][:channels], share)
		}
	})
}

// ScaleImages writes y = factor·x, with a factor for each image of x (batch, size). A factor
// of zero gives zeros. y may be x.
func ScaleImages[T Float](y, x, factor []T, batch, size int) {
	checkLength("x", x, batch*size)
	checkLength("y", y, batch*size)
	checkLength("factor", factor, batch)
	e := vector.For[T]()
	chunks := ceilDiv(size, chunkSize)
	parallel.For(batch*chunks, func(i int) {
		image, first := i/chunks, i%chunks*chunkSize
		last := min(first+chunkSize, size)
		to := y[image*size:][first:last]
		if factor[image] == 0 {
			clear(to) // also where x is not finite
			return
		}
		e.Scale(to, x[image*size:][first:last], factor[image])
	})
}

// ScaleChannels writes y = x·factor for x (rows, channels) and a factor for each channel.
// y may be x.
func ScaleChannels[T Float](y, x, factor []T) {
	checkLength("y", y, len(x))
	e := vector.For[T]()
	forEachRowChunk(len(x), len(factor), func(first, last int) { e.ScaleChannels(y[first:last], x[first:last], factor) })
}

// ScaleChannelsBackward writes the gradients of ScaleChannels that are not nil. dx may be
// dy.
func ScaleChannelsBackward[T Float](dx, dfactor, x, factor, dy []T) {
	channels := len(factor)
	if dfactor != nil {
		checkLength("dfactor", dfactor, channels)
		checkLength("x", x, len(dy))
		zeros, total := make([]T, channels), make([]float64, 2*channels)
		reduceRows(total, len(dy)/channels, channels, func(sum []float64, first, last int) {
			vector.For[T]().SumProducts(sum, x[first*channels:last*channels], dy[first*channels:last*channels], zeros)
		})
		round(dfactor, total[:channels])
	}
	if dx != nil {
		ScaleChannels(dx, dy, factor)
	}
}

// GeM is generalized-mean pooling (Radenović, Tolias & Chum 2018, equation 3) of x (batch,
// pixels, channels):
//
//	y = (Σ max(x, ε)ᵖ / pixels)^(1/p)
//
// Powers and sums are computed in float64.
type GeM[T Float] struct {
	batch, pixels, channels int
	epsilon                 float64
	means                   []float64 // (batch, channels) of the powers in the last Forward
}

// NewGeM returns the layer of a shape. epsilon is ε and must be above zero.
func NewGeM[T Float](batch, pixels, channels int, epsilon float64) *GeM[T] {
	for _, d := range []dimension{{"batch", batch}, {"pixels", pixels}, {"channels", channels}} {
		mustBeValid(atLeastOne(d.name, d.value))
	}
	return &GeM[T]{batch, pixels, channels, epsilon, make([]float64, batch*channels)}
}

// power returns vᵖ for v > 0.
func power(v, p float64) float64 {
	switch p {
	case 1:
		return v
	case 2:
		return v * v
	case 3:
		return v * v * v
	}
	return math.Exp(p * math.Log(v))
}

// Forward writes y (batch, channels). exponent has one element, p.
func (g *GeM[T]) Forward(y, x, exponent []T) {
	checkLength("x", x, g.batch*g.pixels*g.channels)
	checkLength("y", y, g.batch*g.channels)
	checkLength("exponent", exponent, 1)
	p := float64(exponent[0])
	forEachChannelChunk(g.batch, g.channels, func(image, first, last int) {
		means := g.means[image*g.channels:][first:last]
		clear(means)
		for pixel := range g.pixels {
			for c, v := range x[(image*g.pixels+pixel)*g.channels:][first:last] {
				means[c] += power(max(float64(v), g.epsilon), p)
			}
		}
		for c := range means {
			means[c] /= float64(g.pixels)
			y[image*g.channels+first+c] = T(math.Pow(means[c], 1/p))
		}
	})
}

// Backward writes the gradients that are not nil, given the arguments of the last Forward
// and the gradient dy of its result. At ε the gradient of max(x, ε) is 1.
func (g *GeM[T]) Backward(dx, dexponent, x, exponent, dy []T) {
	checkLength("x", x, g.batch*g.pixels*g.channels)
	checkLength("dy", dy, g.batch*g.channels)
	checkOptional("dx", dx, len(x))
	checkOptional("dexponent", dexponent, 1)
	p := float64(exponent[0])
	terms := make([]float64, len(dy)) // of the gradient of p
	forEachChannelChunk(g.batch, g.channels, func(image, first, last int) {
		var factors, logarithms [channelChunk]float64
		means := g.means[image*g.channels:][first:last]
		for c, mean := range means { // ∂y/∂mean = y/(p·mean), and ∂mean/∂x = p·xᵖ⁻¹/pixels
			factors[c] = float64(dy[image*g.channels+first+c]) * math.Pow(mean, 1/p-1) / float64(g.pixels)
		}
		for pixel := range g.pixels {
			at := (image*g.pixels+pixel)*g.channels + first
			for c, v := range x[at:][:last-first] {
				v := float64(v)
				inside := max(v, g.epsilon)
				if dx != nil {
					dx[at+c] = 0
					if !(v < g.epsilon) {
						dx[at+c] = T(factors[c] * power(inside, p-1))
					}
				}
				if dexponent != nil {
					logarithms[c] += power(inside, p) * math.Log(inside)
				}
			}
		}
		for c, mean := range means { // of ln y = ln(mean)/p
			y := math.Pow(mean, 1/p)
			slope := logarithms[c]/(float64(g.pixels)*p*mean) - math.Log(mean)/(p*p)
			terms[image*g.channels+first+c] = float64(dy[image*g.channels+first+c]) * y * slope
		}
	})
	if dexponent != nil {
		sum := 0.0
		for _, term := range terms {
			sum += term
		}
		dexponent[0] = T(sum)
	}
}

// LayerNorm normalizes each row of x (rows, channels) to mean 0 and variance 1, and then
// scales and shifts each channel (Ba, Kiros & Hinton 2016):
//
//	y = gain·x̂ + shift,  x̂ = (x − mean)/√(variance + ε)
type LayerNorm[T Float] struct {
	engine         vector.Engine[T]
	rows, channels int
	epsilon        float64
	mean, inverse  []T // (rows) of the last Forward; inverse is 1/√(variance + ε)
	zeros, ones    []T // (channels)
}

// NewLayerNorm returns the layer of a shape. epsilon is ε and must be above zero.
func NewLayerNorm[T Float](rows, channels int, epsilon float64) *LayerNorm[T] {
	mustBeValid(atLeastOne("rows", rows))
	mustBeValid(atLeastOne("channels", channels))
	n := &LayerNorm[T]{
		engine: vector.For[T](), rows: rows, channels: channels, epsilon: epsilon,
		mean: make([]T, rows), inverse: make([]T, rows), zeros: make([]T, channels), ones: make([]T, channels),
	}
	fill(n.ones, 1)
	return n
}

// fill writes v to all elements of x.
func fill[T Float](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}

// product returns Σ x·y. The sums of at most some hundreds of products are added in
// float64, so that the error does not grow with the length.
func (n *LayerNorm[T]) product(x, y []T) float64 {
	const step = 512
	sum := 0.0
	for first := 0; first < len(x); first += step {
		last := min(first+step, len(x))
		sum += float64(n.engine.Dot(x[first:last], y[first:last]))
	}
	return sum
}

// scratch returns some rows of scratch memory.
func (n *LayerNorm[T]) scratch(w *workspace[T], rows int) [][]T {
	all := grow(&w.normalized, rows*n.channels)
	var list [][]T
	for i := range rows {
		list = append(list, all[i*n.channels:][:n.channels])
	}
	return list
}

// Forward writes y (rows, channels). y may be x.
func (n *LayerNorm[T]) Forward(y, x, gain, shift []T) {
	checkLength("x", x, n.rows*n.channels)
	checkLength("y", y, n.rows*n.channels)
	checkLength("gain", gain, n.channels)
	checkLength("shift", shift, n.channels)
	step := rowsPerChunk(n.channels)
	divide(ceilDiv(n.rows, step), func(w *workspace[T], chunk int) {
		scratch := n.scratch(w, 2)
		mean, scale := scratch[0], scratch[1]
		for row := chunk * step; row < min((chunk+1)*step, n.rows); row++ {
			from := x[row*n.channels:][:n.channels]
			n.mean[row] = T(n.product(from, n.ones) / float64(n.channels))
			fill(mean, n.mean[row])
			variance := n.engine.SquaredDistance(from, mean) / float64(n.channels)
			n.inverse[row] = T(1 / math.Sqrt(variance+n.epsilon))
			n.engine.Scale(scale, gain, n.inverse[row])
			n.engine.Normalize(y[row*n.channels:][:n.channels], from, mean, scale, shift)
		}
	})
}

// Backward writes the gradients that are not nil, given the arguments of the last Forward
// and the gradient dy of its result. dx may be dy.
func (n *LayerNorm[T]) Backward(dx, dgain, dshift, x, gain, dy []T) {
	checkLength("x", x, n.rows*n.channels)
	checkLength("dy", dy, n.rows*n.channels)
	checkOptional("dx", dx, len(x))
	step := rowsPerChunk(n.channels)
	total := make([]float64, 2*n.channels)
	reduceWith(total, ceilDiv(n.rows, step), func(w *workspace[T], sum []float64, chunk int) {
		scratch := n.scratch(w, 4)
		mean, inverse, normalized, gradient := scratch[0], scratch[1], scratch[2], scratch[3]
		for row := chunk * step; row < min((chunk+1)*step, n.rows); row++ {
			from, slope := x[row*n.channels:][:n.channels], dy[row*n.channels:][:n.channels]
			fill(mean, n.mean[row])
			fill(inverse, n.inverse[row])
			n.engine.Normalize(normalized, from, mean, inverse, n.zeros)
			n.engine.SumProducts(sum, normalized, slope, n.zeros)
			if dx == nil {
				continue
			}
			// dx = inverse·(g − mean(g) − x̂·mean(g·x̂)), where g = dy·gain.
			n.engine.ScaleChannels(gradient, slope, gain)
			fill(mean, T(n.product(gradient, n.ones)/float64(n.channels)))
			along := n.product(gradient, normalized) / float64(n.channels)
			n.engine.AddDifference(gradient, normalized, n.zeros, T(-along))
			n.engine.Normalize(dx[row*n.channels:][:n.channels], gradient, mean, inverse, n.zeros)
		}
	})
	if dgain != nil {
		checkLength("dgain", dgain, n.channels)
		round(dgain, total[:n.channels])
	}
	if dshift != nil {
		checkLength("dshift", dshift, n.channels)
		round(dshift, total[n.channels:])
	}
}
