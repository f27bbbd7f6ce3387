package kernel

// AllDistances writes the distances d (rows, rows) between all rows of x
// (rows, columns), computed from differences: two equal rows have distance
// zero exactly, which x·xᵀ does not give. weight is as in PairDistances.
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
	Parallel(ceilDiv(rows, 2), func(i int) { // a long row and a short one make equal units
		row(i)
		if other := rows - 1 - i; other != i {
			row(other)
		}
	})
}

// AllDistancesBackward writes the gradients of AllDistances that are not nil,
// given its result d and the gradient dd (rows, rows) of that. Both dd[i,j] and
// dd[j,i] count.
func AllDistancesBackward[T Float](m Metric, dx, dweight, x, weight, d, dd []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("d", d, rows*rows)
	checkLength("dd", dd, rows*rows)
	checkOptional("dx", dx, rows*columns)
	checkWeight(m, weight, columns)
	if dx != nil {
		Parallel(rows, func(i int) {
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
