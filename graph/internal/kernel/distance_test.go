package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

var metrics = []Metric{SquaredEuclidean, Euclidean, Manhattan}

// pairDistances has the arguments x, y and, for a weighted Manhattan, w.
func pairDistances(m Metric, rows, columns int, weighted bool) subject {
	s := subject{
		arguments: []int{rows * columns, rows * columns}, result: rows,
		single: pairOperation[float32](m, rows, columns),
		double: pairOperation[float64](m, rows, columns),
		naive: operation[float64]{
			forward: func(d []float64, x ...[]float64) {
				for i := range rows {
					d[i], _, _ = naiveDistance(m, row(x[0], i, columns), row(x[1], i, columns), third(x))
				}
			},
			backward: func(dx, x [][]float64, _, dd []float64) {
				zero(dx)
				for i := range rows {
					_, slopes, weightSlopes := naiveDistance(m, row(x[0], i, columns), row(x[1], i, columns), third(x))
					for j := range columns {
						dx[0][i*columns+j] += dd[i] * slopes[j]
						dx[1][i*columns+j] -= dd[i] * slopes[j]
						if weighted {
							dx[2][j] += dd[i] * weightSlopes[j]
						}
					}
				}
			},
		},
	}
	if weighted {
		s.arguments = append(s.arguments, columns)
	}
	return s
}

func pairOperation[T Float](m Metric, rows, columns int) operation[T] {
	return operation[T]{
		forward: func(d []T, x ...[]T) { PairDistances(m, d, x[0], x[1], third(x), rows, columns) },
		backward: func(dx, x [][]T, d, dd []T) {
			PairDistancesBackward(m, dx[0], dx[1], third(dx), x[0], x[1], third(x), d, dd, rows, columns)
		},
	}
}

// allDistances has the arguments x and, for a weighted Manhattan, w.
func allDistances(m Metric, rows, columns int, weighted bool) subject {
	s := subject{
		arguments: []int{rows * columns}, result: rows * rows,
		single: allOperation[float32](m, rows, columns),
		double: allOperation[float64](m, rows, columns),
		naive: operation[float64]{
			forward: func(d []float64, x ...[]float64) {
				for i := range d {
					d[i], _, _ = naiveDistance(m, row(x[0], i/rows, columns), row(x[0], i%rows, columns), second(x))
				}
			},
			backward: func(dx, x [][]float64, d, dd []float64) {
				zero(dx)
				for i, g := range dd {
					_, slopes, weightSlopes := naiveDistance(m, row(x[0], i/rows, columns), row(x[0], i%rows, columns), second(x))
					for j := range columns {
						dx[0][i/rows*columns+j] += g * slopes[j]
						dx[0][i%rows*columns+j] -= g * slopes[j]
						if weighted {
							dx[1][j] += g * weightSlopes[j]
						}
					}
				}
			},
		},
	}
	if weighted {
		s.arguments = append(s.arguments, columns)
	}
	return s
}

func allOperation[T Float](m Metric, rows, columns int) operation[T] {
	return operation[T]{
		forward: func(d []T, x ...[]T) { AllDistances(m, d, x[0], second(x), rows, columns) },
		backward: func(dx, x [][]T, d, dd []T) {
			AllDistancesBackward(m, dx[0], second(dx), x[0], second(x), d, dd, rows, columns)
		},
	}
}

func row[T Float](x []T, i, columns int) []T { return x[i*columns : (i+1)*columns] }

func second[T Float](x [][]T) []T { return optional(x, 1) }
func third[T Float](x [][]T) []T  { return optional(x, 2) }
func optional[T Float](x [][]T, i int) []T {
	if i < len(x) {
		return x[i]
	}
	return nil
}

func drawDistances(of func(m Metric, rows, columns int, weighted bool) subject) func(t *rapid.T) subject {
	return func(t *rapid.T) subject {
		m := rapid.SampledFrom(metrics).Draw(t, "metric")
		weighted := m == Manhattan && rapid.Bool().Draw(t, "weighted")
		return of(m, rapid.IntRange(1, 7).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "columns"), weighted)
	}
}

