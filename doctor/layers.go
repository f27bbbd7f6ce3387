package doctor

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layerTolerance leaves room for Winograd's algorithms, which round by up to 3e-5
// of the largest result, through a layer and its gradient.
const layerTolerance = 1e-4

// layerCase is blocks on a batch of images, as graphs build them: in float32 with
// this processor's instructions and Winograd's algorithms, and in float64 with
// neither. Fourier's transform is in both, by products in this processor's
// instructions and in portable Go.
type layerCase struct {
	name   string
	input  [4]int // batch, height, width, channels
	blocks []graph.Block
}

// Winograd's algorithms do the first four where the instructions have them: a
// kernel of three, its gradient too, one of four, and one in pieces. Fourier's
// transform does the fifth.
var layerCases = []layerCase{
	{"3x3 of 32 channels", [4]int{4, 14, 11, 32}, []graph.Block{graph.Conv{Filters: 48, Kernel: 3, Padding: 1}}},
	{"3x3 of many images", [4]int{44, 14, 11, 16}, []graph.Block{graph.Conv{Filters: 32, Kernel: 3, Padding: 1}}},
	{"4x4 of 16 channels", [4]int{4, 12, 13, 16}, []graph.Block{graph.Conv{Filters: 32, Kernel: 4}}},
	{"7x7 of 16 channels", [4]int{3, 15, 17, 16}, []graph.Block{graph.Conv{Filters: 16, Kernel: 7}}},
	{"7x7 of many images", [4]int{40, 16, 16, 32}, []graph.Block{graph.Conv{Filters: 32, Kernel: 7}}},
	{"5x5 in strides", [4]int{3, 15, 14, 5}, []graph.Block{graph.Conv{Filters: 9, Kernel: 5, Stride: 2, Padding: 2}}},
	{"the first of a network, pooled", [4]int{5, 28, 28, 1}, []graph.Block{graph.Conv{Filters: 20, Kernel: 3, Activation: "relu", Pool: 2}}},
	{"one image, batch norm, pooled", [4]int{1, 16, 16, 16}, []graph.Block{graph.Conv{Filters: 16, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2}}},
	{"fully connected", [4]int{6, 5, 5, 7}, []graph.Block{graph.Flatten{}, graph.Linear{Units: 33, Activation: "sigmoid"}, graph.Linear{Units: 10}, graph.Normalize{}}},
	{"average pool and parametric ReLU", [4]int{3, 9, 9, 6}, []graph.Block{graph.AveragePool{Size: 2, Trainable: true}, graph.Activate{Function: "prelu"}}},
}

// run compares the two: the output, and the gradients of all weights and of the
// input.
func (c layerCase) run() (string, error) {
	narrow, err := c.values(graph.Float32)
	if err != nil {
		return "", err
	}
	wide, err := c.values(graph.Float64)
	if err != nil {
		return "", err
	}
	var off worst
	off.add("the output", deviation(narrow["the output"], wide["the output"])) // first: gradients follow it
	for _, name := range slices.Sorted(maps.Keys(wide)) {
		off.add(name, deviation(narrow[name], wide[name]))
	}
	return fmt.Sprintf("output and %d gradients, off by at most %.1e of the largest value (%.0e allowed)", len(wide)-1, off.off, layerTolerance), off.within(layerTolerance)
}

// values are the output and the gradients in an arithmetic, by name. The cost is
// a product with fixed numbers, so that no gradient is like another.
func (c layerCase) values(dtype tensor.Dtype) (map[string][]float64, error) {
	program, err := graph.Build(graph.NewWeights(dtype, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		output := b.Sequence(c.blocks, b.Weight("the input", graph.Bias, graph.Normal(0, 1), c.input[:]...))
		factors := b.Weight("factors", graph.Bias, graph.Normal(0, 1), output.Shape()...)
		return graph.Outputs{"the output": output, graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(factors, output))))}
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	// Both arithmetics draw the same first values up to rounding; it is to be none.
	for _, weight := range program.Weights().All() {
		r := random.New(1, "doctor", c.name, weight.Name)
		for i := range weight.Value.Size() {
			v := float32(2*r.Float64() - 1)
			switch data := weight.Value.Data().(type) {
			case []float32:
				data[i] = v
			case []float64:
				data[i] = float64(v)
			}
		}
	}
	if err := program.Run(); err != nil {
		return nil, err
	}
	values := map[string][]float64{}
	if values["the output"], err = program.Get("the output"); err != nil {
		return nil, err
	}
	for _, parameter := range program.Parameters() {
		if values["the gradient of "+parameter.Name()], err = parameter.Elements(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

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

// deviation is the largest difference of numbers from what they should be, as a
// part of the largest of those; NaN where a number is not one and should be.
func deviation[T graph.Float](found []T, expected []float64) float64 {
	if len(found) != len(expected) {
		return math.NaN()
	}
	var largest, off float64
	for i, v := range expected {
		largest = max(largest, math.Abs(v))
		off = max(off, math.Abs(float64(found[i])-v))
	}
	if largest > 0 {
		off /= largest
	}
	return off
}

// worst keeps the largest deviation, and what had it.
type worst struct {
	off  float64
	what string
}

func (w *worst) add(what string, off float64) {
	if !math.IsNaN(w.off) && !(off <= w.off) { // NaN is worst, and stays
		w.off, w.what = off, what
	}
}

// within says whether it is within a tolerance.
func (w worst) within(tolerance float64) error {
	if w.off <= tolerance {
		return nil
	}
	return errors.Errorf("%s differs by %.2g of its largest value, expected at most %.2g", w.what, w.off, tolerance)
}
