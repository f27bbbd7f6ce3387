package evaluate

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// A tile of queries and a tile of references, in float64, fit into a
// processor's cache together.
const (
	queryTile     = 128
	referenceTile = 256
)

// products fills out, of shape (queries.Rows, references.Rows), with the inner
// product of each query and each reference. It calculates in float64, in which
// the product of two float32 is exact.
func products(out []float64, queries, references Embeddings) {
	columns := queries.Columns
	wideQueries := make([]float64, min(queryTile, queries.Rows)*columns)
	wideReferences := make([]float64, min(referenceTile, references.Rows)*columns)
	for q := 0; q < queries.Rows; q += queryTile {
		left := widen(wideQueries, queries.slice(q, min(q+queryTile, queries.Rows)))
		for r := 0; r < references.Rows; r += referenceTile {
			right := widen(wideReferences, references.slice(r, min(r+referenceTile, references.Rows)))
			blas64.Gemm(blas.NoTrans, blas.Trans, 1, left, right, 0, blas64.General{
				Rows: left.Rows, Cols: right.Rows,
				Stride: references.Rows, Data: out[q*references.Rows+r:],
			})
		}
	}
}

// widen copies narrow into the beginning of wide.
func widen(wide []float64, narrow Embeddings) blas64.General {
	for i, x := range narrow.Data {
		wide[i] = float64(x)
	}
	return blas64.General{
		Rows: narrow.Rows, Cols: narrow.Columns,
		Stride: narrow.Columns, Data: wide[:len(narrow.Data)],
	}
}

func squaredNorms(x Embeddings) []float64 {
	squares := make([]float64, x.Rows)
	for i := range squares {
		squares[i] = dot(x.Row(i), x.Row(i))
	}
	return squares
}

// The sums below have four accumulators, so that an addition need not wait for
// the one before it. They are not gonum's because the order in which its
// float32 routines add depends on where in memory a row begins, and two equal
// rows must give one result.

func dot(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += float64(x[0]) * float64(y[0])
		b += float64(x[1]) * float64(y[1])
		c += float64(x[2]) * float64(y[2])
		d += float64(x[3]) * float64(y[3])
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += float64(x[j]) * float64(y[j])
	}
	return a + b + c + d
}

func squaredEuclidean(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += squared(float64(x[0]) - float64(y[0]))
		b += squared(float64(x[1]) - float64(y[1]))
		c += squared(float64(x[2]) - float64(y[2]))
		d += squared(float64(x[3]) - float64(y[3]))
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += squared(float64(x[j]) - float64(y[j]))
	}
	return a + b + c + d
}

func manhattan(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += math.Abs(float64(x[0]) - float64(y[0]))
		b += math.Abs(float64(x[1]) - float64(y[1]))
		c += math.Abs(float64(x[2]) - float64(y[2]))
		d += math.Abs(float64(x[3]) - float64(y[3]))
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += math.Abs(float64(x[j]) - float64(y[j]))
	}
	return a + b + c + d
}

func squared(x float64) float64 { return x * x }
