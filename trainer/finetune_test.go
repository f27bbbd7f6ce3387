package trainer_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// A frozen block stays as it is with all that belongs to it: its batch norm, running
// statistics included, and its PReLU.
func TestFreezingABlockFreezesItsNormAndItsPReLU(t *testing.T) {
	for _, pattern := range []string{"conv1", "conv1.*", "conv[12].*"} {
		network := everything()
		conv := network.Blocks[0].(graph.Conv)
		conv.Activation = "prelu"
		network.Blocks[0] = conv
		training := newTrainer(t, network)
		if err := training.Model.Weights.Freeze(pattern); err != nil {
			t.Fatal(err)
		}
		before := values(training.Model)
		run(t, training)
		for name, after := range values(training.Model) {
			if same := cmp.Equal(before[name], after); same == (name == "linear1.weight") && name != "linear1.bias" { // which moves both embeddings of a pair alike
				t.Errorf("freeze %s: %s: the same as before: %v", pattern, name, same)
			}
		}
	}
	single := newModel(t, everything(), heads.L2{})
	if err := single.Weights.Freeze("conv1.weight"); err != nil {
		t.Fatal(err)
	}
	for _, weight := range single.Weights.All() {
		if weight.Frozen != (weight.Name == "conv1.weight") {
			t.Errorf("freeze conv1.weight: %s is frozen: %v", weight.Name, weight.Frozen)
		}
	}
}

// With frozen statistics everything else is trained.
func TestFreezingStatistics(t *testing.T) {
	training := newTrainer(t, everything())
	if err := training.Model.Weights.FreezeStatistics(); err != nil {
		t.Fatal(err)
	}
	before := values(training.Model)
	run(t, training)
	for name, after := range values(training.Model) {
		if same := cmp.Equal(before[name], after); same != strings.Contains(name, "running") && name != "linear1.bias" { // which moves both embeddings of a pair alike
			t.Errorf("%s: the same as before: %v", name, same)
		}
	}
}

func TestCopyWeights(t *testing.T) {
	from := newModel(t, everything(), heads.L2{})
	for _, weight := range from.Weights.All() {
		if err := weight.Value.Memset(float32(7)); err != nil {
			t.Fatal(err)
		}
	}
	to := newModel(t, everything(), heads.L2{})
	copied, err := trainer.CopyWeights(to, from, "conv1", "norm1.running_*")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"norm1.running_mean", "norm1.running_var", "conv1.weight", "conv1.bias"}, copied); diff != "" {
		t.Error(diff)
	}
	for name, elements := range values(to) {
		if sevens := elements[0] == 7 && elements[len(elements)-1] == 7; sevens != strings.HasPrefix(name, "conv1") && !strings.Contains(name, "running") {
			t.Errorf("%s: copied: %v", name, sevens)
		}
	}
	before := values(to)
	other := newModel(t, backbone.Network{Name: "wide", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}}, heads.L2{})
	for pattern, want := range map[string]string{"conv9": "no weight of such a name", "linear1": `weight "linear1.weight": found float32 (3, 64)`, "[": "syntax error"} {
		if _, err := trainer.CopyWeights(to, other, pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: found %v, expected %q", pattern, err, want)
		}
	}
	if copied, err := trainer.CopyWeights(to, other); err != nil || len(copied) != 0 {
		t.Errorf("without patterns: found %v, %v", copied, err)
	}
	if diff := cmp.Diff(before, values(to)); diff != "" {
		t.Errorf("weights have changed:\n%s", diff)
	}
	if _, err := trainer.CopyWeights(nil, other); err == nil {
		t.Error("no model: found no error")
	}
}

