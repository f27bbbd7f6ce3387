package graph_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stockOperation is an operation of Gorgonia's own on x and y, both (3, 4), and
// the function that it must compute of their elements.
type stockOperation struct {
	build    func(b *graph.Builder, x, y *graph.Node) *graph.Node
	expected func(x, y []float64) []float64
}

// unary is an operation on every element of x.
func unary(operation func(*graph.Node) (*graph.Node, error), f func(float64) float64) stockOperation {
	return stockOperation{
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(operation(x)) },
		func(x, _ []float64) []float64 { return each(x, x, func(v, _ float64) float64 { return f(v) }) },
	}
}

// binary is an operation on the elements of x and y in pairs.
func binary(operation func(x, y *graph.Node) (*graph.Node, error), f func(x, y float64) float64) stockOperation {
	return stockOperation{
		func(b *graph.Builder, x, y *graph.Node) *graph.Node { return b.Node(operation(x, y)) },
		func(x, y []float64) []float64 { return each(x, y, f) },
	}
}

// broadcast is an operation on x and the first row of y, repeated for each row of
// x, or the other way round.
func broadcast(operation func(x, y *graph.Node, left, right []byte) (*graph.Node, error), left bool, f func(x, y float64) float64) stockOperation {
	return stockOperation{
		func(b *graph.Builder, x, y *graph.Node) *graph.Node {
			row := b.Node(gorgonia.Slice(y, gorgonia.S(0)))
			if left {
				return b.Node(operation(row, x, []byte{0}, nil))
			}
			return b.Node(operation(x, row, nil, []byte{0}))
		},
		func(x, y []float64) []float64 {
			repeated := append(append(append([]float64{}, y[:4]...), y[:4]...), y[:4]...)
			if left {
				return each(repeated, x, f)
			}
			return each(x, repeated, f)
		},
	}
}

// reduction is an operation on x along an axis, or along both.
func reduction(operation func(*graph.Node, ...int) (*graph.Node, error), start float64, f func(sum, v float64) float64, divisor float64, axes ...int) stockOperation {
	return stockOperation{
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(operation(x, axes...)) },
		func(x, _ []float64) []float64 {
			size := 1
			if len(axes) == 1 {
				size = []int{4, 3}[axes[0]]
			}
			result := make([]float64, size)
			for i := range result {
				result[i] = start
			}
			for i, v := range x {
				at := 0
				if len(axes) == 1 {
					at = []int{i % 4, i / 4}[axes[0]]
				}
				result[at] = f(result[at], v)
			}
			for i := range result {
				result[i] /= divisor
			}
			return result
		},
	}
}

func each(x, y []float64, f func(x, y float64) float64) []float64 {
	result := make([]float64, len(x))
	for i := range x {
		result[i] = f(x[i], y[i])
	}
	return result
}

func plus(x, y float64) float64  { return x + y }
func minus(x, y float64) float64 { return x - y }
func times(x, y float64) float64 { return x * y }
func over(x, y float64) float64  { return x / y }