func TestPairDistances(t *testing.T) { checkDrawn(t, drawDistances(pairDistances)) }
func TestAllDistances(t *testing.T)  { checkDrawn(t, drawDistances(allDistances)) }

func TestDistancesGradient(t *testing.T) {
	for _, m := range metrics {
		checkGradient(t, pairDistances(m, 3, 4, m == Manhattan))
		checkGradient(t, allDistances(m, 3, 4, m == Manhattan))
	}
}

// Equal rows are at distance zero exactly, and there the gradient is zero.
func TestDistancesOfEqualRows(t *testing.T) {
	x := []float32{0.1, 0.7, 0.1, 0.7}
	for _, m := range metrics {
		d, dx := []float32{9, 9, 9, 9}, []float32{9, 9, 9, 9}
		AllDistances(m, d, x, nil, 2, 2)
		near(t, "d", d, make([]float32, 4), 0)
		AllDistancesBackward(m, dx, nil, x, nil, d, []float32{1, 2, 3, 4}, 2, 2)
		near(t, "dx", dx, make([]float32, 4), 0)
		PairDistances(m, d[:2], x, x, nil, 2, 2)
		near(t, "d of pairs", d[:2], make([]float32, 2), 0)
		PairDistancesBackward(m, dx, nil, nil, x, x, nil, d[:2], []float32{1, 2}, 2, 2)
		near(t, "dx of pairs", dx, make([]float32, 4), 0)
	}
}

// In Koch's network the weights may be negative.
func TestManhattanByHand(t *testing.T) {
	d := make([]float64, 1)
	PairDistances(Manhattan, d, []float64{1, 2, 3}, []float64{2, 0, 3}, []float64{0.5, -1, 4}, 1, 3)
	near(t, "d", d, []float64{0.5*1 - 1*2 + 4*0}, 0)
}

func normalize(rows, columns int) subject {
	return subject{
		arguments: []int{rows * columns}, result: rows * columns,
		single: normalizeOperation[float32](rows, columns),
		double: normalizeOperation[float64](rows, columns),
		naive:  naiveNormalize(rows, columns),
		// A single short row has a steep gradient.
		prepare:   func(x [][]float64) { awayFromZero(x[0]) },
		tolerance: 1e-4,
	}
}

func normalizeOperation[T Float](rows, columns int) operation[T] {
	norm := make([]T, rows)
	return operation[T]{
		forward: func(y []T, x ...[]T) { Normalize(y, norm, x[0], rows, columns) },
		backward: func(dx, x [][]T, y, dy []T) {
			if dx[0] != nil {
				NormalizeBackward(dx[0], x[0], y, norm, dy, rows, columns)
			}
		},
	}
}

func TestNormalize(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return normalize(rapid.IntRange(1, 5).Draw(t, "rows"), rapid.IntRange(1, 30).Draw(t, "columns"))
	})
}

func TestNormalizeGradient(t *testing.T) { checkGradient(t, normalize(3, 5)) }

// The squares of these numbers overflow or underflow.
func TestNormalizeOfExtremes(t *testing.T) {
	for _, scale := range []float32{1e-38, 1e-30, 1e30} {
		checkTriangle(t, scale)
	}
	checkTriangle(t, 1e200)
	checkTriangle(t, 1e-200)
}

// checkTriangle normalizes the sides 3 and 4 of a right-angled triangle.
func checkTriangle[T Float](t *testing.T, scale T) {
	y, norm, dx := make([]T, 2), make([]T, 1), make([]T, 2)
	x := []T{3 * scale, -4 * scale}
	Normalize(y, norm, x, 1, 2)
	NormalizeBackward(dx, x, y, norm, []T{scale, 0}, 1, 2)
	near(t, "y", y, []T{0.6, -0.8}, 1e-6)
	near(t, "norm, of the scale", []T{norm[0] / scale}, []T{5}, 1e-6)
	near(t, "dx", dx, []T{(1 - 0.6*0.6) / 5, 0.6 * 0.8 / 5}, 1e-6)
}

