package kernel

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Metric is a distance between two rows x and y.
type Metric int

const (
	SquaredEuclidean Metric = iota // Σ(xⱼ − yⱼ)²
	Euclidean                      // √Σ(xⱼ − yⱼ)²
	Manhattan                      // Σ wⱼ|xⱼ − yⱼ|; in Koch (2015) w is trainable, and may be negative
)

// PairDistances writes the distances d (rows) between the aligned rows of x and y
// (rows, columns). weight (columns) is w of Manhattan, where nil means ones; it must be
// nil for the other metrics.
func PairDistances[T Float](m Metric, d, x, y, weight []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("d", d, rows)
	checkWeight(m, weight, columns)
	parallel.For(rows, func(i int) {
		d[i] = distance(m, x[i*columns:(i+1)*columns], y[i*columns:(i+1)*columns], weight)
	})
}

// PairDistancesBackward writes the gradients of PairDistances that are not nil, given
// its result d and the gradient dd (rows) of d. The gradient of Euclidean is zero at
// distance zero, and that of Manhattan wherever xⱼ = yⱼ.
func PairDistancesBackward[T Float](m Metric, dx, dy, dweight, x, y, weight, d, dd []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("d", d, rows)
	checkLength("dd", dd, rows)
	checkOptional("dx", dx, rows*columns)
	checkOptional("dy", dy, rows*columns)
	checkWeight(m, weight, columns)
	parallel.For(rows, func(i int) {
		first, last := i*columns, (i+1)*columns
		x, y := x[first:last], y[first:last]
		if dx != nil {
			clear(dx[first:last])
			addDistanceGradient(m, dx[first:last], x, y, weight, d[i], dd[i])
		}
		if dy != nil {
			clear(dy[first:last])
			addDistanceGradient(m, dy[first:last], y, x, weight, d[i], dd[i])
		}
	})
	if dweight == nil {
		return
	}
	checkLength("dweight", dweight, columns)
	total := make([]float64, columns)
	reduceRows(total, rows, columns, func(sum []float64, first, last int) {
		for i := first; i < last; i++ {
			addDifferences(sum, x[i*columns:(i+1)*columns], y[i*columns:(i+1)*columns], dd[i])
		}
	})
	round(dweight, total)
}

// distance returns the distance between two rows, summed in float64.
func distance[T Float](m Metric, x, y, weight []T) T {
	e := vector.For[T]()
	switch {
	case m == Manhattan && weight == nil:
		return T(e.AbsoluteDistance(x, y))
	case m == Manhattan:
		return T(e.WeightedDistance(x, y, weight))
	case m == Euclidean:
		return T(math.Sqrt(e.SquaredDistance(x, y)))
	}
	return T(e.SquaredDistance(x, y))
}

// addDistanceGradient adds to dx the gradient, with respect to x, of the distance d
// between x and y, times dd.
func addDistanceGradient[T Float](m Metric, dx, x, y, weight []T, d, dd T) {
	dx, y = dx[:len(x)], y[:len(x)]
	switch m {
	case Manhattan:
		if weight == nil {
			for j, v := range x {
				dx[j] += signed(dd, v-y[j])
			}
			return
		}
		for j, v := range x {
			dx[j] += signed(dd*weight[j], v-y[j])
		}
		return
	case SquaredEuclidean:
		dd *= 2
	case Euclidean:
		if d == 0 {
			return
		}
		dd /= d
	}
	vector.For[T]().AddDifference(dx, x, y, dd)
}

// addDifferences adds to sum dd·|xⱼ − yⱼ|, the gradient of the weights of Manhattan.
func addDifferences[T Float](sum []float64, x, y []T, dd T) {
	for j := range sum {
		sum[j] += float64(dd) * math.Abs(float64(x[j])-float64(y[j]))
	}
}

// signed returns slope times the sign of x, which is 0 for 0 and NaN for NaN. It does
// not branch on the sign, which follows no pattern that a processor could predict.
func signed[T Float](slope, x T) T {
	if x == 0 || x != x {
		return x * slope
	}
	return T(math.Copysign(1, float64(x))) * slope
}

// checkWeight panics unless the weight has the length that the metric requires.
func checkWeight[T Float](m Metric, weight []T, columns int) {
	if m != Manhattan {
		columns = 0
	}
	checkOptional("weight", weight, columns)
}

// AllDistances writes the distances d (rows, rows) between all rows of x (rows,
// columns). They are computed from differences, so that two equal rows have distance
// exactly zero, which a computation from x·xᵀ would not give. weight is as in
// PairDistances.
func AllDistances[T Float](m Metric, d, x, weight []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("d", d, rows*rows)
	checkWeight(m, weight, columns)
	row := func(i int) {
		d[i*rows+i] = distance(m, x[i*columns:][:columns], x[i*columns:][:columns], weight)
		for j := i + 1; j < rows; j++ {
			v := distance(m, x[i*columns:][:columns], x[j*columns:][:columns], weight)
			d[i*rows+j], d[j*rows+i] = v, v
		}
	}
	parallel.For(ceilDiv(rows, 2), func(i int) { // a long row and a short one together, so that all units are equal
		row(i)
		if other := rows - 1 - i; other != i {
			row(other)
		}
	})
}

