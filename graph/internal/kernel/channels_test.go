package kernel

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func globalAverage(batch, pixels, channels int) subject {
	return subject{
		arguments: []int{batch * pixels * channels}, result: batch * channels,
		single: globalAverageOperation[float32](batch, pixels, channels),
		double: globalAverageOperation[float64](batch, pixels, channels),
		naive: operation[float64]{
			forward: func(y []float64, x ...[]float64) {
				clear(y)
				for i, v := range x[0] {
					y[i/(pixels*channels)*channels+i%channels] += v / float64(pixels)
				}
			},
			backward: func(dx, x [][]float64, y, dy []float64) {
				for i := range dx[0] {
					dx[0][i] = dy[i/(pixels*channels)*channels+i%channels] / float64(pixels)
				}
			},
		},
	}
}

func globalAverageOperation[T Float](batch, pixels, channels int) operation[T] {
	return operation[T]{
		forward:  func(y []T, x ...[]T) { GlobalAverage(y, x[0], batch, pixels, channels) },
		backward: func(dx, x [][]T, y, dy []T) { GlobalAverageBackward(dx[0], dy, batch, pixels, channels) },
	}
}

func TestGlobalAverage(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return globalAverage(rapid.IntRange(1, 3).Draw(t, "batch"), rapid.IntRange(1, 20).Draw(t, "pixels"), rapid.IntRange(1, 300).Draw(t, "channels"))
	})
}

// The mean has the bits of additions in the order of the pixels and of a division, which
// networks of earlier versions have.
func TestGlobalAverageAddsInOrder(t *testing.T) {
	const pixels, channels = 49, 5
	x, _ := globalAverage(1, pixels, channels).draw(1)
	single := convert[float32](x[0])
	want, got := make([]float32, channels), make([]float32, channels)
	for i, v := range single {
		want[i%channels] += v
	}
	for c := range want {
		want[c] /= pixels
	}
	GlobalAverage(got, single, 1, pixels, channels)
	sameBits(t, "the mean", got, want)
}

// scaled has the arguments x and one factor for each channel.
func scaled(rows, channels int) subject {
	return subject{
		arguments: []int{rows * channels, channels}, result: rows * channels,
		single: scaledOperation[float32](), double: scaledOperation[float64](),
		naive: operation[float64]{
			forward: func(y []float64, x ...[]float64) {
				for i, v := range x[0] {
					y[i] = v * x[1][i%channels]
				}
			},
			backward: func(dx, x [][]float64, y, dy []float64) {
				zero(dx)
				for i, g := range dy {
					dx[0][i] = g * x[1][i%channels]
					dx[1][i%channels] += g * x[0][i]
				}
			},
		},
	}
}

func scaledOperation[T Float]() operation[T] {
	return operation[T]{
		forward:  func(y []T, x ...[]T) { ScaleChannels(y, x[0], x[1]) },
		backward: func(dx, x [][]T, y, dy []T) { ScaleChannelsBackward(dx[0], dx[1], x[0], x[1], dy) },
	}
}

func TestScaleChannels(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return scaled(rapid.IntRange(1, 900).Draw(t, "rows"), rapid.IntRange(1, 40).Draw(t, "channels"))
	})
}

// An image with the factor 0 becomes zeros, even where it is not finite.
func TestScaleImages(t *testing.T) {
	x := []float32{1, 2, float32(math.Inf(1)), float32(math.NaN()), 3, -4}
	y := make([]float32, 6)
	ScaleImages(y, x, []float32{2, 0, 0.5}, 3, 2)
	near(t, "the result", y, []float32{2, 4, 0, 0, 1.5, -2}, 0)
	long, scale := make([]float64, 2*chunkSize+3), []float64{3}
	fill(long, 2)
	ScaleImages(long, long, scale, 1, len(long))
	for i, v := range long {
		if v != 6 {
			t.Fatalf("element %d is %v, want 6", i, v)
		}
	}
}

