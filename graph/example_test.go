package graph_test

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// Two towers on one set of weights: the same blocks applied to two inputs.
func ExampleBuild() {
	weights := graph.NewWeights(graph.Float64, 1)
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		tower := []graph.Block{graph.Linear{Units: 1, NoBias: true, Weight: graph.Constant(2)}}
		left := b.Sequence(tower, b.Input("left", 1, 3))
		right := b.Sequence(tower, b.Input("right", 1, 3))
		difference := b.Node(gorgonia.Sub(left, right))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(difference))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	program.Set("left", []float64{1, 2, 3})
	program.Set("right", []float64{1, 1, 1})
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	cost, _ := program.Scalar(graph.Cost)
	gradient, _ := program.Parameters()[0].Elements()
	fmt.Println(len(weights.All()), "weight, cost", cost, "gradient", gradient)
	// Output: 1 weight, cost 6 gradient [0 1 2]
}

// A depthwise convolution, which filters each channel by itself, and a 1×1 convolution, which
// mixes channels, have far fewer weights than one convolution that does both (Howard et al.
// 2017).
func ExampleConv() {
	for _, blocks := range [][]graph.Block{
		{graph.Conv{Filters: 64, Kernel: 3, SamePadding: true, NoBias: true}},
		{graph.Conv{Filters: 32, Kernel: 3, SamePadding: true, NoBias: true, Groups: 32}, graph.Conv{Filters: 64, Kernel: 1, NoBias: true}},
	} {
		weights := graph.NewWeights(graph.Float32, 1)
		var shape any
		program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			y := b.Sequence(blocks, b.Input("images", 1, 14, 14, 32))
			shape = y.Shape()
			return graph.Outputs{"features": y}
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(shape, weights.Count(), "weights")
		program.Close()
	}
	// Output:
	// (1, 14, 14, 64) 18432 weights
	// (1, 14, 14, 64) 2336 weights
}

// The inverted residual block of EfficientNet (Tan & Le 2019), and generalized-mean pooling
// behind it.
func ExampleSqueezeExcite() {
	weights := graph.NewWeights(graph.Float32, 1)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"features": b.Sequence([]graph.Block{
			graph.Residual{Drop: 0.1, Body: []graph.Block{
				graph.Conv{Filters: 96, Kernel: 1, NoBias: true, BatchNorm: true, Activation: "silu"},
				graph.Conv{Filters: 96, Kernel: 3, Padding: 1, Groups: 96, NoBias: true, BatchNorm: true, Activation: "silu"},
				graph.SqueezeExcite{Channels: 4, Activation: "silu"},
				graph.Conv{Filters: 16, Kernel: 1, NoBias: true, BatchNorm: true},
			}},
			graph.GeM{},
		}, b.Input("images", 2, 14, 14, 16))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	for _, name := range []string{"residual1.squeezeexcite1.reduce.weight", "residual1.squeezeexcite1.expand.weight", "gem1.weight"} {
		fmt.Println(name, weights.Get(name).Value.Shape())
	}
	// Output:
	// residual1.squeezeexcite1.reduce.weight (4, 96)
	// residual1.squeezeexcite1.expand.weight (96, 4)
	// gem1.weight (1)
}

// Batch norm in evaluation mode while training: the running statistics stay, and the gain and
// the shift are trained.
func ExampleWeights_FreezeStatistics() {
	weights := graph.NewWeights(graph.Float32, 1)
	draw := func(b *graph.Builder) graph.Outputs {
		y := b.Sequence([]graph.Block{graph.BatchNorm{}}, b.Input("x", 4, 2))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(y))}
	}
	for _, mode := range []graph.Mode{graph.Evaluation, graph.Training} { // the first creates the weights
		program, err := graph.Build(weights, mode, draw)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer program.Close()
		if err := weights.FreezeStatistics(); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, weight := range weights.All() {
		fmt.Println(weight.Name, weight.Trainable())
	}
	// Output:
	// batchnorm1.weight true
	// batchnorm1.bias true
	// batchnorm1.running_mean false
	// batchnorm1.running_var false
}

// Swish is a user-defined block, y = x·σ(βx), with one learned β for each feature
// (Ramachandran, Zoph & Le 2017). What it computes is a graph.Function.
type Swish struct{}

func (Swish) Kind() string { return "swish" }

func (Swish) Apply(b *graph.Builder, number int, x *graph.Node) *graph.Node {
	name := fmt.Sprint("swish", number)
	features := x.Shape()[1]
	beta := b.Scope(name, func() *graph.Node { return b.Weight("beta", graph.Gain, graph.Constant(1), features) })
	return b.Apply(name, x.Shape(), &swish[float32]{}, &swish[float64]{}, x, beta)
}

type swish[T graph.Float] struct {
	sigmoid []T // σ(βx) of the last forward pass
}

func (f *swish[T]) Forward(y []T, operands ...[]T) {
	x, beta := operands[0], operands[1]
	f.sigmoid = f.sigmoid[:0]
	for i, v := range x {
		s := T(1 / (1 + math.Exp(-float64(beta[i%len(beta)]*v))))
		f.sigmoid = append(f.sigmoid, s)
		y[i] = v * s
	}
}

func (f *swish[T]) Backward(gradients, operands [][]T, y, dy []T) {
	x, beta := operands[0], operands[1]
	dx, dbeta := gradients[0], gradients[1] // nil where it is not wanted
	clear(dbeta)
	for i, d := range dy {
		feature, s := i%len(beta), f.sigmoid[i]
		if dx != nil {
			dx[i] = d * (s + beta[feature]*y[i]*(1-s))
		}
		if dbeta != nil {
			dbeta[feature] += d * x[i] * y[i] * (1 - s)
		}
	}
}

// A user-defined block beside those of the package, in two towers.
func ExampleBuilder_Apply() {
	weights := graph.NewWeights(graph.Float64, 1)
	tower := []graph.Block{graph.Linear{Units: 2, NoBias: true, Weight: graph.Constant(1)}, Swish{}}
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		left := b.Sequence(tower, b.Input("left", 1, 2))
		right := b.Sequence(tower, b.Input("right", 1, 2))
		return graph.Outputs{"left": left, graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Add(left, right))))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	program.Set("left", []float64{0, 0})
	program.Set("right", []float64{1, -1})
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	for _, parameter := range program.Parameters() {
		gradient, _ := parameter.Elements()
		fmt.Println(parameter.Name(), gradient)
	}
	// Output:
	// linear1.weight [0.5 -0.5 0.5 -0.5]
	// swish1.beta [0 0]
}
