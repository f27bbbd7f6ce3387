package kernel

// The naive twins of the kernels that are sums of products.

func naiveConv(s ConvShape) operation[float64] {
	height, width := s.Output()
	// products visits every product of the convolution.
	products := func(visit func(y, x, weight int)) {
		for image := range s.Batch {
			for oy := range height {
				for ox := range width {
					for f := range s.Filters {
						for c := range s.Channels {
							for ky := range s.KernelHeight {
								for kx := range s.KernelWidth {
									iy, ix := oy*s.Stride+ky-s.Padding, ox*s.Stride+kx-s.Padding
									if iy < 0 || iy >= s.Height || ix < 0 || ix >= s.Width {
										continue
									}
									visit(((image*height+oy)*width+ox)*s.Filters+f,
										((image*s.Height+iy)*s.Width+ix)*s.Channels+c,
										((f*s.Channels+c)*s.KernelHeight+ky)*s.KernelWidth+kx)
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