// The last layer is replaced, all others are copied, and the given model stays as it
// is; what was replaced trains beside frozen layers, at a rate of its own.
func TestWithFeatures(t *testing.T) {
	model := newModel(t, everything(), heads.WeightedL1{})
	if err := model.Weights.Freeze("conv1"); err != nil {
		t.Fatal(err)
	}
	before := values(model)
	wider, err := trainer.WithFeatures(model, 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := wider.EmbedAll(likeness.Pixels(seen.Images[:1]), nil)
	if err != nil || len(embeddings.Row(0)) != 5 {
		t.Errorf("found %v, %v", embeddings, err)
	}
	for _, weight := range wider.Weights.All() {
		old := model.Weights.Get(weight.Name)
		copied := cmp.Equal(weight.Value.Data(), old.Value.Data())
		if kept := !strings.HasPrefix(weight.Name, "linear1") && !strings.HasPrefix(weight.Name, "head"); copied != kept || weight.Frozen != old.Frozen {
			t.Errorf("%s: copied: %v, frozen: %v", weight.Name, copied, weight.Frozen)
		}
	}
	training := newTrainer(t, everything())
	training.Model = wider
	training.Solver.Layers = []solver.Layer{{Name: "linear1", LearningRateScale: new(10.)}}
	run(t, training)
	if diff := cmp.Diff(before, values(model)); diff != "" {
		t.Errorf("the given model has changed:\n%s", diff)
	}
	for name, elements := range values(wider) {
		if strings.HasPrefix(name, "conv1") && !cmp.Equal(elements, before[name]) {
			t.Errorf("frozen %s has changed", name)
		}
	}
	two, err := trainer.ReplaceLast(model, 1, graph.Linear{Units: 8}, graph.Activate{Function: "relu"}, graph.Linear{Units: 4})
	if err != nil || two.Weights.Get("linear2.weight") == nil {
		t.Errorf("two layers for one: %v", err)
	}
	flat := backbone.Network{Name: "flat", Size: seen.Size, Blocks: []graph.Block{graph.Conv{Filters: 2, Kernel: 3}, graph.Flatten{}, graph.Normalize{}}}
	added, err := trainer.WithFeatures(newModel(t, flat, heads.L2{}), 3, 1)
	if err != nil || added.Weights.Get("linear1.weight") == nil || added.Weights.Get("conv1.weight") == nil {
		t.Fatalf("a network without a fully connected layer: %v", err)
	}
	if embeddings, err = added.EmbedAll(likeness.Pixels(seen.Images[:1]), nil); err != nil || len(embeddings.Row(0)) != 3 {
		t.Errorf("found %v, %v, expected 3 features", embeddings, err)
	}
	squares := 0.
	for _, x := range embeddings.Row(0) {
		squares += float64(x) * float64(x)
	}
	if math.Abs(squares-1) > 1e-5 {
		t.Errorf("found an embedding of squared length %v, expected 1: the normalization stays last", squares)
	}
}

// What cannot be replaced is an error that says what was found.
func TestReplaceLastRefuses(t *testing.T) {
	model := newModel(t, tiny(), heads.L2{})
	flat := newModel(t, backbone.Network{Name: "flat", Size: size, Blocks: []graph.Block{graph.Conv{Filters: 2, Kernel: 3}, graph.Flatten{}}}, heads.L2{})
	own, err := likeness.New(ownBackbone{}, heads.L2{}, seen.Preprocessing(), 1)
	if err != nil {
		t.Fatal(err)
	}
	withFeatures := func(model *likeness.Model, features int) error {
		_, err := trainer.WithFeatures(model, features, 1)
		return err
	}
	replace := func(model *likeness.Model, blocks ...graph.Block) error {
		_, err := trainer.ReplaceLast(model, 1, blocks...)
		return err
	}
	for want, err := range map[string]error{
		"found 0 features, expected at least 1": withFeatures(model, 0), "found nil, expected a model with weights": withFeatures(nil, 4),
		"found a backbone of type trainer_test.ownBackbone, expected a backbone.Network": withFeatures(own, 4),
		"found nil, expected a model": replace(nil, graph.Linear{Units: 3}), "of type trainer_test.ownBackbone": replace(own, graph.Linear{Units: 3}),
		"found no fully connected layer (graph.Linear) in the network flat": replace(flat, graph.Linear{Units: 3}),
		"linear1": replace(model, graph.Linear{Units: -1}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "replace last layer: ") {
			t.Errorf("found error %v, expected one with %q", err, want)
		}
	}
}

// Weights of float64 are copied and trained as others are, their running statistics too.
func TestFineTuningFloat64(t *testing.T) {
	from := newModel(t, everything(), heads.L2{})
	from.Weights = from.Weights.Convert(graph.Float64)
	training := newTrainer(t, everything())
	training.Model.Weights = training.Model.Weights.Convert(graph.Float64)
	for _, weight := range from.Weights.All() {
		if err := weight.Value.Memset(0.5); err != nil {
			t.Fatal(err)
		}
	}
	if copied, err := trainer.CopyWeights(training.Model, from, "conv1"); err != nil || len(copied) == 0 || training.Model.Weights.Get("conv1.weight").Value.Float64s()[0] != 0.5 {
		t.Errorf("found %v copied, error %v", copied, err)
	}
	mean := training.Model.Weights.Get("norm1.running_mean").Value.Float64s()
	before := slices.Clone(mean)
	training.OnWarning = func(string) {} // that such a model cannot be saved
	run(t, training)
	if cmp.Equal(before, mean) {
		t.Error("the running mean has not moved")
	}
	training.Solver.LearningRate, training.Solver.Solver = 1e300, "sgd"
	if _, err := training.Run(t.Context()); !errors.Is(err, trainer.ErrNotFinite) {
		t.Errorf("found error %v, expected ErrNotFinite", err)
	}
	for _, v := range mean {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("found the running mean %v after a training that diverged", mean)
		}
	}
}