// stockOperations are those that the documentation of the package calls safe.
var stockOperations = map[string]stockOperation{
	"Abs":     unary(gorgonia.Abs, math.Abs),
	"Neg":     unary(gorgonia.Neg, func(v float64) float64 { return -v }),
	"Square":  unary(gorgonia.Square, func(v float64) float64 { return v * v }),
	"Cube":    unary(gorgonia.Cube, func(v float64) float64 { return v * v * v }),
	"Sqrt":    unary(gorgonia.Sqrt, math.Sqrt),
	"Inverse": unary(gorgonia.Inverse, func(v float64) float64 { return 1 / v }),
	"Exp":     unary(gorgonia.Exp, math.Exp),
	"Expm1":   unary(gorgonia.Expm1, math.Expm1),
	"Log":     unary(gorgonia.Log, math.Log),
	"Log1p":   unary(gorgonia.Log1p, math.Log1p),
	"Sin":     unary(gorgonia.Sin, math.Sin),
	"Cos":     unary(gorgonia.Cos, math.Cos),
	"Tanh":    unary(gorgonia.Tanh, math.Tanh),
	"Sigmoid": unary(gorgonia.Sigmoid, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }),
	"Softplus": unary(gorgonia.Softplus, func(v float64) float64 {
		return math.Log1p(math.Exp(v))
	}),
	"Rectify": unary(gorgonia.Rectify, func(v float64) float64 { return max(v, 0) }),
	"LeakyRelu": unary(func(x *graph.Node) (*graph.Node, error) { return gorgonia.LeakyRelu(x, 0.1) },
		func(v float64) float64 { return max(v, 0.1*v) }),

	"Add":          binary(gorgonia.Add, plus),
	"Sub":          binary(gorgonia.Sub, minus),
	"HadamardProd": binary(gorgonia.HadamardProd, times),
	"HadamardDiv":  binary(gorgonia.HadamardDiv, over),
	"MaxBetween":   binary(gorgonia.MaxBetween, math.Max),
	"MinBetween":   binary(gorgonia.MinBetween, math.Min),
	"Pow": {
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(gorgonia.Pow(x, b.Constant(1.5))) },
		func(x, _ []float64) []float64 {
			return each(x, x, func(v, _ float64) float64 { return math.Pow(v, 1.5) })
		},
	},
	"a mask by Gt": {
		func(b *graph.Builder, x, y *graph.Node) *graph.Node {
			return b.Node(gorgonia.HadamardProd(b.Node(gorgonia.Gt(x, y, true)), x))
		},
		func(x, y []float64) []float64 {
			return each(x, y, func(v, w float64) float64 {
				if v > w {
					return v
				}
				return 0
			})
		},
	},
	"a mask by Lt": {
		func(b *graph.Builder, x, y *graph.Node) *graph.Node {
			return b.Node(gorgonia.HadamardProd(b.Node(gorgonia.Lt(x, y, true)), x))
		},
		func(x, y []float64) []float64 {
			return each(x, y, func(v, w float64) float64 {
				if v < w {
					return v
				}
				return 0
			})
		},
	},

	"BroadcastAdd":                   broadcast(gorgonia.BroadcastAdd, false, plus),
	"BroadcastSub":                   broadcast(gorgonia.BroadcastSub, false, minus),
	"BroadcastHadamardProd":          broadcast(gorgonia.BroadcastHadamardProd, false, times),
	"BroadcastHadamardDiv":           broadcast(gorgonia.BroadcastHadamardDiv, false, over),
	"BroadcastAdd on the left":       broadcast(gorgonia.BroadcastAdd, true, plus),
	"BroadcastSub on the left":       broadcast(gorgonia.BroadcastSub, true, minus),
	"BroadcastHadamardProd, left":    broadcast(gorgonia.BroadcastHadamardProd, true, times),
	"BroadcastHadamardDiv, left row": broadcast(gorgonia.BroadcastHadamardDiv, true, over),

	"Sum of all":   reduction(gorgonia.Sum, 0, plus, 1),
	"Sum of rows":  reduction(gorgonia.Sum, 0, plus, 1, 1),
	"Sum along 0":  reduction(gorgonia.Sum, 0, plus, 1, 0),
	"Mean of all":  reduction(gorgonia.Mean, 0, plus, 12),
	"Mean of rows": reduction(gorgonia.Mean, 0, plus, 4, 1),
	"Mean along 0": reduction(gorgonia.Mean, 0, plus, 3, 0),
	"Max of rows":  reduction(gorgonia.Max, math.Inf(-1), math.Max, 1, 1),
	"Max along 0":  reduction(gorgonia.Max, math.Inf(-1), math.Max, 1, 0),
	"Norm": {
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(gorgonia.Norm(x, 1, 2)) },
		func(x, _ []float64) []float64 {
			return []float64{math.Hypot(math.Hypot(x[0], x[1]), math.Hypot(x[2], x[3])),
				math.Hypot(math.Hypot(x[4], x[5]), math.Hypot(x[6], x[7])),
				math.Hypot(math.Hypot(x[8], x[9]), math.Hypot(x[10], x[11]))}
		},
	},
	"SoftMax": {
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(gorgonia.SoftMax(x, 1)) },
		func(x, _ []float64) []float64 {
			result := make([]float64, len(x))
			for i := range result {
				sum := 0.0
				for _, v := range x[i/4*4:][:4] {
					sum += math.Exp(v)
				}
				result[i] = math.Exp(x[i]) / sum
			}
			return result
		},
	},

	"Mul": {
		func(b *graph.Builder, x, y *graph.Node) *graph.Node {
			return b.Node(gorgonia.Mul(x, b.Node(gorgonia.Transpose(y))))
		},
		func(x, y []float64) []float64 {
			var result []float64
			for i := range 3 {
				for j := range 3 {
					sum := 0.0
					for k := range 4 {
						sum += x[4*i+k] * y[4*j+k]
					}
					result = append(result, sum)
				}
			}
			return result
		},
	},
	"Transpose": {
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node { return b.Node(gorgonia.Transpose(x)) },
		func(x, _ []float64) []float64 {
			var result []float64
			for j := range 4 {
				result = append(result, x[j], x[4+j], x[8+j])
			}
			return result
		},
	},
	"Slice": {
		func(b *graph.Builder, x, _ *graph.Node) *graph.Node {
			return b.Node(gorgonia.Slice(x, nil, gorgonia.S(1, 3)))
		},
		func(x, _ []float64) []float64 { return []float64{x[1], x[2], x[5], x[6], x[9], x[10]} },
	},
	"Concat": {
		func(b *graph.Builder, x, y *graph.Node) *graph.Node { return b.Node(gorgonia.Concat(0, x, y)) },
		func(x, y []float64) []float64 { return append(append([]float64{}, x...), y...) },
	},
}

