package trainer_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"gorgonia.org/gorgonia"
)

// GeM is generalized mean pooling (Radenović, Tolias & Chum 2018, equation 3) with a
// trainable exponent for each channel: (N, H, W, C) to (N, C),
// y = (mean over pixels of max(x, 1e-6)^p)^(1/p).
type GeM struct{}

func (GeM) Kind() string { return "gem" }

// Apply adds the layer to the graph. Functions for float32 and float64 are the same code:
// gradients are checked in float64.
func (GeM) Apply(b *graph.Builder, number int, x *graph.Node) *graph.Node {
	name, shape := fmt.Sprint("gem", number), x.Shape()
	p := b.Scope(name, func() *graph.Node { return b.Weight("p", graph.Gain, graph.Constant(3), shape[3]) })
	pixels, channels := shape[1]*shape[2], shape[3]
	return b.Apply(name, []int{shape[0], channels}, gem[float32]{pixels, channels}, gem[float64]{pixels, channels}, x, p)
}

type gem[T graph.Float] struct{ pixels, channels int }

const smallest = 1e-6

// element is the index of pixel i of the channel and the image that output o is of.
func (g gem[T]) element(o, i int) int {
	return (o/g.channels*g.pixels+i)*g.channels + o%g.channels
}

func (g gem[T]) Forward(y []T, inputs ...[]T) {
	for o := range y {
		p, sum := float64(inputs[1][o%g.channels]), 0.0
		for i := range g.pixels {
			sum += math.Pow(max(float64(inputs[0][g.element(o, i)]), smallest), p)
		}
		y[o] = T(math.Pow(sum/float64(g.pixels), 1/p))
	}
}

// Backward sets the gradients of x and p; one that is nil is not needed.
func (g gem[T]) Backward(gradients, inputs [][]T, y, dy []T) {
	dx, dp := gradients[0], gradients[1]
	clear(dp)
	for o := range y {
		p, mean, weighted := float64(inputs[1][o%g.channels]), 0.0, 0.0
		mean = math.Pow(float64(y[o]), p)
		for i := range g.pixels {
			raw := float64(inputs[0][g.element(o, i)])
			x := max(raw, smallest)
			power := math.Pow(x, p)
			weighted += power * math.Log(x) / float64(g.pixels)
			switch {
			case dx == nil:
			case raw > smallest:
				dx[g.element(o, i)] = dy[o] * T(float64(y[o])/mean*power/x/float64(g.pixels))
			default:
				dx[g.element(o, i)] = 0
			}
		}
		if dp != nil {
			dp[o%g.channels] += dy[o] * T(float64(y[o])*(weighted/(mean*p)-math.Log(mean)/(p*p)))
		}
	}
}

// A layer of a user's own: its gradients agree with finite differences, and a network
// with it trains, is saved, and is loaded by giving the network.
func Example_ownBlock() {
	wrong := gradcheck.Find(graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
		x := b.Weight("x", graph.Bias, graph.Normal(1, 0.3), 2, 3, 3, 2)
		y := b.Sequence([]graph.Block{GeM{}}, x)
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Square(y))))}
	})
	fmt.Println("wrong gradients:", len(wrong))

	images := squares(0, 2, 4) // in example_test.go: 18 drawings of 3 classes
	network := backbone.Network{Name: "own", Size: images.Size, Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Activation: "relu"}, GeM{}, graph.Linear{Units: 4},
	}}
	model, err := likeness.New(network, heads.Cosine{}, images.Preprocessing(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	training := trainer.Trainer{
		Model: model, Loss: objectives.BatchAll{Margin: 0.2}, Images: images, Batch: 12,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-2}, Epochs: 1, EpochSteps: 20, Seed: 1,
	}
	if _, err := training.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	folder, err := os.MkdirTemp("", "own-block")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "model.safetensors")
	if err := model.Save(path); err != nil {
		fmt.Println(err)
		return
	}
	loaded, err := likeness.LoadWith(path, network)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("exponents were trained and loaded:", loaded.Weights.Get("gem1.p").Value.Float32s()[0] != 3)
	// Output:
	// wrong gradients: 0
	// exponents were trained and loaded: true
}
