package gradients

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gonum.org/v1/gonum/floats"
	"gorgonia.org/gorgonia"
)

// TestKoch checks the network with its head: two towers, cross-entropy over the
// signed weighted L1 distance, and the L2 penalty of the paper.
func TestKoch(t *testing.T) {
	if os.Getenv("LIKENESS_LONG") == "" {
		t.Skip("it takes minutes: set LIKENESS_LONG=1 to run it and to write its record")
	}
	const parameters = 38_951_745
	start := time.Now()
	weights := graph.NewWeights(graph.Float64, 1)
	inputs := map[string][]float64{"x": picture("x"), "y": picture("y"), "different": {1}}
	gradcheck.Check(t, weights, inputs, cost(evenly(backbone.Koch())))
	if found := weights.Count(); found != parameters {
		t.Errorf("found %d parameters, expected %d", found, parameters)
	}
	if t.Failed() {
		return
	}
	err := record.Record{
		Title:   "Gradients of the whole network of Koch, Zemel & Salakhutdinov",
		Command: "LIKENESS_LONG=1 go test ./benchmarks/gradients -v -timeout 60m",
		Took:    time.Since(start),
		Result:  fmt.Sprintf(result, parameters, gradcheck.Tolerance) + table(t, weights, inputs),
	}.WriteFile("../results/gradients.md")
	if err != nil {
		t.Error(err)
	}
}

const result = `Two towers on one pair of 105×105 pixels, a blot on each; cross-entropy over the
signed weighted L1 distance, L2 penalty; %d parameters, float64. Three runs
gave the same cost and gradients to the bit. The gradients are the central
differences to within %.0e, away from kinks: along five coordinates of each
tensor relative to the tensor's largest gradient, or to 1e-3, or to 1e-4 of the
largest of all, whichever is the greatest; along three random directions through
all parameters relative to the largest of all.

`

// table is the weights with their largest gradients.
func table(t *testing.T, weights *graph.Weights, inputs map[string][]float64) string {
	program, err := graph.Build(weights, graph.Training, cost(evenly(backbone.Koch())))
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

// evenly draws wider initial values: with the paper's, the maps are so even
// that every max pool is at a kink, and the sigmoids so far out that nothing
// has a gradient.
func evenly(network backbone.Network) backbone.Network {
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
		distance := heads.WeightedL1{Signed: true}.Paired(b, embed("x"), embed("y"))
		loss := objectives.CrossEntropy{}.PairCost(b, distance, b.Input("different", 1))
		penalty := objectives.Penalty(b, []objectives.L2{{Pattern: "*", Lambda: 1e-4}})
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(loss, penalty))}
	}
}

// picture is a blot of noise on an empty page of 105×105 pixels. Noise all over
// would give half a million different activations, of which some are at a kink
// whatever weight of the first layer moves.
func picture(name string) []float64 {
	const blot, edge = 12, 48
	r := random.New(1, name)
	size := backbone.Koch().Size
	pixels := make([]float64, size.Len())
	for row := range blot {
		for column := range blot {
			pixels[(edge+row)*size.Width+edge+column] = r.Float64()
		}
	}
	return pixels
}
