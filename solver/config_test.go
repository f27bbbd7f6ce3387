package solver_test

import (
	"math"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/likeness-go/likeness/solver"
)

var twoEpochs = solver.Length{Epochs: 2, EpochSteps: 10}

func TestNewBuilds(t *testing.T) {
	layers := []solver.Layer{{Name: "conv1", LearningRateScale: new(0.5)}}
	cases := map[string]struct {
		toml     string
		solver   solver.Solver
		schedule solver.Schedule
	}{
		"sgd": {
			"solver = 'sgd'\nlearning_rate = 0.1\nmomentum = 0.9\nnesterov = true\nl2 = 0.01\nclip = 5\n[[layers]]\nname = 'conv1'\nrate_scale = 0.5",
			&solver.SGD{LearningRate: 0.1, Momentum: 0.9, Nesterov: true, L2: 0.01, Clip: 5, Layers: layers}, solver.Constant{Initial: 0.1},
		},
		"ramp over all epochs": {
			"solver = 'sgd'\nlearning_rate = 0.1\nmomentum = 0.9\nmomentum_start = 0.5\nschedule = 'exponential'\ndecay = 0.99",
			&solver.SGD{LearningRate: 0.1, Momentum: 0.9, Ramp: solver.Ramp{From: 0.5, Epochs: 2, EpochSteps: 10}},
			solver.Exponential{Initial: 0.1, Factor: 0.99, EpochSteps: 10},
		},
		"adam": {
			"solver = 'adam'\nlearning_rate = 0.1\nbeta1 = 0.8\nbeta2 = 0.95\nepsilon = 1e-6\nl2 = 0.01\nschedule = 'step'\ndecay = 0.1\ndecay_epochs = 1",
			&solver.Adam{LearningRate: 0.1, Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-6, L2: 0.01},
			solver.Step{Initial: 0.1, Factor: 0.1, Epochs: 1, EpochSteps: 10},
		},
		"adamw": {
			"solver = 'adamw'\nlearning_rate = 0.1\nweight_decay = 0.01\nschedule = 'cosine'\nfinal_rate = 0.001\nwarmup = 0.5\naverage = 0.999",
			&solver.Adam{LearningRate: 0.1, WeightDecay: 0.01},
			solver.Warmup{Steps: 5, Of: solver.Cosine{Initial: 0.1, Final: 0.001}},
		},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			var config solver.Config
			meta, err := toml.Decode(each.toml, &config)
			if err != nil || len(meta.Undecoded()) > 0 {
				t.Fatalf("toml: %v, undecoded %v", err, meta.Undecoded())
			}
			built, schedule, err := solver.New(config, twoEpochs)
			if err != nil {
				t.Fatal(err)
			}
			settings := cmpopts.IgnoreUnexported(solver.SGD{}, solver.Adam{})
			if diff := cmp.Diff(each.solver, built, settings); diff != "" {
				t.Errorf("solver (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(each.schedule, schedule); diff != "" {
				t.Errorf("schedule (-want +got):\n%s", diff)
			}
		})
	}
}