// Every stock operation that the documentation calls safe has the right values in
// three runs and the right gradients, also where its operands are results that
// other operations use, which Gorgonia may overwrite in place.
func TestSafeStockOperations(t *testing.T) {
	for name, operation := range stockOperations {
		t.Run(name, func(t *testing.T) {
			weights := graph.NewWeights(graph.Float64, 7)
			draw := func(b *graph.Builder) graph.Outputs {
				// Operands between 0 and 1, for roots and logarithms.
				x, y := b.Node(gorgonia.Sigmoid(weight(b, "x", 3, 4))), b.Node(gorgonia.Sigmoid(weight(b, "y", 3, 4)))
				result := operation.build(b, x, y)
				after := b.Node(gorgonia.Sub(x, y))
				factors := b.Weight("factors", graph.Bias, graph.Normal(1, 0.5), max(1, result.Shape().TotalSize()))
				flat := b.Reshape(result, max(1, result.Shape().TotalSize()))
				cost := b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(factors, flat))))
				return graph.Outputs{"result": result, graph.Cost: b.Node(gorgonia.Add(cost, sumOfSquares(b, after)))}
			}
			gradcheck.Check(t, weights, nil, draw)
			sigmoid := func(v, _ float64) float64 { return 1 / (1 + math.Exp(-v)) }
			x, y := elements(weights.Get("x")), elements(weights.Get("y"))
			expected := operation.expected(each(x, x, sigmoid), each(y, y, sigmoid))
			for _, mode := range []graph.Mode{graph.Training, graph.Evaluation} {
				program := build(t, weights, mode, draw)
				for range 3 {
					run(t, program)
					expectNear(t, "values", get(t, program, "result"), expected, 1e-9)
				}
			}
		})
	}
}