// AllDistancesBackward writes the gradients of AllDistances that are not nil,
// given its result d and the gradient dd (rows, rows) of d. Both dd[i,j] and dd[j,i]
// contribute.
func AllDistancesBackward[T Float](m Metric, dx, dweight, x, weight, d, dd []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("d", d, rows*rows)
	checkLength("dd", dd, rows*rows)
	checkOptional("dx", dx, rows*columns)
	checkWeight(m, weight, columns)
	if dx != nil {
		parallel.For(rows, func(i int) {
			to, from := dx[i*columns:][:columns], x[i*columns:][:columns]
			clear(to)
			for j := range rows {
				if slope := dd[i*rows+j] + dd[j*rows+i]; slope != 0 {
					addDistanceGradient(m, to, from, x[j*columns:][:columns], weight, d[i*rows+j], slope)
				}
			}
		})
	}
	if dweight == nil {
		return
	}
	checkLength("dweight", dweight, columns)
	total := make([]float64, columns)
	reduceRows(total, rows, columns, func(sum []float64, first, last int) {
		for i := first; i < last; i++ {
			for j := range rows {
				addDifferences(sum, x[i*columns:][:columns], x[j*columns:][:columns], dd[i*rows+j])
			}
		}
	})
	round(dweight, total)
}

// PairwiseDistances writes the distances d (rows, references) between each row
// of x (rows, columns) and each row of y (references, columns), computed from
// differences. weight is as in PairDistances. AllDistances is faster where x
// and y are the same, and gives the same bits.
func PairwiseDistances[T Float](m Metric, d, x, y, weight []T, rows, references, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, references*columns)
	checkLength("d", d, rows*references)
	checkWeight(m, weight, columns)
	parallel.For(rows, func(i int) {
		from := x[i*columns:][:columns]
		for j := range references {
			d[i*references+j] = distance(m, from, y[j*columns:][:columns], weight)
		}
	})
}

// PairwiseDistancesBackward writes the gradients of PairwiseDistances that are
// not nil, given its result d and the gradient dd (rows, references) of that.
func PairwiseDistancesBackward[T Float](m Metric, dx, dy, dweight, x, y, weight, d, dd []T, rows, references, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, references*columns)
	checkLength("d", d, rows*references)
	checkLength("dd", dd, rows*references)
	checkOptional("dx", dx, rows*columns)
	checkOptional("dy", dy, references*columns)
	checkWeight(m, weight, columns)
	if dx != nil {
		parallel.For(rows, func(i int) {
			to, from := dx[i*columns:][:columns], x[i*columns:][:columns]
			clear(to)
			for j := range references {
				if slope := dd[i*references+j]; slope != 0 {
					addDistanceGradient(m, to, from, y[j*columns:][:columns], weight, d[i*references+j], slope)
				}
			}
		})
	}
	if dy != nil {
		parallel.For(references, func(j int) {
			to, from := dy[j*columns:][:columns], y[j*columns:][:columns]
			clear(to)
			for i := range rows {
				if slope := dd[i*references+j]; slope != 0 {
					addDistanceGradient(m, to, from, x[i*columns:][:columns], weight, d[i*references+j], slope)
				}
			}
		})
	}
	if dweight == nil {
		return
	}
	checkLength("dweight", dweight, columns)
	total := make([]float64, columns)
	reduceRows(total, rows, columns, func(sum []float64, first, last int) {
		for i := first; i < last; i++ {
			for j := range references {
				addDifferences(sum, x[i*columns:][:columns], y[j*columns:][:columns], dd[i*references+j])
			}
		}
	})
	round(dweight, total)
}

// Normalize divides each row of x (rows, columns) by its Euclidean length:
// y = x/‖x‖. It also writes the lengths, norm (rows). The result for a row of zeros is
// zeros. Rows whose squares could overflow or underflow are first divided by their largest
// element.
func Normalize[T Float](y, norm, x []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("norm", norm, rows)
	parallel.For(rows, func(i int) {
		norm[i] = normalizeRow(y[i*columns:(i+1)*columns], x[i*columns:(i+1)*columns])
	})
}

func normalizeRow[T Float](y, x []T) T {
	e := vector.For[T]()
	if sum := e.SquaredNorm(x); sum > 1e-30 && sum < 1e30 { // sums are in float64
		length := math.Sqrt(sum)
		e.Scale(y, x, T(1/length))
		return T(length)
	}
	var largest T
	for _, v := range x {
		largest = max(largest, v, -v)
	}
	if largest == 0 {
		clear(y)
		return 0
	}
	var sum float64
	for i, v := range x {
		scaled := v / largest
		y[i] = scaled
		sum += float64(scaled) * float64(scaled)
	}
	length := T(math.Sqrt(sum))
	for i := range y {
		y[i] /= length
	}
	return largest * length
}

// NormalizeBackward writes the gradient of Normalize: for a row y of length one and the
// row g of dy it is dx = (g − (g·y)·y)/norm, the component of g orthogonal to y. It is
// zero for a row of zeros. The values of x are not needed beside y and norm. dx may be
// dy.
func NormalizeBackward[T Float](dx, x, y, norm, dy []T, rows, columns int) {
	checkLength("dx", dx, rows*columns)
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("dy", dy, rows*columns)
	checkLength("norm", norm, rows)
	parallel.For(rows, func(i int) {
		first, last := i*columns, (i+1)*columns
		dx, y, dy := dx[first:last], y[first:last], dy[first:last]
		if norm[i] == 0 {
			clear(dx)
			return
		}
		along := T(dot(dy, y))
		for j := range dx {
			dx[j] = (dy[j] - along*y[j]) / norm[i]
		}
	})
}

// dot returns Σ xᵢyᵢ, summed in float64.
func dot[T Float](x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for i, v := range x {
		sum += float64(v) * float64(y[i])
	}
	return sum
}