// Each case spoils one field of a sound configuration.
func TestNewNamesTheField(t *testing.T) {
	sgd := solver.Config{Solver: "sgd", LearningRate: 0.1}
	adam := solver.Config{Solver: "adam", LearningRate: 0.1}
	adamw := solver.Config{Solver: "adamw", LearningRate: 0.1}
	cases := []struct {
		config solver.Config
		spoil  func(*solver.Config)
		words  []string
	}{
		{sgd, func(c *solver.Config) { c.Solver = "lbfgs" }, []string{"solver:", `"lbfgs"`, `"adamw"`}},
		{sgd, func(c *solver.Config) { c.LearningRate = 0 }, []string{"learning_rate: found 0", "above 0"}},
		{sgd, func(c *solver.Config) { c.LearningRate = -1 }, []string{"learning_rate: found -1"}},
		{sgd, func(c *solver.Config) { c.LearningRate = math.NaN() }, []string{"learning_rate: found NaN"}},
		{sgd, func(c *solver.Config) { c.Momentum = 1 }, []string{"momentum: found 1", "at least 0 and below 1"}},
		{sgd, func(c *solver.Config) { c.MomentumStart = -0.5 }, []string{"momentum_start: found -0.5"}},
		{sgd, func(c *solver.Config) { c.MomentumEpochs = 3 }, []string{"momentum_epochs: found 3", "without momentum_start"}},
		{sgd, func(c *solver.Config) { c.MomentumEpochs = -3 }, []string{"momentum_epochs: found -3"}},
		{sgd, func(c *solver.Config) { c.L2 = -1 }, []string{"l2: found -1"}},
		{sgd, func(c *solver.Config) { c.Clip = math.Inf(1) }, []string{"clip: found +Inf"}},
		{sgd, func(c *solver.Config) { c.WeightDecay = 0.1 }, []string{"weight_decay: found 0.1", "sgd has no use"}},
		{sgd, func(c *solver.Config) { c.Beta1 = 0.9 }, []string{"beta1: found 0.9", "sgd has no use"}},
		{sgd, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "["}} }, []string{"layer", `"["`}},
		{adam, func(c *solver.Config) { c.Beta2 = 1 }, []string{"beta2: found 1", "at least 0 and below 1"}},
		{adam, func(c *solver.Config) { c.Epsilon = -1 }, []string{"epsilon: found -1"}},
		{adam, func(c *solver.Config) { c.Momentum = 0.9 }, []string{"momentum: found 0.9", "adam has no use"}},
		{adam, func(c *solver.Config) { c.Nesterov = true }, []string{"nesterov"}},
		{adam, func(c *solver.Config) { c.WeightDecay = 0.1 }, []string{"weight_decay: found 0.1", "adamw"}},
		{adam, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "a", WeightDecay: new(0.1)}} }, []string{`"a"`, "weight_decay"}},
		{adamw, func(c *solver.Config) { c.WeightDecay = -1 }, []string{"weight_decay: found -1"}},
		{adamw, func(c *solver.Config) { c.L2 = 0.1 }, []string{"l2: found 0.1", "adamw has no use"}},
		{adamw, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "a", L2: new(0.1)}} }, []string{`"a"`, "l2"}},
		{sgd, func(c *solver.Config) { c.Schedule = "linear" }, []string{"schedule:", `"linear"`, `"cosine"`}},
		{sgd, func(c *solver.Config) { c.Decay = 0.5 }, []string{"decay: found 0.5", "constant"}},
		{sgd, func(c *solver.Config) { c.Schedule = "exponential" }, []string{"decay: found 0,", "above 0 and at most 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "exponential", 1.5 }, []string{"decay: found 1.5", "above 0 and at most 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "step", 0.5 }, []string{"decay_epochs: found 0", "at least 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.FinalLearningRate = "cosine", -1 }, []string{"final_rate: found -1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "cosine", 0.5 }, []string{"decay: found 0.5", "cosine"}},
		{sgd, func(c *solver.Config) { c.Warmup = -1 }, []string{"warmup: found -1"}},
		{sgd, func(c *solver.Config) { c.Warmup = 3 }, []string{"warmup: found 3, expected 0 to 2 epochs"}},
		{sgd, func(c *solver.Config) { c.Average = 1 }, []string{"average: found 1", "at least 0 and below 1"}},
	}
	for _, each := range cases {
		if _, _, err := solver.New(each.config, twoEpochs); err != nil {
			t.Fatalf("the sound configuration: %v", err)
		}
		config := each.config
		each.spoil(&config)
		_, _, err := solver.New(config, twoEpochs)
		wantError(t, err, nil, each.words...)
	}
	_, _, err := solver.New(sgd, solver.Length{Epochs: 2})
	wantError(t, err, nil, "length", "2 epochs of 0 steps")
}

// Warm-up may take the whole of the training.
func TestWarmupOfAllEpochs(t *testing.T) {
	config := solver.Config{Solver: "sgd", LearningRate: 0.1, Warmup: 2}
	_, schedule, err := solver.New(config, twoEpochs)
	if err != nil {
		t.Fatal(err)
	}
	wantNear(t, []float64{schedule.LearningRate(0, 20), schedule.LearningRate(19, 20)}, []float64{0.005, 0.1}, 1e-15)
}

// The paper's numbers: 1 percent an epoch, 0.5 at the start, and the chosen
// ones within its ranges.
func TestKochIsTheRecipe(t *testing.T) {
	config := solver.Koch()
	if config.LearningRate < 1e-4 || config.LearningRate > 1e-1 || config.Momentum < 0.5 || config.Momentum > 1 || config.L2 < 0 || config.L2 > 0.1 {
		t.Errorf("out of the paper's ranges: %+v", config)
	}
	s, schedule, err := solver.New(config, solver.Length{Epochs: 200, EpochSteps: 10})
	if err != nil {
		t.Fatal(err)
	}
	for epoch, want := range []float64{config.LearningRate, config.LearningRate * 0.99, config.LearningRate * 0.99 * 0.99} {
		wantNear(t, []float64{schedule.LearningRate(10*epoch+9, 2000)}, []float64{want}, 1e-15)
	}
	ramp := s.(*solver.SGD).Ramp
	wantNear(t, []float64{ramp.At(0, 0.9), ramp.At(10, 0.9), ramp.At(400, 0.9)}, []float64{0.5, 0.51, 0.9}, 1e-15)
}