// gem has the arguments x and the exponent.
func gem(batch, pixels, channels int, exponent float64) subject {
	const epsilon = 1e-2
	at := func(i int) int { return i/(pixels*channels)*channels + i%channels }
	means := func(x [][]float64) []float64 {
		all := make([]float64, batch*channels)
		for i, v := range x[0] {
			all[at(i)] += math.Pow(math.Max(v, epsilon), x[1][0]) / float64(pixels)
		}
		return all
	}
	return subject{
		arguments: []int{batch * pixels * channels, 1}, result: batch * channels,
		single: gemOperation(NewGeM[float32](batch, pixels, channels, epsilon)),
		double: gemOperation(NewGeM[float64](batch, pixels, channels, epsilon)),
		naive: operation[float64]{
			forward: func(y []float64, x ...[]float64) {
				for i, mean := range means(x) {
					y[i] = math.Pow(mean, 1/x[1][0])
				}
			},
			backward: func(dx, x [][]float64, y, dy []float64) {
				zero(dx)
				p, mean := x[1][0], means(x)
				for i, v := range x[0] {
					inside := math.Max(v, epsilon)
					slope := dy[at(i)] * math.Pow(mean[at(i)], 1/p-1) / p / float64(pixels) // of mean, divided by the pixels
					if v >= epsilon {
						dx[0][i] = slope * p * math.Pow(inside, p-1)
					}
					dx[1][0] += slope * math.Pow(inside, p) * math.Log(inside)
				}
				for i, g := range dy {
					dx[1][0] -= g * y[i] * math.Log(mean[i]) / (p * p)
				}
			},
		},
		prepare: func(x [][]float64) { x[1][0] = exponent },
	}
}

func gemOperation[T Float](g *GeM[T]) operation[T] {
	return operation[T]{
		forward:  func(y []T, x ...[]T) { g.Forward(y, x[0], x[1]) },
		backward: func(dx, x [][]T, y, dy []T) { g.Backward(dx[0], dx[1], x[0], x[1], dy) },
	}
}

func TestGeM(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		s := gem(rapid.IntRange(1, 3).Draw(t, "batch"), rapid.IntRange(1, 9).Draw(t, "pixels"), rapid.IntRange(1, 200).Draw(t, "channels"),
			rapid.SampledFrom([]float64{1, 2, 3, 2.5, 6, 0.5}).Draw(t, "exponent"))
		s.tolerance = 3e-5
		return s
	})
}

func TestGeMGradient(t *testing.T) {
	for _, exponent := range []float64{1.5, 3, 4} {
		s := gem(2, 5, 3, exponent)
		s.prepare = func(x [][]float64) {
			x[1][0] = exponent
			for i, v := range x[0] { // away from the bound
				x[0][i] = math.Abs(v) + 0.1
				if i%4 == 0 {
					x[0][i] = -v*v - 0.1
				}
			}
		}
		checkGradient(t, s)
	}
}

// layerNorm has the arguments x, gain and shift.
func layerNorm(rows, channels int) subject {
	const epsilon = 1e-3
	statistics := func(x []float64) (mean, deviation float64) {
		for _, v := range x {
			mean += v / float64(channels)
		}
		variance := 0.0
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(channels)
		}
		return mean, math.Sqrt(variance + epsilon)
	}
	return subject{
		arguments: []int{rows * channels, channels, channels}, result: rows * channels,
		single: layerNormOperation(NewLayerNorm[float32](rows, channels, epsilon)),
		double: layerNormOperation(NewLayerNorm[float64](rows, channels, epsilon)),
		naive: operation[float64]{
			forward: func(y []float64, x ...[]float64) {
				for row := range rows {
					from := x[0][row*channels:][:channels]
					mean, deviation := statistics(from)
					for c, v := range from {
						y[row*channels+c] = (v-mean)/deviation*x[1][c] + x[2][c]
					}
				}
			},
			backward: func(dx, x [][]float64, y, dy []float64) {
				zero(dx)
				for row := range rows {
					from, slope := x[0][row*channels:][:channels], dy[row*channels:][:channels]
					mean, deviation := statistics(from)
					for c, v := range from {
						normalized := (v - mean) / deviation
						dx[1][c] += slope[c] * normalized
						dx[2][c] += slope[c]
						// ∂ŷⱼ/∂x_c = (δ − 1/n − x̂ⱼ·x̂_c/n)/deviation
						for j, w := range from {
							d := -1/float64(channels) - (w-mean)/deviation*normalized/float64(channels)
							if j == c {
								d++
							}
							dx[0][row*channels+c] += slope[j] * x[1][j] * d / deviation
						}
					}
				}
			},
		},
		tolerance: 5e-5, // of a row of two nearly equal numbers
	}
}

