package backbone_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"gorgonia.org/gorgonia"
)

// narrowed are the backbones in a form that is small enough for many runs. The
// last map of Koch's network has 2×2 pixels for images of 73×73 pixels.
func narrowed() map[string]backbone.Network {
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	koch := backbone.Koch().Narrow(32)
	koch.Size = imaging.Size{Height: 73, Width: 73, Channels: 1}
	return map[string]backbone.Network{
		"hadsell":      backbone.Hadsell(2).Narrow(5),
		"koch":         koch,
		"hoffer-mnist": backbone.HofferMNIST().Narrow(16),
		"hoffer-cifar": backbone.HofferCIFAR().Narrow(32),
		"conv4":        backbone.Conv4(size, 4, false),
		"conv4-norm":   backbone.Conv4(size, 4, true),
		"conv7":        backbone.Conv7(size, 2),
		"lenet":        backbone.LeNet(size, 4, 3),
		"digits":       backbone.Digits(size).Narrow(8),
		"residual":     backbone.Residual(size, 2),
	}
}

// quick are networks whose gradients are checked within seconds.
var quick = []string{"hadsell", "hoffer-mnist", "lenet", "digits"}

// Every backbone, bound to one, two and three inputs of one graph, has the
// gradient that finite differences give.
func TestGradients(t *testing.T) {
	for name, network := range narrowed() {
		for towers := 1; towers <= 3; towers++ {
			t.Run(fmt.Sprint(name, " ", towers), func(t *testing.T) {
				if short := name == "conv4-norm" && towers == 3; !short && (testing.Short() || towers != 2 || !slices.Contains(quick, name)) {
					testutil.SkipUnlessLong(t, "a network with all that towers share, on three of them, stands for the others")
				}
				gradcheck.Check(t, graph.NewWeights(graph.Float64, 3), images(network, towers, 2), draw(network, towers, 2))
			})
		}
	}
}

// Towers share one set of weights, and their gradients are the sum of those
// of each tower alone.
func TestGradientsAddOverTowers(t *testing.T) {
	for _, name := range []string{"hadsell", "koch", "conv4", "digits"} { // no dropout, no batch statistics
		network := narrowed()[name]
		t.Run(name, func(t *testing.T) {
			weights := graph.NewWeights(graph.Float64, 3)
			inputs := images(network, 3, 2)
			together := gradients(t, weights, inputs, draw(network, 3, 2))
			count := len(weights.All())
			sum := map[string][]float64{}
			for tower := range 3 {
				alone := gradients(t, weights, map[string][]float64{"x0": inputs[input(tower)]}, draw(network, 1, 2))
				for name, gradient := range alone {
					if sum[name] == nil {
						sum[name] = make([]float64, len(gradient))
					}
					for i, g := range gradient {
						sum[name][i] += g
					}
				}
			}
			if len(weights.All()) != count || len(together) != len(sum) {
				t.Errorf("three towers have %d weights and %d gradients, one has %d and %d", count, len(together), len(weights.All()), len(sum))
			}
			for name, gradient := range together {
				for i, g := range gradient {
					if math.Abs(g-sum[name][i]) > 1e-12*(1+math.Abs(g)) {
						t.Fatalf("%s[%d]: %v in three towers, %v in the sum of one", name, i, g, sum[name][i])
					}
				}
			}
		})
	}
}

func input(tower int) string { return fmt.Sprint("x", tower) }

// images are random inputs for each tower.
func images(network backbone.Network, towers, batch int) map[string][]float64 {
	inputs := map[string][]float64{}
	for tower := range towers {
		r := random.New(5, "images", tower)
		values := make([]float64, batch*network.Size.Len())
		for i := range values {
			values[i] = r.Float64()
		}
		inputs[input(tower)] = values
	}
	return inputs
}

// draw is a graph of towers whose cost adds a smooth function of each
// tower's embeddings.
func draw(network backbone.Network, towers, batch int) func(*graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		var cost *graph.Node
		for tower := range towers {
			size := network.Size
			embeddings := network.Embed(b, b.Input(input(tower), batch, size.Height, size.Width, size.Channels))
			// A row that weights the features differently, so that none cancel.
			factors := b.Weight("factors", graph.Bias, graph.Normal(1, 0.5), embeddings.Shape()...)
			term := b.Node(gorgonia.Sum(b.Node(gorgonia.Tanh(b.Node(gorgonia.HadamardProd(factors, embeddings))))))
			if cost == nil {
				cost = term
			} else {
				cost = b.Node(gorgonia.Add(cost, term))
			}
		}
		return graph.Outputs{graph.Cost: cost}
	}
}

func gradients(t *testing.T, weights *graph.Weights, inputs map[string][]float64, draw func(*graph.Builder) graph.Outputs) map[string][]float64 {
	t.Helper()
	program, err := graph.Build(weights, graph.Training, draw)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for name, values := range inputs {
		if err := program.Set(name, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	found := map[string][]float64{}
	for _, parameter := range program.Parameters() {
		if found[parameter.Name()], err = parameter.Elements(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}