// Build refuses the operations of Gorgonia's own that are wrong: it names the
// operation and says what to use instead.
func TestBuildRefusesWrongStockOperations(t *testing.T) {
	image := func(b *graph.Builder) *graph.Node { return weight(b, "image", 2, 3, 4, 4) }
	tests := map[string]struct {
		build    func(b *graph.Builder) (*graph.Node, error)
		expected []string
	}{
		"Reshape": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.Reshape(b.Node(gorgonia.Sigmoid(weight(b, "x", 2, 3))), tensor.Shape{6})
		}, []string{"Reshape(6)", "shares memory", "use Builder.Reshape"}},
		"Reshape of an output": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.Neg(b.Node(gorgonia.Reshape(weight(b, "x", 2, 3), tensor.Shape{3, 2})))
		}, []string{"Reshape(3, 2)", "use Builder.Reshape"}},
		"Ravel": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.Neg(b.Node(gorgonia.Ravel(weight(b, "x", 2, 3))))
		},
			[]string{"Reshape(6)", "Ravel"}},
		"KeepDims": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.Neg(b.Node(gorgonia.KeepDims(weight(b, "x", 2, 3), false, func(x *graph.Node) (*graph.Node, error) { return gorgonia.Sum(x, 1) })))
		}, []string{"Reshape(2, 1)", "KeepDims"}},
		"Dropout": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Dropout(weight(b, "x", 2, 3), 0.5) },
			[]string{"Dropout", "1 − p", "use graph.Dropout"}},
		"AveragePool2D": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.AveragePool2D(image(b), tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		}, []string{"AvgPool", "gradient", "use graph.AveragePool"}},
		"GlobalAveragePool2D": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.GlobalAveragePool2D(image(b)) },
			[]string{"GlobalAveragePool", "use graph.GlobalAveragePool"}},
		"MaxPool2D": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.MaxPool2D(image(b), tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		}, []string{"MaxPool", "NaN", "use graph.MaxPool"}},
		"BatchNorm": {func(b *graph.Builder) (*graph.Node, error) {
			y, _, _, _, err := gorgonia.BatchNorm(image(b), weight(b, "scale", 1, 3, 1, 1), weight(b, "shift", 1, 3, 1, 1), 0.9, 1e-5)
			return y, err
		}, []string{"batchnorm", "running statistics", "use graph.BatchNorm"}},
		"Conv2d": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.Conv2d(image(b), weight(b, "filter", 2, 3, 2, 2), tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}, []int{1, 1})
		}, []string{"im2col", "Conv2d", "use graph.Conv"}},
		"InverseSqrt": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.InverseSqrt(weight(b, "x", 2, 3)) },
			[]string{"invSqrt", "gradient", "use Inverse of Sqrt"}},
		"Log2": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Log2(weight(b, "x", 2, 3)) },
			[]string{"log2", "gradient", "use Log"}},
		"Sum over two axes":    {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Sum(image(b), 1, 2) }, []string{"Σ[1 2]", "several axes"}},
		"Mean over two axes":   {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Mean(image(b), 2, 3) }, []string{"Σ[2 3]", "several axes"}},
		"Sum over axis 2 of 4": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Sum(image(b), 2) }, []string{"Σ[2]", "axis 2 of 4", "Builder.Reshape"}},
		"Max over axis 2 of 4": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.Max(image(b), 2) }, []string{"axis 2 of 4", "Builder.Reshape"}},
		"BroadcastAdd over axis 2 of 4": {func(b *graph.Builder) (*graph.Node, error) {
			return gorgonia.BroadcastAdd(image(b), weight(b, "y", 2, 3, 1, 1), nil, []byte{2, 3})
		}, []string{"Repeat2", "axis 2 of 4", "Builder.Reshape"}},
		"LogSumExp": {func(b *graph.Builder) (*graph.Node, error) { return gorgonia.LogSumExp(weight(b, "x", 3), 0) },
			[]string{"ln", "LogSumExp", "add the maximum"}},
	}
	for name, test := range tests {
		for _, mode := range []graph.Mode{graph.Training, graph.Evaluation} {
			program, err := graph.Build(graph.NewWeights(graph.Float64, 1), mode, func(b *graph.Builder) graph.Outputs {
				y := b.Scope("tower", func() *graph.Node { return b.Node(test.build(b)) })
				return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(y))}
			})
			if err == nil || program != nil {
				t.Errorf("%s: found %v and error %v, expected an error and no program", name, program, err)
				continue
			}
			for _, part := range append(test.expected, "build graph: ") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: found error %q, expected it to contain %q", name, err, part)
				}
			}
		}
	}
}
