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
		{sgd, func(c *solver.Config) { c.WeightDecay = 0.1 }, []string{"weight_decay: found 0.1", "sgd does not use"}},
		{sgd, func(c *solver.Config) { c.Beta1 = 0.9 }, []string{"beta1: found 0.9", "sgd does not use"}},
		{sgd, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "["}} }, []string{"layer", `"["`}},
		{adam, func(c *solver.Config) { c.Beta2 = 1 }, []string{"beta2: found 1", "at least 0 and below 1"}},
		{adam, func(c *solver.Config) { c.Epsilon = -1 }, []string{"epsilon: found -1"}},
		{adam, func(c *solver.Config) { c.Momentum = 0.9 }, []string{"momentum: found 0.9", "adam does not use"}},
		{adam, func(c *solver.Config) { c.Nesterov = true }, []string{"nesterov"}},
		{adam, func(c *solver.Config) { c.WeightDecay = 0.1 }, []string{"weight_decay: found 0.1", "adamw"}},
		{adam, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "a", WeightDecay: new(0.1)}} }, []string{`"a"`, "weight_decay"}},
		{adamw, func(c *solver.Config) { c.WeightDecay = -1 }, []string{"weight_decay: found -1"}},
		{adamw, func(c *solver.Config) { c.L2 = 0.1 }, []string{"l2: found 0.1", "adamw does not use"}},
		{adamw, func(c *solver.Config) { c.Layers = []solver.Layer{{Name: "a", L2: new(0.1)}} }, []string{`"a"`, "l2"}},
		{sgd, func(c *solver.Config) { c.Schedule = "linear" }, []string{"schedule:", `"linear"`, `"cosine"`}},
		{sgd, func(c *solver.Config) { c.Decay = 0.5 }, []string{"decay: found 0.5", "constant"}},
		{sgd, func(c *solver.Config) { c.Schedule = "exponential" }, []string{"decay: found 0,", "above 0 and at most 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "exponential", 1.5 }, []string{"decay: found 1.5", "above 0 and at most 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "step", 0.5 }, []string{"decay_epochs: found 0", "at least 1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.FinalLearningRate = "cosine", -1 }, []string{"final_rate: found -1"}},
		{sgd, func(c *solver.Config) { c.Schedule, c.Decay = "cosine", 0.5 }, []string{"decay: found 0.5", "cosine"}},
		{sgd, func(c *solver.Config) { c.Warmup = -1 }, []string{"warmup: found -1"}},
		{sgd, func(c *solver.Config) { c.Warmup = 3 }, []string{"warmup: found 3, expected 0 to 2, the number of epochs"}},
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

// Gradient 1 and weight 1 everywhere; rate 0.1 and no L2 but where a layer says
// so. "conv1" is not "conv10", and the first layer that matches counts.
func TestLayersByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5, Layers: []solver.Layer{
		{Name: "conv1", LearningRateScale: new(2.0)},
		{Name: "*.bias", Momentum: new(0.0)},
		{Name: "fc.weight", L2: new(0.5)},
		{Name: "conv*", LearningRateScale: new(0.0)},
	}}
	want := map[string]float64{
		"conv1.weight":  1 - 0.2 - (0.1 + 0.2),
		"conv1.bias":    1 - 0.2 - (0.1 + 0.2),
		"conv10.weight": 1,
		"fc.bias":       1 - 0.1 - 0.1,
		"fc.weight":     1 - 0.2 - (0.1 + 0.18), // g + w = 2, then 1.8
		"head.weight":   1 - 0.1 - (0.05 + 0.1),
	}
	var weights []*weight
	for name := range want {
		w := newWeight(name, 1)
		set(w.grad, 1)
		weights = append(weights, w)
	}
	mustStep(t, s, model(weights...))
	mustStep(t, s, model(weights...))
	for _, w := range weights {
		t.Run(w.name, func(t *testing.T) { wantNear(t, elements(w.value), []float64{want[w.name]}, 1e-15) })
	}
}

func TestLayersOfAdam(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1, WeightDecay: 1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1, Layers: []solver.Layer{
		{Name: "slow", LearningRateScale: new(0.5)},
		{Name: "free", WeightDecay: new(0.0)},
	}}
	slow, free, rest := newWeight("slow.weight", 1), newWeight("free.weight", 1), newWeight("rest.weight", 1)
	for _, w := range []*weight{slow, free, rest} {
		set(w.grad, 1)
	}
	mustStep(t, s, model(slow, free, rest))
	wantNear(t, elements(slow.value), []float64{0.95 - 0.025}, 1e-15)
	wantNear(t, elements(free.value), []float64{1 - 0.05}, 1e-15)
	wantNear(t, elements(rest.value), []float64{0.9 - 0.05}, 1e-15)
}

