package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// SqueezeExciteShape is the shape of a squeeze-and-excite layer, which multiplies each
// channel of an image by a factor that is computed from the means of all channels (Hu, Shen
// & Sun 2018):
//
//	y = x·Gate(W₂·Activation(W₁·mean + b₁) + b₂)
type SqueezeExciteShape struct {
	Batch, Pixels, Channels int
	Squeezed                int // channels between the two fully connected layers
	Activation, Gate        Activation
}

// Validate returns an error if the shape is not valid.
func (s SqueezeExciteShape) Validate() error {
	for _, d := range []dimension{{"batch", s.Batch}, {"pixels", s.Pixels}, {"channels", s.Channels}, {"squeezed channels", s.Squeezed}} {
		if err := atLeastOne(d.name, d.value); err != nil {
			return err
		}
	}
	for _, a := range []Activation{s.Activation, s.Gate} {
		if !a.valid() || a == PReLU {
			return errors.Errorf("the activation %v is not possible here, because it has weights or is unknown", a)
		}
	}
	return nil
}

// SqueezeExciteWeights are the weights of a squeeze-and-excite layer, or their gradients.
type SqueezeExciteWeights[T Float] struct {
	Reduce, ReduceBias []T // (squeezed, channels), (squeezed)
	Expand, ExpandBias []T // (channels, squeezed), (channels)
}

// SqueezeExcite is a squeeze-and-excite layer. The sums over pixels are computed in float64.
type SqueezeExcite[T Float] struct {
	shape  SqueezeExciteShape
	engine vector.Engine[T]
	zeros  []T // (channels or squeezed, whichever are more)

	// Of the last Forward, for each image: the means, the arguments of the activation and
	// the gate, and their results.
	means, reduced, active, expanded, factors []T

	partial                                      []float64 // sums over some pixels
	dfactors, dexpanded, dactive, dreduced, sums []T
	transposed                                   [2][]T // of the weights
}

// NewSqueezeExcite returns the layer of a valid shape.
func NewSqueezeExcite[T Float](s SqueezeExciteShape) *SqueezeExcite[T] {
	mustBeValid(s.Validate())
	outer, inner := s.Batch*s.Channels, s.Batch*s.Squeezed
	return &SqueezeExcite[T]{
		shape: s, engine: vector.For[T](), zeros: make([]T, max(s.Channels, s.Squeezed)),
		means: make([]T, outer), reduced: make([]T, inner), active: make([]T, inner),
		expanded: make([]T, outer), factors: make([]T, outer),
	}
}

// Forward writes y (batch, pixels, channels). y may be x.
func (k *SqueezeExcite[T]) Forward(y, x []T, w SqueezeExciteWeights[T]) {
	s := k.shape
	checkLength("x", x, s.Batch*s.Pixels*s.Channels)
	checkLength("y", y, len(x))
	k.checkWeights(w)
	k.pixelSums(k.means, s.Channels, func(sum []float64, first, last int) { k.engine.SumRows(sum, x[first:last]) })
	k.eachImage(func(image int) {
		mean := k.means[image*s.Channels:][:s.Channels]
		for c := range mean {
			mean[c] /= T(s.Pixels)
		}
	})
	k.connect(s.Activation, k.active, k.reduced, k.means, w.Reduce, w.ReduceBias, s.Channels, s.Squeezed)
	k.connect(s.Gate, k.factors, k.expanded, k.active, w.Expand, w.ExpandBias, s.Squeezed, s.Channels)
	k.eachPixelChunk(func(image, _, first, last int) {
		k.engine.ScaleChannels(y[first:last], x[first:last], k.factors[image*s.Channels:][:s.Channels])
	})
}

// Backward writes the gradients that are not nil, given the arguments of the last Forward
// and the gradient dy of its result. dx may be dy.
func (k *SqueezeExcite[T]) Backward(dx []T, dw SqueezeExciteWeights[T], x []T, w SqueezeExciteWeights[T], dy []T) {
	s := k.shape
	outer, inner := s.Batch*s.Channels, s.Batch*s.Squeezed
	checkLength("x", x, outer*s.Pixels)
	checkLength("dy", dy, len(x))
	checkOptional("dx", dx, len(x))
	k.checkWeights(w)
	grow(&k.dfactors, outer)
	grow(&k.dexpanded, outer)
	grow(&k.sums, outer)
	grow(&k.dactive, inner)
	grow(&k.dreduced, inner)
	k.pixelSums(k.dfactors, 2*s.Channels, func(sum []float64, first, last int) {
		k.engine.SumProducts(sum, x[first:last], dy[first:last], k.zeros[:s.Channels])
	})
	for i, weight := range [][]T{w.Expand, w.Reduce} {
		grow(&k.transposed[i], len(weight))
	}
	k.engine.Transpose(k.transposed[0], s.Channels, w.Expand, s.Squeezed, s.Channels, s.Squeezed)
	k.engine.Transpose(k.transposed[1], s.Squeezed, w.Reduce, s.Channels, s.Squeezed, s.Channels)
	k.eachImage(func(image int) {
		of := func(x []T, each int) []T { return x[image*each:][:each] }
		dexpanded, dactive, dreduced := of(k.dexpanded, s.Channels), of(k.dactive, s.Squeezed), of(k.dreduced, s.Squeezed)
		activateBackward(s.Gate, dexpanded, of(k.expanded, s.Channels), of(k.factors, s.Channels), of(k.dfactors, s.Channels), nil)
		for r := range dactive {
			dactive[r] = k.engine.Dot(k.transposed[0][r*s.Channels:][:s.Channels], dexpanded)
		}
		activateBackward(s.Activation, dreduced, of(k.reduced, s.Squeezed), of(k.active, s.Squeezed), dactive, nil)
		for c := range s.Channels { // each pixel has its share of the mean
			k.sums[image*s.Channels+c] = k.engine.Dot(k.transposed[1][c*s.Squeezed:][:s.Squeezed], dreduced) / T(s.Pixels)
		}
	})
	k.weightGradient(dw.Expand, dw.ExpandBias, k.dexpanded, k.active, s.Channels, s.Squeezed)
	k.weightGradient(dw.Reduce, dw.ReduceBias, k.dreduced, k.means, s.Squeezed, s.Channels)
	if dx == nil {
		return
	}
	k.eachPixelChunk(func(image, _, first, last int) {
		at := image * s.Channels
		k.engine.Normalize(dx[first:last], dy[first:last], k.zeros[:s.Channels], k.factors[at:][:s.Channels], k.sums[at:][:s.Channels])
	})
}

