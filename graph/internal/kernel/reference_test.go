package kernel

import (
	"math"
)

// The naive references of the other kernels, written as the definitions read.

// naiveBatchNorm has the arguments x, gain and shift; its gradients are those
// of Ioffe & Szegedy (2015), section 3.
func naiveBatchNorm(rows, channels int, epsilon float64) operation[float64] {
	statistics := func(x []float64, c int) (mean, variance float64) {
		for i := c; i < len(x); i += channels {
			mean += x[i] / float64(rows)
		}
		for i := c; i < len(x); i += channels {
			variance += (x[i] - mean) * (x[i] - mean) / float64(rows)
		}
		return mean, variance
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			for c := range channels {
				mean, variance := statistics(x[0], c)
				for i := c; i < len(y); i += channels {
					y[i] = x[1][c]*(x[0][i]-mean)/math.Sqrt(variance+epsilon) + x[2][c]
				}
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			for c := range channels {
				mean, variance := statistics(x[0], c)
				deviation := math.Sqrt(variance + epsilon)
				var dVariance, dMean float64
				for i := c; i < len(dy); i += channels {
					dNormalized := dy[i] * x[1][c]
					dVariance -= dNormalized * (x[0][i] - mean) / (2 * deviation * deviation * deviation)
					dMean -= dNormalized / deviation
					dx[1][c] += dy[i] * (x[0][i] - mean) / deviation
					dx[2][c] += dy[i]
				}
				for i := c; i < len(dy); i += channels {
					dx[0][i] = dy[i]*x[1][c]/deviation + (2*dVariance*(x[0][i]-mean)+dMean)/float64(rows)
				}
			}
		},
	}
}

// naiveGivenNorm has the arguments x, gain and shift.
func naiveGivenNorm(mean, variance []float64, epsilon float64) operation[float64] {
	normalized := func(x []float64, i int) float64 {
		c := i % len(mean)
		return (x[i] - mean[c]) / math.Sqrt(variance[c]+epsilon)
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			for i := range y {
				y[i] = x[1][i%len(mean)]*normalized(x[0], i) + x[2][i%len(mean)]
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			for i, g := range dy {
				c := i % len(mean)
				dx[0][i] = g * x[1][c] / math.Sqrt(variance[c]+epsilon)
				dx[1][c] += g * normalized(x[0], i)
				dx[2][c] += g
			}
		},
	}
}

// naiveActivation has the arguments x and, for PReLU, the slopes.
func naiveActivation(a Activation) operation[float64] {
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			for i, v := range x[0] {
				switch a {
				case Identity:
					y[i] = v
				case ReLU:
					y[i] = math.Max(v, 0)
				case PReLU:
					y[i] = v
					if v < 0 {
						y[i] = x[1][i%len(x[1])] * v
					}
				case Sigmoid:
					y[i] = 1 / (1 + math.Exp(-v))
				case Tanh:
					y[i] = math.Tanh(v)
				case ReLU6:
					y[i] = math.Min(math.Max(v, 0), 6)
				case HardSigmoid:
					y[i] = math.Min(math.Max(v+3, 0), 6) / 6
				case HardSwish:
					y[i] = v * math.Min(math.Max(v+3, 0), 6) / 6
				case SiLU:
					y[i] = v / (1 + math.Exp(-v))
				case GELU:
					y[i] = v * (1 + math.Erf(v/math.Sqrt2)) / 2
				}
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			for i, v := range x[0] {
				switch {
				case a == PReLU && v <= 0:
					dx[0][i] = dy[i] * x[1][i%len(x[1])]
					dx[1][i%len(x[1])] += dy[i] * v
				case a == Identity, a == PReLU, a == ReLU && v > 0:
					dx[0][i] = dy[i]
				case a == Sigmoid:
					dx[0][i] = dy[i] * y[i] * (1 - y[i])
				case a == Tanh:
					dx[0][i] = dy[i] * (1 - y[i]*y[i])
				case a == ReLU6 && v > 0 && v < 6, a == HardSwish && v >= 3:
					dx[0][i] = dy[i]
				case a == HardSigmoid && v > -3 && v < 3:
					dx[0][i] = dy[i] / 6
				case a == HardSwish && v > -3:
					dx[0][i] = dy[i] * (v/3 + 0.5)
				case a == SiLU:
					s := 1 / (1 + math.Exp(-v))
					dx[0][i] = dy[i] * (s + v*s*(1-s))
				case a == GELU:
					dx[0][i] = dy[i] * ((1+math.Erf(v/math.Sqrt2))/2 + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
				}
			}
		},
	}
}

// naivePool sums the elements of each window with the weights that choose returns.
func naivePool(s PoolShape, choose func(window []float64) (weights []float64)) operation[float64] {
	height, width := s.Output()
	windows := func(x []float64, visit func(y int, window []int, weights []float64)) {
		for image := range s.Batch {
			for oy := range height {
				for ox := range width {
					for c := range s.Channels {
						var indices []int
						var values []float64
						for ky := range s.Size {
							for kx := range s.Size {
								row, column := oy*s.Stride+ky-s.Padding, ox*s.Stride+kx-s.Padding
								if row < 0 || row >= s.Height || column < 0 || column >= s.Width {
									continue
								}
								i := ((image*s.Height+row)*s.Width+column)*s.Channels + c
								indices, values = append(indices, i), append(values, x[i])
							}
						}
						visit(((image*height+oy)*width+ox)*s.Channels+c, indices, choose(values))
					}
				}
			}
		}
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			clear(y)
			windows(x[0], func(i int, window []int, weights []float64) {
				for k, j := range window {
					y[i] += weights[k] * x[0][j]
				}
			})
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			windows(x[0], func(i int, window []int, weights []float64) {
				for k, j := range window {
					dx[0][j] += weights[k] * dy[i]
				}
			})
		},
	}
}

