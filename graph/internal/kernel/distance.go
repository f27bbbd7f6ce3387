package kernel

import (
	"math"

	"github.com/likeness-go/likeness/internal/vector"
)

// Metric is a distance between two rows x and y.
type Metric int

const (
	SquaredEuclidean Metric = iota // Σ(xⱼ − yⱼ)²
	Euclidean                      // √Σ(xⱼ − yⱼ)²
	Manhattan                      // Σ wⱼ|xⱼ − yⱼ|; Koch (2015) learns w, which may be negative
)

// PairDistances writes the distances d (rows) between the aligned rows of x
// and y (rows, columns). weight (columns) is Manhattan's w; nil means ones, and
// the other metrics take none.
func PairDistances[T Float](m Metric, d, x, y, weight []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("d", d, rows)
	checkWeight(m, weight, columns)
	Parallel(rows, func(i int) {
		d[i] = distance(m, x[i*columns:(i+1)*columns], y[i*columns:(i+1)*columns], weight)
	})
}

// PairDistancesBackward writes the gradients of PairDistances that are not
// nil, given its result d and the gradient dd (rows) of that. At distance zero
// Euclidean has the gradient zero; Manhattan has it wherever xⱼ = yⱼ.
func PairDistancesBackward[T Float](m Metric, dx, dy, dweight, x, y, weight, d, dd []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("d", d, rows)
	checkLength("dd", dd, rows)
	checkOptional("dx", dx, rows*columns)
	checkOptional("dy", dy, rows*columns)
	checkWeight(m, weight, columns)
	Parallel(rows, func(i int) {
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

// distance returns the distance of two rows, summed in float64.
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

// addDistanceGradient adds to dx the gradient by x of the distance d between x
// and y, times dd.
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

// addDifferences adds dd·|xⱼ − yⱼ|, the gradient of Manhattan's weights.
func addDifferences[T Float](sum []float64, x, y []T, dd T) {
	for j := range sum {
		sum[j] += float64(dd) * math.Abs(float64(x[j])-float64(y[j]))
	}
}

// signed returns slope times the sign of x, which is 0 of 0 and NaN of NaN. Signs
// follow no pattern that a processor could foresee: they are not branched on.
func signed[T Float](slope, x T) T {
	if x == 0 || x != x {
		return x * slope
	}
	return T(math.Copysign(1, float64(x))) * slope
}

// checkWeight panics unless the weight fits the metric.
func checkWeight[T Float](m Metric, weight []T, columns int) {
	if m != Manhattan {
		columns = 0
	}
	checkOptional("weight", weight, columns)
}
