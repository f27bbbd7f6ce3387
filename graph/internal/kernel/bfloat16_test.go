package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/vector"
	"gonum.org/v1/gonum/floats"
	"pgregory.net/rapid"
)

// eachArithmetic runs a test with rounded factors as float32 numbers and as pairs, which are emulated
// if the processor does not multiply them.
func eachArithmetic(t *testing.T, test func(t *testing.T)) {
	before := bfloat16Setting.Load()
	defer bfloat16Setting.Store(before)
	for name, pairs := range map[string]bool{"float32 products": false, "pairs": true} {
		SetPairs(pairs)
		t.Run(name, test)
	}
}

// roundedNumbers are numbers of float64 as factors of bfloat16.
func roundedNumbers(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(vector.ToBFloat16(float32(v)))
	}
	return y
}

// roundedFactors rounds the factors of a bilinear operation, its first two arguments. The gradient of
// the third, which is added, is the sum of the gradient itself.
func roundedFactors(o operation[float64]) operation[float64] {
	round := func(x [][]float64) [][]float64 {
		return append([][]float64{roundedNumbers(x[0]), roundedNumbers(x[1])}, x[2:]...)
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) { o.forward(y, round(x)...) },
		backward: func(dx, x [][]float64, y, dy []float64) {
			o.backward(dx, round(x), y, dy)
			third := slices.Clone(slices.Concat(dx[2:]...))
			o.backward(dx, round(x), y, roundedNumbers(dy))
			if len(third) > 0 {
				copy(dx[2], third)
			}
		},
	}
}

// roundedConv has as its reference the convolution of rounded numbers.
func roundedConv(s ConvShape) subject {
	reference := conv(s)
	reference.naive, reference.double = roundedFactors(reference.naive), roundedFactors(reference.double)
	s.BFloat16 = true
	reference.single = convOperation[float32](s)
	return reference
}

// Large layers of networks with every kind of product: odd numbers of channels, filters and pixels,
// strides, groups of images, gathered windows, and scattered and flipped gradients.
func TestRoundedConvInParts(t *testing.T) {
	eachArithmetic(t, func(t *testing.T) {
		for name, s := range map[string]ConvShape{
			"first layer":    convShape(2, 23, 21, 3, 20, 7, 7, 2, 3),
			"pixels":         convShape(9, 3, 5, 64, 35, 1, 1, 1, 0),
			"many channels":  convShape(1, 5, 6, 131, 5, 3, 3, 1, 1),
			"strided":        convShape(2, 7, 8, 64, 34, 3, 3, 2, 1),
			"shortcut":       convShape(2, 9, 9, 33, 64, 1, 1, 2, 0),
			"many pixels":    convShape(1, 61, 53, 2, 4, 3, 3, 1, 1),
			"a small result": convShape(20, 3, 3, 6, 33, 3, 3, 1, 0),
		} {
			t.Run(name, func(t *testing.T) { check(t, roundedConv(s), 1) })
		}
	})
}

// roundedLinear has as its reference the layer with rounded numbers.
func roundedLinear(batch, in, out int) subject {
	reference := linear(batch, in, out)
	reference.naive, reference.double = roundedFactors(reference.naive), roundedFactors(reference.double)
	l := NewLinear[float32](batch, in, out, true)
	reference.single = operation[float32]{
		forward: func(y []float32, x ...[]float32) { l.Forward(y, x[0], x[1], x[2]) },
		backward: func(dx, x [][]float32, y, dy []float32) {
			l.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy, false)
		},
	}
	return reference
}

func TestRoundedProducts(t *testing.T) {
	defer bfloat16Setting.Store(bfloat16Setting.Load())
	size := rapid.OneOf(rapid.IntRange(1, 9), rapid.SampledFrom([]int{47, 48, 49, 129}))
	checkDrawn(t, func(t *rapid.T) subject {
		SetPairs(rapid.Bool().Draw(t, "pairs"))
		if rapid.Bool().Draw(t, "linear") {
			return roundedLinear(size.Draw(t, "batch"), size.Draw(t, "in"), size.Draw(t, "out"))
		}
		s := drawConvShape(t)
		s.Channels++ // one channel is not rounded
		return roundedConv(s)
	})
}

// Sums that are taken in several parts.
func TestRoundedLinearOfLongRows(t *testing.T) {
	eachArithmetic(t, func(t *testing.T) {
		check(t, roundedLinear(5, rowDepth+3, 7), 1)
		check(t, roundedLinear(3, 7, rowDepth+1), 1)
	})
}