func layerNormOperation[T Float](n *LayerNorm[T]) operation[T] {
	return operation[T]{
		forward:  func(y []T, x ...[]T) { n.Forward(y, x[0], x[1], x[2]) },
		backward: func(dx, x [][]T, y, dy []T) { n.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy) },
	}
}

func TestLayerNorm(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return layerNorm(rapid.IntRange(1, 60).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "channels"))
	})
	check(t, layerNorm(9, 1500), 1) // more than one sum of products
}

func TestLayerNormGradient(t *testing.T) { checkGradient(t, layerNorm(3, 5)) }

// A variance that is small compared with the mean is not lost.
func TestLayerNormOfALargeMean(t *testing.T) {
	n := NewLayerNorm[float32](1, 4, 1e-6)
	y := make([]float32, 4)
	n.Forward(y, []float32{4000, 4001, 4002, 4003}, []float32{1, 1, 1, 1}, []float32{0, 0, 0, 0})
	d := float32(math.Sqrt(1.25))
	near(t, "the result", y, []float32{-1.5 / d, -0.5 / d, 0.5 / d, 1.5 / d}, 1e-5)
}

// squeezeExcite has the arguments x and the four weights.
func squeezeExcite(s SqueezeExciteShape) subject {
	size := s.Batch * s.Pixels * s.Channels
	return subject{
		arguments: []int{size, s.Squeezed * s.Channels, s.Squeezed, s.Channels * s.Squeezed, s.Channels}, result: size,
		single: squeezeExciteOperation[float32](s), double: squeezeExciteOperation[float64](s),
		naive: naiveSqueezeExcite(s), tolerance: 3e-5,
	}
}

func squeezeExciteOperation[T Float](s SqueezeExciteShape) operation[T] {
	k := NewSqueezeExcite[T](s)
	weights := func(x [][]T) SqueezeExciteWeights[T] { return SqueezeExciteWeights[T]{x[1], x[2], x[3], x[4]} }
	return operation[T]{
		forward:  func(y []T, x ...[]T) { k.Forward(y, x[0], weights(x)) },
		backward: func(dx, x [][]T, y, dy []T) { k.Backward(dx[0], weights(dx), x[0], weights(x), dy) },
	}
}

// naiveSqueezeExcite is composed of the naive references of the mean, of fully connected
// layers and of activations.
func naiveSqueezeExcite(s SqueezeExciteShape) operation[float64] {
	mean := globalAverage(s.Batch, s.Pixels, s.Channels).naive
	reduce, expand := naiveLinear(s.Batch, s.Channels, s.Squeezed), naiveLinear(s.Batch, s.Squeezed, s.Channels)
	function, gate := naiveActivation(s.Activation), naiveActivation(s.Gate)
	outer, inner := s.Batch*s.Channels, s.Batch*s.Squeezed
	means, reduced, active := make([]float64, outer), make([]float64, inner), make([]float64, inner)
	expanded, factors := make([]float64, outer), make([]float64, outer)
	at := func(i int) int { return i/(s.Pixels*s.Channels)*s.Channels + i%s.Channels }
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			mean.forward(means, x[0])
			reduce.forward(reduced, means, x[1], x[2])
			function.forward(active, reduced)
			expand.forward(expanded, active, x[3], x[4])
			gate.forward(factors, expanded)
			for i, v := range x[0] {
				y[i] = v * factors[at(i)]
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			dfactors, dexpanded, dmeans := make([]float64, outer), make([]float64, outer), make([]float64, outer)
			dactive, dreduced := make([]float64, inner), make([]float64, inner)
			for i, g := range dy {
				dfactors[at(i)] += g * x[0][i]
			}
			gate.backward([][]float64{dexpanded}, [][]float64{expanded}, factors, dfactors)
			expand.backward([][]float64{dactive, dx[3], dx[4]}, [][]float64{active, x[3], x[4]}, nil, dexpanded)
			function.backward([][]float64{dreduced}, [][]float64{reduced}, active, dactive)
			reduce.backward([][]float64{dmeans, dx[1], dx[2]}, [][]float64{means, x[1], x[2]}, nil, dreduced)
			mean.backward([][]float64{dx[0]}, nil, nil, dmeans)
			for i, g := range dy {
				dx[0][i] += g * factors[at(i)]
			}
		},
	}
}