func TestBadLayersAreRefused(t *testing.T) {
	cases := map[string]struct {
		solver solver.Solver
		words  []string
	}{
		"no such parameter": {&solver.SGD{Layers: []solver.Layer{{Name: "conv2"}}}, []string{`"conv2"`, `"conv1.weight"`}},
		"no name":           {&solver.SGD{Layers: []solver.Layer{{}}}, []string{"name", `found ""`}},
		"pattern":           {&solver.SGD{Layers: []solver.Layer{{Name: "conv["}}}, []string{"name", `"conv["`}},
		"rate":              {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", LearningRateScale: new(-1.0)}}}, []string{`"conv1"`, "rate_scale", "-1"}},
		"momentum":          {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", Momentum: new(1.0)}}}, []string{`"conv1"`, "momentum", "at least 0 and below 1"}},
		"decay of SGD":      {&solver.SGD{Layers: []solver.Layer{{Name: "conv1", WeightDecay: new(0.1)}}}, []string{`"conv1"`, "weight_decay"}},
		"momentum of Adam":  {&solver.Adam{Layers: []solver.Layer{{Name: "conv1", Momentum: new(0.1)}}}, []string{`"conv1"`, "momentum"}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			wantError(t, each.solver.Step(model(newWeight("conv1.weight", 1))), nil, each.words...)
		})
	}
}

func TestSchedulesByHand(t *testing.T) {
	exponential := solver.Exponential{Initial: 1, Factor: 0.5, EpochSteps: 2}
	cases := map[string]struct {
		schedule solver.Schedule
		want     []float64 // of eight steps
	}{
		"constant":    {solver.Constant{Initial: 0.1}, []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}},
		"step":        {solver.Step{Initial: 1, Factor: 0.1, Epochs: 2, EpochSteps: 2}, []float64{1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1}},
		"exponential": {exponential, []float64{1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125}},
		// 1 + cos(π·step/8)/2: 1.5, 1 + 0.92388/2, 1 + 0.70711/2, 1 + 0.38268/2, 1, …
		"cosine": {solver.Cosine{Initial: 1.5, Final: 0.5}, []float64{1.5, 1.461939766, 1.353553391, 1.191341716, 1, 0.808658284, 0.646446609, 0.538060234}},
		"warmup": {solver.Warmup{Steps: 4, Of: exponential}, []float64{0.25, 0.5, 0.375, 0.5, 0.25, 0.25, 0.125, 0.125}},
		// A zero EpochSteps counts every step as an epoch.
		"zero epoch": {solver.Exponential{Initial: 1, Factor: 0.5}, []float64{1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125}},
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			rates := make([]float64, 8)
			for step := range rates {
				rates[step] = each.schedule.LearningRate(step, len(rates))
			}
			wantNear(t, rates, each.want, 1e-9)
		})
	}
}

func TestCosineStaysAtItsEnd(t *testing.T) {
	cosine := solver.Cosine{Initial: 1, Final: 0.25}
	for _, step := range []int{8, 9, 100} {
		if rate := cosine.LearningRate(step, 8); rate != 0.25 {
			t.Errorf("step %d of 8: found %v, expected 0.25", step, rate)
		}
	}
}

// Layers ramp to their own momentum, and the zero Ramp is there at once.
func TestRampByHand(t *testing.T) {
	ramp := solver.Ramp{From: 0.5, Epochs: 4, EpochSteps: 3}
	for target, want := range map[float64][]float64{
		0.9: {0.5, 0.6, 0.7, 0.8, 0.9, 0.9},
		0.1: {0.5, 0.4, 0.3, 0.2, 0.1, 0.1},
	} {
		got := make([]float64, 6)
		for epoch := range got {
			first, last := ramp.At(3*epoch, target), ramp.At(3*epoch+2, target)
			if first != last {
				t.Errorf("epoch %d: found %v at its start and %v at its end", epoch, first, last)
			}
			got[epoch] = first
		}
		wantNear(t, got, want, 1e-15)
	}
	if got := (solver.Ramp{}).At(0, 0.9); got != 0.9 {
		t.Errorf("zero Ramp: found %v, expected 0.9", got)
	}
}
