package gradients

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"gonum.org/v1/gonum/floats"
	"gorgonia.org/gorgonia"
)

// TestKoch checks the network with its head: two towers, the cross-entropy of the signed
// weighted L1 distance, and the L2 penalty of the paper.
func TestKoch(t *testing.T) {
	if !testutil.Long() {
		t.Skip("takes minutes; set LIKENESS_LONG=1 to run it and to write its record")
	}
	const parameters = 38_951_745
	start := time.Now()
	weights := graph.NewWeights(graph.Float64, 1)
	inputs := map[string][]float64{"x": picture("x"), "y": picture("y"), "different": {1}}
	gradcheck.Check(t, weights, inputs, cost(withHe(backbone.Koch())))
	if found := weights.Count(); found != parameters {
		t.Errorf("found %d parameters, expected %d", found, parameters)
	}
	if t.Failed() {
		return
	}
	err := record.Record{
		Title:   "Gradient check of the full network of Koch, Zemel & Salakhutdinov",
		Command: "LIKENESS_LONG=1 go test ./benchmarks/gradients -v -timeout 60m",
		Took:    time.Since(start),
		Result:  fmt.Sprintf(result, parameters, gradcheck.Tolerance) + table(t, weights, inputs),
	}.WriteFile("../results/gradients.md")
	if err != nil {
		t.Error(err)
	}
}

const result = `Two towers on a pair of images of 105×105 pixels with a patch of noise each;
cross-entropy of the signed weighted L1 distance with an L2 penalty; %d parameters,
float64. Three runs gave bitwise equal losses and gradients. The gradients agree with
central differences to within %.0e, away from kinks: along five coordinates of each tensor,
relative to the maximum of the largest gradient of the tensor, 1e-3, and 1e-4 times
the largest gradient of all; and along three random directions through all
parameters, relative to the largest gradient of all.

`

// table returns the weights with their largest gradients.
func table(t *testing.T, weights *graph.Weights, inputs map[string][]float64) string {
	program, err := graph.Build(weights, graph.Training, cost(withHe(backbone.Koch())))
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
	text := "| weight | shape | largest gradient |\n|---|---|---|\n"
	for _, parameter := range program.Parameters() {
		gradient, err := parameter.Elements()
		if err != nil {
			t.Fatal(err)
		}
		largest := floats.Norm(gradient, math.Inf(1))
		text += fmt.Sprintf("| %s | %v | %.1e |\n", parameter.Name(), parameter.Value().Shape(), largest)
	}
	return text
}

// withHe replaces the initializers by He's, which have a larger standard deviation: with
// those of the paper, the feature maps are so uniform that every max pool is at a kink, and
// the sigmoids so saturated that no gradient is left.
func withHe(network backbone.Network) backbone.Network {
	for i, block := range network.Blocks {
		switch b := block.(type) {
		case graph.Conv:
			b.Weight = graph.He
			network.Blocks[i] = b
		case graph.Linear:
			b.Weight = graph.He
			network.Blocks[i] = b
		}
	}
	return network
}

func cost(network backbone.Network) func(*graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		embed := func(name string) *graph.Node {
			return network.Embed(b, b.Input(name, 1, network.Size.Height, network.Size.Width, network.Size.Channels))
		}
		loss := objectives.CrossEntropy{}.Cost(b, objectives.Batch{
			Embeddings: []*graph.Node{embed("x"), embed("y")}, Labels: b.Input("different", 1), Head: heads.WeightedL1{Signed: true},
		})
		penalty := objectives.Penalty(b, []objectives.WeightPenalty{{Pattern: "*", Lambda: 1e-4}})
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(loss, penalty))}
	}
}

// picture returns a patch of noise on a black image of 105×105 pixels. Noise on the whole
// image would give half a million different activations, some of which would be at a kink
// for a change of any weight of the first layer.
func picture(name string) []float64 {
	const patch, edge = 12, 48
	r := random.New(1, name)
	size := backbone.Koch().Size
	pixels := make([]float64, size.Len())
	for row := range patch {
		for column := range patch {
			pixels[(edge+row)*size.Width+edge+column] = r.Float64()
		}
	}
	return pixels
}