func TestSqueezeExcite(t *testing.T) {
	functions := []Activation{Identity, ReLU, Sigmoid, HardSigmoid, SiLU}
	checkDrawn(t, func(t *rapid.T) subject {
		return squeezeExcite(SqueezeExciteShape{
			Batch: rapid.IntRange(1, 3).Draw(t, "batch"), Pixels: rapid.IntRange(1, 30).Draw(t, "pixels"),
			Channels: rapid.IntRange(1, 40).Draw(t, "channels"), Squeezed: rapid.IntRange(1, 9).Draw(t, "squeezed"),
			Activation: rapid.SampledFrom(functions).Draw(t, "activation"), Gate: rapid.SampledFrom(functions).Draw(t, "gate"),
		})
	})
	// Several units of work for the pixels and for the channels.
	check(t, squeezeExcite(SqueezeExciteShape{Batch: 2, Pixels: 170, Channels: 200, Squeezed: 6, Activation: SiLU, Gate: Sigmoid}), 1)
}

func TestSqueezeExciteGradient(t *testing.T) {
	checkGradient(t, squeezeExcite(SqueezeExciteShape{Batch: 2, Pixels: 4, Channels: 3, Squeezed: 2, Activation: SiLU, Gate: Sigmoid}))
}

func TestSqueezeExciteShapeValidate(t *testing.T) {
	for want, s := range map[string]SqueezeExciteShape{
		"squeezed channels is 0, it must be at least 1": {Batch: 1, Pixels: 1, Channels: 1, Activation: ReLU, Gate: Sigmoid},
		"the activation prelu is not possible here":     {Batch: 1, Pixels: 1, Channels: 1, Squeezed: 1, Activation: PReLU, Gate: Sigmoid},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// added has two summands and, for PReLU, slopes.
func added(a Activation, rows, channels int) subject {
	s := activation(a, rows, channels, channels)
	size := rows * channels
	single, double := addedOperation[float32](a, size, channels), addedOperation[float64](a, size, channels)
	function := s.naive
	argument := func(x [][]float64) [][]float64 {
		sum := make([]float64, size)
		for i := range sum {
			sum[i] = x[0][i] + x[1][i]
		}
		return append([][]float64{sum}, x[2:]...)
	}
	return subject{
		arguments: append([]int{size}, s.arguments...), result: size, single: single, double: double,
		naive: operation[float64]{
			forward: func(y []float64, x ...[]float64) { function.forward(y, argument(x)...) },
			backward: func(dx, x [][]float64, y, dy []float64) {
				function.backward(dx[1:], argument(x), y, dy)
				copy(dx[0], dx[1])
			},
		},
		prepare: s.prepare,
	}
}

func addedOperation[T Float](a Activation, size, channels int) operation[T] {
	sum := make([]T, size)
	slope := func(x [][]T) []T {
		if len(x) > 2 {
			return x[2]
		}
		return nil
	}
	return operation[T]{
		forward: func(y []T, x ...[]T) { AddActivate(a, y, sum, x[0], x[1], slope(x), channels) },
		backward: func(dx, x [][]T, y, dy []T) {
			AddActivateBackward(a, dx[0], dx[1], slope(dx), sum, y, dy, slope(x), channels)
		},
	}
}

func TestAddActivate(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return added(rapid.SampledFrom(activations).Draw(t, "activation"), rapid.IntRange(1, 900).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "channels"))
	})
}