func (k *SqueezeExcite[T]) checkWeights(w SqueezeExciteWeights[T]) {
	s := k.shape
	checkLength("reduce", w.Reduce, s.Squeezed*s.Channels)
	checkLength("reduce bias", w.ReduceBias, s.Squeezed)
	checkLength("expand", w.Expand, s.Channels*s.Squeezed)
	checkLength("expand bias", w.ExpandBias, s.Channels)
}

func (k *SqueezeExcite[T]) eachImage(work func(image int)) { parallel.For(k.shape.Batch, work) }

// pixelStep is the number of pixels of one unit of work.
func (s SqueezeExciteShape) pixelStep() int { return 4 * rowsPerChunk(s.Channels) }

// eachPixelChunk calls work for ranges [first, last) of the elements of each image, which
// are whole pixels, with the number of the range in its image.
func (k *SqueezeExcite[T]) eachPixelChunk(work func(image, chunk, first, last int)) {
	s := k.shape
	step := s.pixelStep()
	chunks := ceilDiv(s.Pixels, step)
	parallel.For(s.Batch*chunks, func(i int) {
		image, chunk := i/chunks, i%chunks
		first, last := chunk*step, min((chunk+1)*step, s.Pixels)
		work(image, chunk, (image*s.Pixels+first)*s.Channels, (image*s.Pixels+last)*s.Channels)
	})
}

// pixelSums writes the sums (batch, channels) over the pixels of each image. add adds the
// terms of a range to sums of the given number, of which the first are for the channels.
func (k *SqueezeExcite[T]) pixelSums(to []T, count int, add func(sum []float64, first, last int)) {
	s := k.shape
	chunks := ceilDiv(s.Pixels, s.pixelStep())
	partial := grow(&k.partial, s.Batch*chunks*count)
	k.eachPixelChunk(func(image, chunk, first, last int) {
		sum := partial[(image*chunks+chunk)*count:][:count]
		clear(sum)
		add(sum, first, last)
	})
	k.eachImage(func(image int) {
		total := partial[image*chunks*count:][:s.Channels]
		for chunk := 1; chunk < chunks; chunk++ {
			for c, v := range partial[(image*chunks+chunk)*count:][:s.Channels] {
				total[c] += v
			}
		}
		round(to[image*s.Channels:], total)
	})
}

// connect is a fully connected layer with an activation: from (batch, in) to its argument
// (batch, out) and its result y. A matrix product would pack the weights, which takes longer
// than the products with a few images.
func (k *SqueezeExcite[T]) connect(a Activation, y, argument, x, weight, bias []T, in, out int) {
	forEachChannelChunk(k.shape.Batch, out, func(image, first, last int) {
		row := argument[image*out:][first:last]
		for i := range row {
			row[i] = k.engine.Dot(weight[(first+i)*in:][:in], x[image*in:][:in]) + bias[first+i]
		}
		activate(a, y[image*out:][first:last], row, nil)
	})
}

// weightGradient writes the gradients of a fully connected layer that are not nil: Σ dz·x
// and Σ dz over the images, in their order.
func (k *SqueezeExcite[T]) weightGradient(dweight, dbias, dz, x []T, out, in int) {
	checkOptional("a weight's gradient", dweight, out*in)
	checkOptional("a bias's gradient", dbias, out)
	parallel.For(ceilDiv(out, channelChunk), func(chunk int) {
		for o := chunk * channelChunk; o < min((chunk+1)*channelChunk, out); o++ {
			if dweight != nil {
				row := dweight[o*in:][:in]
				clear(row)
				for image := range k.shape.Batch {
					k.engine.AddDifference(row, x[image*in:][:in], k.zeros[:in], dz[image*out+o])
				}
			}
			if dbias != nil {
				sum := 0.0
				for image := range k.shape.Batch {
					sum += float64(dz[image*out+o])
				}
				dbias[o] = T(sum)
			}
		}
	})
}