// Which layers are rounded, by the number of products: by Winograd's algorithm 36 for 16 results of
// a 3×3 kernel, by pairs half of those of a direct convolution.
func TestRounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		shape  ConvShape
		rounds bool
	}{
		{"3×3 by Winograd's algorithm", convShape(128, 14, 14, 64, 64, 3, 3, 1, 1), false},
		{"3×3 of few tiles", convShape(2, 7, 7, 64, 64, 3, 3, 1, 1), true},
		{"1×1", convShape(8, 14, 14, 256, 64, 1, 1, 1, 0), true},
		{"3×3, stride 2", convShape(8, 28, 28, 64, 128, 3, 3, 2, 1), true},
		{"three channels", convShape(8, 64, 64, 3, 64, 7, 7, 2, 3), true},
		{"one channel", convShape(8, 28, 28, 1, 64, 3, 3, 1, 1), false},
		{"7×7 by four pieces of 4×4", convShape(16, 48, 48, 64, 128, 7, 7, 1, 0), false},
		{"20 channels", convShape(128, 14, 14, 20, 20, 3, 3, 1, 1), true},
		{"large kernel, by the Fourier transform", convShape(64, 56, 56, 24, 24, 11, 11, 1, 0), false},
	} {
		if c.shape.rounds() {
			t.Errorf("%s: it is rounded without BFloat16", c.name)
		}
		c.shape.BFloat16 = true
		if got := c.shape.rounds(); got != c.rounds {
			t.Errorf("%s: found %v, expected %v", c.name, got, c.rounds)
		}
		if NewConv[float32](c.shape).factors.rounded != c.rounds || NewConv[float64](c.shape).factors.rounded {
			t.Errorf("%s: the layer does not do so, or does it in float64", c.name)
		}
		c.shape.Groups = 2
		if c.shape.Channels%2 == 0 && NewConv[float32](c.shape).factors.rounded {
			t.Errorf("%s: groups are rounded", c.name)
		}
	}
	evaluation := BlockShape{Conv: convShape(8, 14, 14, 256, 64, 1, 1, 1, 0), Evaluation: true}
	evaluation.Conv.BFloat16 = true
	if NewBlock[float32](evaluation).conv.factors.rounded {
		t.Error("a block in evaluation is rounded")
	}
}

// Results and gradients of blocks with factors of bfloat16 are those of float64 within the rounding of
// factors: by 2⁻⁸ of each at most, and as a random error of all terms of a sum much less of the largest
// element. They are not those of float32, and are the same bits on any number of threads.
func TestRoundedBlock(t *testing.T) {
	const tolerance, float32Error = 0x1p-6, 1e-4
	eachArithmetic(t, func(t *testing.T) {
		for name, s := range map[string]BlockShape{
			"batch norm":       {Conv: convShape(4, 9, 9, 24, 33, 3, 3, 2, 1), Norm: BatchStatistics, Epsilon: 1e-3, Activation: SiLU},
			"given statistics": {Conv: convShape(3, 8, 8, 48, 20, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-3, Activation: Tanh},
			"three channels":   {Conv: convShape(3, 16, 16, 3, 32, 5, 5, 2, 2), Activation: SiLU},
		} {
			t.Run(name, func(t *testing.T) {
				reference := block(s, false)
				reference.prepare = func(x [][]float64) { // such that the convolution's results are of order 1
					floats.Scale(1/math.Sqrt(float64(s.Conv.patchSize())), x[1])
				}
				x, dy := reference.draw(1)
				wantY, wantDx := run(reference.double, x, dy, nil)
				s.Conv.BFloat16 = true
				single := blockOperation[float32](s)
				singleX, singleDy := convertAll[float32](x), convert[float32](dy)
				y, dx := run(single, singleX, singleDy, nil)
				near(t, "the result", y, convert[float32](wantY), tolerance)
				off := 0.0
				for i := range x {
					near(t, "a gradient", dx[i], convert[float32](wantDx[i]), tolerance)
					off = max(off, floats.Distance(convert[float64](dx[i]), wantDx[i], math.Inf(1)))
				}
				if off < float32Error {
					t.Errorf("found a largest difference of %g: the factors are not rounded", off)
				}
				checkPromises(t, single, singleX, singleDy)
			})
		}
	})
}

// A block whose pool keeps the maxima only: its result is that of float64.
func TestRoundedPool(t *testing.T) {
	eachArithmetic(t, func(t *testing.T) {
		s := BlockShape{Conv: convShape(4, 10, 11, 6, 20, 3, 3, 1, 1), Activation: ReLU, PoolSize: 2, PoolStride: 2}
		reference := block(s, false)
		x, dy := reference.draw(1)
		want, _ := run(reference.double, x, dy, nil)
		s.Conv.BFloat16 = true
		single := blockOperation[float32](s)
		got, _ := run(single, convertAll[float32](x), convert[float32](dy), nil)
		near(t, "the result", got, convert[float32](want), 0x1p-6)
		checkPromises(t, single, convertAll[float32](x), convert[float32](dy))
	})
}
