package doctor

import (
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/vector"
)

// The two products that convolutions and matrices are made of, against loops
// over their definitions.

const (
	productRows   = 13
	productLength = 9
)

// rows is the deviation of Rows, for so many columns in panels of the engine's
// widest.
func rows(engine vector.Engine[float32], columns int) float64 {
	lanes := engine.Lanes()
	width := min((columns+lanes-1)/lanes, engine.MaxWidth())
	columns = min(columns, width*lanes)
	a := numbers{random.New(1, "doctor", "rows", columns), productRows + productLength}.arrays()[0]
	b := numbers{random.New(2, "doctor", "rows", columns), productLength * columns}.arrays()[0]
	initial := numbers{random.New(3, "doctor", "rows", columns), columns}.arrays()[0]

	r := &vector.Rows[float32]{
		C: make([]float32, productRows*columns), A: a, B: make([]float32, productLength*width*lanes), Initial: initial,
		Width: width, Columns: columns, Segments: 1, Length: productLength, Stride: productLength,
	}
	for k := range productLength {
		copy(r.B[k*width*lanes:], b[k*columns:(k+1)*columns])
	}
	want := make([]float64, len(r.C))
	for i := range productRows {
		r.AOffsets, r.COffsets = append(r.AOffsets, int32(i)), append(r.COffsets, int32(i*columns))
		for j := range columns {
			want[i*columns+j] = float64(initial[j])
			for k := range productLength {
				want[i*columns+j] += float64(a[i+k]) * float64(b[k*columns+j])
			}
		}
	}
	engine.Rows(r)
	return deviation(r.C, want)
}

// outer is the deviation of Outer.
func outer(engine vector.Engine[float32], columns int) float64 {
	o := &vector.Outer[float32]{
		A:   numbers{random.New(1, "doctor", "outer", columns), productRows + productLength}.arrays()[0],
		B:   numbers{random.New(2, "doctor", "outer", columns), productLength * columns}.arrays()[0],
		C:   make([]float32, productRows*columns),
		Run: productRows, Columns: columns, CStride: columns,
	}
	want := make([]float64, len(o.C))
	for p := range productLength {
		o.AOffsets, o.BOffsets = append(o.AOffsets, int32(p)), append(o.BOffsets, int32(p*columns))
		for i := range productRows {
			for j := range columns {
				want[i*columns+j] += float64(o.A[p+i]) * float64(o.B[p*columns+j])
			}
		}
	}
	engine.Outer(o)
	return deviation(o.C, want)
}
