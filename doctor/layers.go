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

// layerTolerance allows for Winograd's algorithms, whose rounding errors are up to 3e-5 of
// the largest result, in a layer and its gradient.
const layerTolerance = 1e-4

// layerCase is a list of blocks with the shape of their input. They are computed in float32,
// with this processor's instructions and Winograd's algorithms, and in float64, with
// neither. Both use the discrete Fourier transform, with matrix products by this
// processor's instructions and in portable Go.
type layerCase struct {
	name   string
	input  [4]int // batch, height, width, channels
	blocks []graph.Block
}

// The first four use Winograd's algorithms if the instruction set has them: for 3×3 kernels,
// for their gradients, for 4×4 kernels, and for 7×7 kernels in pieces. The fifth uses the
// discrete Fourier transform.
var layerCases = []layerCase{
	{"3x3 of 32 channels", [4]int{4, 14, 11, 32}, []graph.Block{graph.Conv{Filters: 48, Kernel: 3, Padding: 1}}},
	{"3x3 of many images", [4]int{44, 14, 11, 16}, []graph.Block{graph.Conv{Filters: 32, Kernel: 3, Padding: 1}}},
	{"4x4 of 16 channels", [4]int{4, 12, 13, 16}, []graph.Block{graph.Conv{Filters: 32, Kernel: 4}}},
	{"7x7 of 16 channels", [4]int{3, 15, 17, 16}, []graph.Block{graph.Conv{Filters: 16, Kernel: 7}}},
	{"7x7 of many images", [4]int{40, 16, 16, 32}, []graph.Block{graph.Conv{Filters: 32, Kernel: 7}}},
	{"5x5 with stride 2", [4]int{3, 15, 14, 5}, []graph.Block{graph.Conv{Filters: 9, Kernel: 5, Stride: 2, Padding: 2}}},
	{"first layer of a network, pooled", [4]int{5, 28, 28, 1}, []graph.Block{graph.Conv{Filters: 20, Kernel: 3, Activation: "relu", Pool: 2}}},
	{"one image, batch norm, pooled", [4]int{1, 16, 16, 16}, []graph.Block{graph.Conv{Filters: 16, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2}}},
	{"fully connected", [4]int{6, 5, 5, 7}, []graph.Block{graph.Flatten{}, graph.Linear{Units: 33, Activation: "sigmoid"}, graph.Linear{Units: 10}, graph.Normalize{}}},
	{"average pool and parametric ReLU", [4]int{3, 9, 9, 6}, []graph.Block{graph.AveragePool{Size: 2, Trainable: true}, graph.Activate{Function: "prelu"}}},
}

// run compares the output and the gradients of all weights and of the input.
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
	off.add("the output", deviation(narrow["the output"], wide["the output"])) // first, because gradients depend on it
	for _, name := range slices.Sorted(maps.Keys(wide)) {
		off.add(name, deviation(narrow[name], wide[name]))
	}
	return fmt.Sprintf("output and %d gradients, maximum difference %.1e of the largest value (tolerance %.0e)", len(wide)-1, off.off, layerTolerance), off.within(layerTolerance)
}

// values returns the output and the gradients in an arithmetic, by name. The loss is the
// inner product of the output and random factors, so that all gradients differ.
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
	// The initial values of both arithmetics differ by rounding; use values that do not.
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

// The matrix products of layers, compared with loops over their definitions.

const (
	productRows   = 13
	productLength = 9
)

// rows returns the deviation of the engine's Rows for a number of columns, in panels of
// the engine's maximum width.
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

// outer returns the deviation of the engine's Outer.
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

// deviation returns the maximum absolute difference between found and expected values,
// divided by the maximum absolute expected value; NaN if a difference is NaN.
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

// worst records the largest deviation and its name.
type worst struct {
	off  float64
	what string
}

func (w *worst) add(what string, off float64) {
	if !math.IsNaN(w.off) && !(off <= w.off) { // NaN is larger than any number
		w.off, w.what = off, what
	}
}

// within returns an error unless the deviation is within the tolerance.
func (w worst) within(tolerance float64) error {
	if w.off <= tolerance {
		return nil
	}
	return errors.Errorf("%s differs by %.2g of its largest value, expected at most %.2g", w.what, w.off, tolerance)
}