func firstMaximum(window []float64) []float64 {
	weights, best := make([]float64, len(window)), 0
	for k, v := range window {
		if v > window[best] {
			best = k
		}
	}
	weights[best] = 1
	return weights
}

func equalShares(window []float64) []float64 {
	weights := make([]float64, len(window))
	for k := range weights {
		weights[k] = 1 / float64(len(window))
	}
	return weights
}

func naiveNormalize(rows, columns int) operation[float64] {
	length := func(x []float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		return math.Sqrt(sum)
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			for i := range y {
				row := i / columns * columns
				y[i] = x[0][i] / length(x[0][row:row+columns])
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			// ∂yᵢ/∂xⱼ = (δᵢⱼ − yᵢyⱼ)/‖x‖
			zero(dx)
			for row := 0; row < len(dy); row += columns {
				for i := row; i < row+columns; i++ {
					for j := row; j < row+columns; j++ {
						delta := 0.0
						if i == j {
							delta = 1
						}
						dx[0][j] += dy[i] * (delta - y[i]*y[j]) / length(x[0][row:row+columns])
					}
				}
			}
		},
	}
}

// naiveDistance returns a distance of two rows and its derivatives by each
// element of x (those by y are the negatives) and of the weight.
func naiveDistance(m Metric, x, y, weight []float64) (d float64, dx, dweight []float64) {
	dx, dweight = make([]float64, len(x)), make([]float64, len(x))
	for j := range x {
		difference, w := x[j]-y[j], 1.0
		if weight != nil {
			w = weight[j]
		}
		if m == Manhattan {
			d += w * math.Abs(difference)
			if difference != 0 {
				dx[j] = w * difference / math.Abs(difference)
			}
			dweight[j] = math.Abs(difference)
		} else {
			d += difference * difference
			dx[j] = 2 * difference
		}
	}
	if m == Euclidean {
		d = math.Sqrt(d)
		for j := range dx {
			if d > 0 {
				dx[j] /= 2 * d
			}
		}
	}
	return d, dx, dweight
}

func zero(arrays [][]float64) {
	for _, a := range arrays {
		clear(a)
	}
}

// The naive references of the kernels that are sums of products.

func naiveConv(s ConvShape) operation[float64] {
	height, width := s.Output()
	depth, group := s.groupChannels(), s.Filters/s.groups()
	// products visits every product of the convolution.
	products := func(visit func(y, x, weight int)) {
		for image := range s.Batch {
			for oy := range height {
				for ox := range width {
					for f := range s.Filters {
						for c := range depth {
							channel := f/group*depth + c
							for ky := range s.KernelHeight {
								for kx := range s.KernelWidth {
									iy, ix := oy*s.Stride+ky-s.Padding.Top, ox*s.Stride+kx-s.Padding.Left
									if iy < 0 || iy >= s.Height || ix < 0 || ix >= s.Width {
										continue
									}
									visit(((image*height+oy)*width+ox)*s.Filters+f,
										((image*s.Height+iy)*s.Width+ix)*s.Channels+channel,
										((f*depth+c)*s.KernelHeight+ky)*s.KernelWidth+kx)
								}
							}
						}
					}
				}
			}
		}
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			for i := range y {
				y[i] = x[2][i%s.Filters]
			}
			products(func(i, j, k int) { y[i] += x[0][j] * x[1][k] })
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			products(func(i, j, k int) {
				dx[0][j] += dy[i] * x[1][k]
				dx[1][k] += dy[i] * x[0][j]
			})
			for i, g := range dy {
				dx[2][i%s.Filters] += g
			}
		},
	}
}

// naiveProduct is the product (m, n) of matrices whose elements (i, l) and
// (l, j) are found by a and b.
func naiveProduct(m, n, k int, a, b func(i, j int) int) operation[float64] {
	products := func(visit func(y, a, b int)) {
		for i := range m {
			for j := range n {
				for l := range k {
					visit(i*n+j, a(i, l), b(l, j))
				}
			}
		}
	}
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			clear(y)
			products(func(i, j, k int) { y[i] += x[0][j] * x[1][k] })
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			zero(dx)
			products(func(i, j, k int) {
				dx[0][j] += dy[i] * x[1][k]
				dx[1][k] += dy[i] * x[0][j]
			})
		},
	}
}

func naiveLinear(batch, in, out int) operation[float64] {
	product := naiveProduct(batch, out, in,
		func(i, l int) int { return i*in + l }, func(l, j int) int { return j*in + l })
	return operation[float64]{
		forward: func(y []float64, x ...[]float64) {
			product.forward(y, x...)
			for i := range y {
				y[i] += x[2][i%out]
			}
		},
		backward: func(dx, x [][]float64, y, dy []float64) {
			product.backward(dx, x, y, dy)
			for i, g := range dy {
				dx[2][i%out] += g
			}
		},
	}
}
