package solver_test

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/solver"
)

// Two steps down w²/2, whose gradient is w.
func ExampleSGD() {
	w := &weight{name: "w", decays: true, value: vector(1), grad: vector(0)}
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5}
	for range 2 {
		set(w.grad, w.value.Float64s()...)
		if err := s.Step([]gorgonia.ValueGrad{w}); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%.2f\n", w.value.Float64s())
	}
	// Output:
	// [0.90]
	// [0.76]
}

// A training loop without package trainer: build a graph, set its inputs, run it,
// and give its gradients to a solver. The network learns to place two pairs of
// points at the given Euclidean distances.
func Example_trainingLoop() {
	weights := graph.NewWeights(graph.Float32, 1)
	tower := []graph.Block{graph.Linear{Units: 8, Activation: "tanh"}, graph.Linear{Units: 2}}
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		left := b.Sequence(tower, b.Input("left", 2, 3))
		right := b.Sequence(tower, b.Input("right", 2, 3))
		distances := b.PairedDistances(graph.Euclidean, left, right, nil)
		residuals := b.Node(gorgonia.Sub(distances, b.Input("distances", 2)))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Mean(b.Node(gorgonia.Square(residuals))))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	inputs := map[string][]float32{"left": {0, 0, 1, 0, 1, 0}, "right": {0, 1, 1, 1, 1, 1}, "distances": {1, 2}}
	optimizer := &solver.Adam{LearningRate: 0.05}
	for step := range 201 {
		for name, values := range inputs { // a real loop draws a batch here
			if err := program.Set(name, values); err != nil {
				fmt.Println(err)
			}
		}
		if err := program.Run(); err != nil {
			fmt.Println(err)
		}
		if loss, _ := program.Scalar(graph.Cost); step%100 == 0 {
			fmt.Printf("step %d: loss below 0.001: %t\n", step, loss < 1e-3)
		}
		if err := optimizer.Step(program.Gradients()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// step 0: loss below 0.001: false
	// step 100: loss below 0.001: true
	// step 200: loss below 0.001: true
}

// A solver and its schedule from a file, and the loop around them.
func ExampleNew() {
	var config solver.Config
	_, err := toml.NewDecoder(strings.NewReader(`
solver   = "adamw"
learning_rate = 0.1
schedule = "step"
decay    = 0.5
decay_epochs = 1
weight_decay = 0.01
`)).Decode(&config)
	if err != nil {
		fmt.Println(err)
	}
	length := solver.Length{Epochs: 3, EpochSteps: 2}
	s, schedule, err := solver.New(config, length)
	if err != nil {
		fmt.Println(err)
	}
	w := &weight{name: "w", decays: true, value: vector(1), grad: vector(1)}
	for step := s.Progress().Steps; step < length.Steps(); step++ {
		s.SetLearningRate(schedule.LearningRate(step, length.Steps()))
		if err := s.Step([]gorgonia.ValueGrad{w}); err != nil {
			fmt.Println(err)
		}
		fmt.Print(s.Progress().LearningRate, " ")
	}
	// Output: 0.1 0.1 0.05 0.05 0.025 0.025
}

// A field that is out of bounds is named.
func ExampleNew_error() {
	config := solver.Koch()
	config.Momentum = 1.5
	_, _, err := solver.New(config, solver.Length{Epochs: 200, EpochSteps: 100})
	fmt.Println(err)
	// Output: solver configuration: momentum: found 1.5, expected at least 0 and below 1
}

// Koch's rate and momentum over the first epochs.
func ExampleKoch() {
	length := solver.Length{Epochs: 200, EpochSteps: 1}
	s, schedule, err := solver.New(solver.Koch(), length)
	if err != nil {
		fmt.Println(err)
	}
	sgd := s.(*solver.SGD)
	for epoch := range 3 {
		fmt.Printf("rate %.6f, momentum %.2f\n", schedule.LearningRate(epoch, length.Steps()), sgd.Ramp.At(epoch, sgd.Momentum))
	}
	// Output:
	// rate 0.010000, momentum 0.50
	// rate 0.009900, momentum 0.51
	// rate 0.009801, momentum 0.52
}

// The average stands in for the weights while they are evaluated.
func ExampleAverage() {
	w := vector(1)
	weights := map[string]*tensor.Dense{"w": w}
	average := &solver.Average{Decay: 0.5}
	for _, value := range []float64{1, 2} {
		set(w, value)
		if err := average.Update(weights); err != nil {
			fmt.Println(err)
		}
	}
	err := average.Evaluate(weights, func() error {
		fmt.Printf("during: %.3f\n", w.Float64s())
		return nil
	})
	fmt.Printf("after: %.3f %v\n", w.Float64s(), err)
	// Output:
	// during: [1.818]
	// after: [2.000] <nil>
}