func TestNormalizeOfZero(t *testing.T) {
	y, norm, dx := []float64{1, 1}, []float64{1}, []float64{1, 1}
	x := []float64{0, math.Copysign(0, -1)}
	Normalize(y, norm, x, 1, 2)
	NormalizeBackward(dx, x, y, norm, []float64{1, 2}, 1, 2)
	near(t, "y, norm and dx", append(append(y, norm...), dx...), make([]float64, 5), 0)
}

func TestNormalizeShowsNaN(t *testing.T) {
	y, norm := make([]float64, 2), make([]float64, 1)
	Normalize(y, norm, []float64{0, math.NaN()}, 1, 2)
	if y[0] == y[0] || y[1] == y[1] || norm[0] == norm[0] {
		t.Errorf("got %v of length %v, want NaN", y, norm)
	}
}

// pairwiseDistances has the arguments x, y and, for a weighted Manhattan, w.
func pairwiseDistances(m Metric, rows, references, columns int, weighted bool) subject {
	s := subject{
		arguments: []int{rows * columns, references * columns}, result: rows * references,
		single: pairwiseOperation[float32](m, rows, references, columns),
		double: pairwiseOperation[float64](m, rows, references, columns),
		naive: operation[float64]{
			forward: func(d []float64, x ...[]float64) {
				for i := range d {
					d[i], _, _ = naiveDistance(m, row(x[0], i/references, columns), row(x[1], i%references, columns), third(x))
				}
			},
			backward: func(dx, x [][]float64, _, dd []float64) {
				zero(dx)
				for i, g := range dd {
					_, slopes, weightSlopes := naiveDistance(m, row(x[0], i/references, columns), row(x[1], i%references, columns), third(x))
					for j := range columns {
						dx[0][i/references*columns+j] += g * slopes[j]
						dx[1][i%references*columns+j] -= g * slopes[j]
						if weighted {
							dx[2][j] += g * weightSlopes[j]
						}
					}
				}
			},
		},
	}
	if weighted {
		s.arguments = append(s.arguments, columns)
	}
	return s
}

func pairwiseOperation[T Float](m Metric, rows, references, columns int) operation[T] {
	return operation[T]{
		forward: func(d []T, x ...[]T) {
			PairwiseDistances(m, d, x[0], x[1], third(x), rows, references, columns)
		},
		backward: func(dx, x [][]T, d, dd []T) {
			PairwiseDistancesBackward(m, dx[0], dx[1], third(dx), x[0], x[1], third(x), d, dd, rows, references, columns)
		},
	}
}

func TestPairwiseDistances(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		m := rapid.SampledFrom(metrics).Draw(t, "metric")
		weighted := m == Manhattan && rapid.Bool().Draw(t, "weighted")
		return pairwiseDistances(m, rapid.IntRange(1, 7).Draw(t, "rows"), rapid.IntRange(1, 7).Draw(t, "references"), rapid.IntRange(1, 9).Draw(t, "columns"), weighted)
	})
	for _, m := range metrics {
		checkGradient(t, pairwiseDistances(m, 3, 5, 4, m == Manhattan))
	}
}

// With one matrix as both operands PairwiseDistances gives the bits of AllDistances.
func TestPairwiseDistancesOfOneMatrix(t *testing.T) {
	x := []float32{0.1, 0.7, 0.1, 0.7, 0.3, -2}
	for _, m := range metrics {
		all, pairwise := make([]float32, 9), make([]float32, 9)
		AllDistances(m, all, x, nil, 3, 2)
		PairwiseDistances(m, pairwise, x, x, nil, 3, 3, 2)
		sameBits(t, "the result", pairwise, all)
	}
}
