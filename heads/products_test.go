package heads

import (
	"fmt"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

// The products equal sums in float64 in the order of the features, bit for bit, so that they
// are the same with every instruction set.
func TestProductsEqualSumsInOrder(t *testing.T) {
	r := random.New(1, "products")
	for range 30 {
		rows, references, columns := 1+r.IntN(150), 1+r.IntN(60), 1+r.IntN(280)
		x, y := make([]float32, rows*columns), make([]float32, references*columns)
		for _, data := range [][]float32{x, y} {
			for i := range data {
				data[i] = float32(r.NormFloat64())
			}
		}
		if r.IntN(3) == 0 {
			y, references = x, rows
		}
		name := fmt.Sprintf("%d×%d rows of %d", rows, references, columns)
		out, squares, referenceSquares := make([]float64, rows*references), make([]float64, rows), make([]float64, references)
		out[0], squares[0], referenceSquares[0] = 1, 1, 1 // old values must not count
		products(out, squares, referenceSquares, x, y, columns)
		sum := func(x, y []float32) (sum float64) {
			for j, v := range x {
				sum += float64(v) * float64(y[j])
			}
			return sum
		}
		for i := range rows {
			for j := range references {
				if want := sum(row(x, columns, i), row(y, columns, j)); out[i*references+j] != want {
					t.Fatalf("%s: product of rows %d and %d: found %v, expected %v", name, i, j, out[i*references+j], want)
				}
			}
			if want := sum(row(x, columns, i), row(x, columns, i)); squares[i] != want {
				t.Fatalf("%s: square of row %d of x: found %v, expected %v", name, i, squares[i], want)
			}
		}
		for j := range references {
			if want := sum(row(y, columns, j), row(y, columns, j)); referenceSquares[j] != want {
				t.Fatalf("%s: square of row %d of y: found %v, expected %v", name, j, referenceSquares[j], want)
			}
		}
	}
}
