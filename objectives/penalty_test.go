package objectives_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
)

// network has the kernels linear1.weight and linear2.weight and their biases.
var network = []graph.Block{
	graph.Linear{Units: 4, Activation: "tanh", Bias: graph.Normal(0, 1)},
	graph.Linear{Units: 2, Bias: graph.Normal(0, 1)},
}

// penalized adds the penalties to a cost of the network.
func penalized(penalties ...objectives.WeightPenalty) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		cost := b.Node(gorgonia.Sum(b.Node(gorgonia.Square(b.Sequence(network, b.Input("images", 2, 3))))))
		if len(penalties) > 0 {
			cost = b.Node(gorgonia.Add(cost, objectives.Penalty(b, penalties)))
		}
		return graph.Outputs{graph.Cost: cost}
	}
}

var images = map[string][]float64{"images": {1, -1, 0.5, 0.25, 2, -0.5}}

// The penalty adds λ‖w‖² to the cost and 2λw to the gradients of the weights
// that are named, and nothing to the others.
func TestPenalty(t *testing.T) {
	tests := map[string]struct {
		penalties []objectives.WeightPenalty
		lambdas   map[string]float64 // by weight
	}{
		"all kernels":           {[]objectives.WeightPenalty{{"*", 0.1}}, map[string]float64{"linear1.weight": 0.1, "linear2.weight": 0.1}},
		"a block":               {[]objectives.WeightPenalty{{"linear2", 0.3}}, map[string]float64{"linear2.weight": 0.3}},
		"a weight":              {[]objectives.WeightPenalty{{"linear1.weight", 0.3}}, map[string]float64{"linear1.weight": 0.3}},
		"a bias, by its name":   {[]objectives.WeightPenalty{{"linear1.bias", 2}}, map[string]float64{"linear1.bias": 2}},
		"a pattern":             {[]objectives.WeightPenalty{{"linear[2-9].*", 1}}, map[string]float64{"linear2.weight": 1}},
		"the first one decides": {[]objectives.WeightPenalty{{"linear2", 0.5}, {"*", 0.1}}, map[string]float64{"linear1.weight": 0.1, "linear2.weight": 0.5}},
		"an exception":          {[]objectives.WeightPenalty{{"linear2", 0}, {"*", 0.1}}, map[string]float64{"linear1.weight": 0.1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := graph.NewWeights(graph.Float64, 1)
			plain := run(t, w, images, penalized())
			found := run(t, w, images, penalized(test.penalties...))
			want := plain.cost
			for _, weight := range w.All() {
				lambda := test.lambdas[weight.Name]
				for i, v := range values(weight) {
					want += lambda * v * v
					plain.gradients[weight.Name][i] += 2 * lambda * v
				}
			}
			if math.Abs(found.cost-want) > 1e-12*want {
				t.Errorf("cost %v, want %v", found.cost, want)
			}
			if diff := cmp.Diff(plain.gradients, found.gradients, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("gradients: %s", diff)
			}
		})
	}
}

func TestPenaltyGradient(t *testing.T) {
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), images, penalized(objectives.WeightPenalty{Pattern: "linear1", Lambda: 0.2}, objectives.WeightPenalty{Pattern: "*", Lambda: 0.05}))
}

// A frozen weight has no penalty.
func TestPenaltyLeavesFrozenWeights(t *testing.T) {
	w := graph.NewWeights(graph.Float64, 1)
	run(t, w, images, penalized())
	if err := w.Freeze("linear1"); err != nil {
		t.Fatal(err)
	}
	plain := run(t, w, images, penalized())
	found := run(t, w, images, penalized(objectives.WeightPenalty{Pattern: "*", Lambda: 0.5}))
	for _, v := range values(w.Get("linear2.weight")) {
		plain.cost += 0.5 * v * v
	}
	if math.Abs(found.cost-plain.cost) > 1e-12*plain.cost {
		t.Errorf("cost %v, want %v", found.cost, plain.cost)
	}
}

// A weight of many pieces is added up the same on any number of threads.
func TestPenaltyOfALargeWeight(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	draw := func(b *graph.Builder) graph.Outputs {
		b.Weight("large.weight", graph.Kernel, graph.Normal(0, 1), 300, 173)
		return graph.Outputs{graph.Cost: objectives.Penalty(b, []objectives.WeightPenalty{{Pattern: "large", Lambda: 1}})}
	}
	w := graph.NewWeights(graph.Float32, 1)
	graph.SetThreads(1)
	one := run(t, w, nil, draw)
	graph.SetThreads(3)
	three := run(t, w, nil, draw)
	if one.cost != three.cost || !cmp.Equal(one.gradients, three.gradients) {
		t.Errorf("one thread and three differ: costs %v and %v", one.cost, three.cost)
	}
	var want float64
	for _, v := range values(w.Get("large.weight")) {
		want += v * v
	}
	if math.Abs(one.cost-want) > 1e-7*want {
		t.Errorf("cost %v, want %v", one.cost, want)
	}
}

func TestPenaltyRefusals(t *testing.T) {
	tests := map[string][]objectives.WeightPenalty{
		"found none, expected at least one":                                  {},
		`penalty "conv1": it matches no trainable weight; there are linear1`: {{"*", 1}, {"conv1", 1}},
		`penalty "*": found λ = -1, expected at least 0`:                     {{"*", -1}},
		`penalty "[": syntax error in pattern`:                               {{"[", 1}},
	}
	for want, penalties := range tests {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
			b.Sequence(network, b.Input("images", 2, 3))
			return graph.Outputs{graph.Cost: objectives.Penalty(b, penalties)}
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %s", err, want)
		}
	}
}
