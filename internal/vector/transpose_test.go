package vector

import "testing"

func TestTranspose(t *testing.T) {
	eachFuzz(t, 3000, func(f *fuzz) {
		rows, columns := 1+f.IntN(70), 1+f.IntN(70)
		xStride, yStride := columns+f.IntN(5), rows+f.IntN(5)
		x := f.quarters((rows-1)*xStride + columns)
		y := f.quarters((columns-1)*yStride + rows)
		before := append([]float32(nil), y...)
		f.engine.Transpose(y, yStride, x, xStride, rows, columns)
		f.want("y", y, func(i int) float64 {
			if column, row := i/yStride, i%yStride; row < rows {
				return float64(x[row*xStride+column])
			}
			return float64(before[i])
		})
	})
}
