package vector

// Transpose writes the transpose of x, in square blocks. Where they do not fit,
// the last ones overlap those before them.
func (s *Set) Transpose(y []float32, yStride int, x []float32, xStride, rows, columns int) {
	least := min(rows, columns)
	side, run := 4, s.transpose4
	switch {
	case least < side:
		s.Portable.Transpose(y, yStride, x, xStride, rows, columns)
		return
	case least >= s.lanes && s.lanes == 16:
		side, run = 16, s.transpose16
	case least >= 8:
		side, run = 8, s.transpose8
	}
	_, _ = y[:(columns-1)*yStride+rows], x[:(rows-1)*xStride+columns]
	block := func(row, column, count int) {
		run(&y[column*yStride+row], 4*yStride, &x[row*xStride+column], 4*xStride, count)
	}
	// A few rows of y are written from end to end before the next ones, as
	// blocks that are neighbours there share lines and pages.
	const few = 128
	for left := 0; left < columns; left += few {
		blocks := min(few, columns-left) / side
		for i := range (rows + side - 1) / side {
			row := min(i*side, rows-side)
			if blocks > 0 {
				block(row, left, blocks)
			}
			if left+blocks*side < min(columns, left+few) {
				block(row, columns-side, 1)
			}
		}
	}
}