// Frozen layers stay as they are to the bit, statistics included, also under a
// weight average and weight decay; the others move.
func TestFrozenLayersStay(t *testing.T) {
	training := newTrainer(t, everything())
	training.Solver = solver.Config{Solver: "adamw", LearningRate: 1e-2, WeightDecay: 0.1, Average: 0.7}
	if err := training.Model.Weights.Freeze("conv1", "norm1"); err != nil {
		t.Fatal(err)
	}
	before := values(training.Model)
	run(t, training)
	after := values(training.Model)
	for _, name := range []string{"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "norm1.running_mean", "norm1.running_var"} {
		if before[name] == nil {
			t.Errorf("there is no weight %s; there are %v", name, training.Model.Weights.All())
		}
		if diff := cmp.Diff(before[name], after[name]); diff != "" {
			t.Errorf("frozen %s (-before +after):\n%s", name, diff)
		}
	}
	if cmp.Equal(before["linear1.weight"], after["linear1.weight"]) {
		t.Error("linear1.weight has not moved")
	}
}

// A penalty as a term of the cost moves the weights as the solver's own L2
// does, and the cost has grown by it.
func TestPenaltiesAreTheSolversL2(t *testing.T) {
	const lambda = 0.05
	var cost [2]float64
	var weights [2]map[string][]float32
	for i := range 2 {
		training := newTrainer(t, tiny())
		training.Epochs, training.EpochSteps = 1, 1
		training.Solver = solver.Config{Solver: "sgd", LearningRate: 0.1}
		if i == 0 {
			training.Solver.L2 = lambda
		} else {
			training.Penalties = []objectives.WeightPenalty{{Pattern: "*", Lambda: lambda}}
		}
		training.OnStep = func(step trainer.Step) { cost[i] = step.Loss }
		run(t, training)
		weights[i] = values(training.Model)
	}
	if diff := cmp.Diff(weights[0], weights[1], cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("weights (-the solver's L2 +penalty):\n%s", diff)
	}
	var squares float64
	for _, weight := range newModel(t, tiny(), heads.L2{}).Weights.All() {
		if weight.Role == graph.Kernel {
			for _, v := range weight.Value.Data().([]float32) {
				squares += float64(v) * float64(v)
			}
		}
	}
	if want := cost[0] + lambda*squares; math.Abs(cost[1]-want) > 1e-5 {
		t.Errorf("cost with the penalty: found %v, expected %v", cost[1], want)
	}
}
