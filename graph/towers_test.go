package graph_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// towerNames are inputs of images (3, 6, 6, 2).
var towerNames = []string{"anchor", "positive", "negative"}

// towerBlocks is everything but dropout, whose masks differ between towers on
// purpose, and batch norm, whose statistics would move between the runs that
// are compared.
var towerBlocks = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Activation: "prelu", Pool: 2},
	graph.Conv{Filters: 4, Kernel: 3, Groups: 4, SamePadding: true, Activation: "tanh"},
	graph.AveragePool{Size: 2, Trainable: true},
	graph.Flatten{},
	graph.Linear{Units: 5, Activation: "tanh"},
	graph.Linear{Units: 3},
}

// towers sum the squares of each tower's output, so that the gradient of many
// towers is the sum of theirs.
func towers(names ...string) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		outputs := graph.Outputs{}
		cost := b.Constant(0)
		for _, name := range names {
			outputs[name] = b.Sequence(towerBlocks, b.Input(name, 3, 6, 6, 2))
			cost = b.Node(gorgonia.Add(cost, sumOfSquares(b, outputs[name])))
		}
		outputs[graph.Cost] = cost
		return outputs
	}
}

// results are all outputs and gradients of one run.
func results(t *testing.T, program *graph.Program, names ...string) values {
	t.Helper()
	for _, name := range names {
		set(t, program, values{name: normal(216, name)})
	}
	run(t, program)
	all := gradients(t, program)
	for _, name := range names {
		all["output "+name] = get(t, program, name)
	}
	all["output "+graph.Cost] = get(t, program, graph.Cost)
	return all
}

// Towers share one set of weights, and its gradient is the sum over the towers.
func TestTowersShareWeights(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	sum := values{}
	for count := 1; count <= 3; count++ {
		tower := towerNames[count-1]
		for name, elements := range results(t, build(t, weights, graph.Training, towers(tower)), tower) {
			sum[name] = add(sum[name], elements)
		}
		many := build(t, weights, graph.Training, towers(towerNames[:count]...))
		expectNear(t, fmt.Sprint(count, " towers"), results(t, many, towerNames[:count]...), sum, 1e-12)
	}
	var names []string
	for _, weight := range weights.All() {
		names = append(names, weight.Name)
	}
	expectEqual(t, "weights", names, []string{
		"conv1.weight", "conv1.bias", "conv1_prelu.weight", "conv2.weight", "conv2.bias", "averagepool1.weight", "averagepool1.bias",
		"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
	})
}

func add(x, y []float64) []float64 {
	sum := append([]float64(nil), y...)
	for i, v := range x {
		sum[i] += v
	}
	return sum
}

// One seed gives one result, bit for bit: in every run, in every build, on any number of
// threads.
func TestResultsAreTheSame(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	for _, names := range [][]string{towerNames[:2], towerNames} {
		var first values
		for _, threads := range []int{1, 2, 3, runtime.NumCPU()} {
			graph.SetThreads(threads)
			for range 3 { // builds
				program := build(t, graph.NewWeights(graph.Float32, 1), graph.Training, towers(names...))
				for range 3 {
					found := results(t, program, names...)
					if first == nil {
						first = found
					}
					expectEqual(t, fmt.Sprint(len(names), " towers, ", threads, " threads"), found, first)
				}
			}
		}
	}
}

// Programs of other batch sizes on the same weights agree, image by image.
func TestBatchSizesAgree(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	images := normal(5*72, "images")
	together := apply(t, weights, graph.Evaluation, towerBlocks, images, 5, 6, 6, 2)
	for _, size := range []int{1, 2} {
		for first := 0; first+size <= 5; first += size {
			found := apply(t, weights, graph.Evaluation, towerBlocks, images[first*72:(first+size)*72], size, 6, 6, 2)
			expectNear(t, fmt.Sprint("images from ", first), found, together[first*3:(first+size)*3], 1e-13)
		}
	}
}

// Programs run beside each other: evaluations on one set of weights, trainings
// on a set each. Building beside each other is safe too.
func TestProgramsInParallel(t *testing.T) {
	shared := graph.NewWeights(graph.Float64, 1)
	images := normal(216, "anchor")
	expectedEmbedding := apply(t, shared, graph.Evaluation, towerBlocks, images, 3, 6, 6, 2)
	expected := results(t, build(t, graph.NewWeights(graph.Float64, 1), graph.Training, towers(towerNames...)), towerNames...)

	var evaluations [2]*graph.Program
	for i := range evaluations {
		evaluations[i] = build(t, shared, graph.Evaluation, towers("anchor"))
		set(t, evaluations[i], values{"anchor": images})
	}
	var group sync.WaitGroup
	for i := range evaluations {
		group.Go(func() {
			for range 5 {
				if err := evaluations[i].Run(); err != nil {
					t.Error(err)
					return
				}
				found, err := evaluations[i].Get("anchor")
				if err != nil {
					t.Error(err)
				}
				expectEqual(t, "embedding", found, expectedEmbedding)
			}
		})
		group.Go(func() {
			program, err := graph.Build(graph.NewWeights(graph.Float64, 1), graph.Training, towers(towerNames...))
			if err != nil {
				t.Error(err)
				return
			}
			for _, name := range towerNames {
				if err := program.Set(name, normal(216, name)); err != nil {
					t.Error(err)
				}
			}
			for range 5 {
				if err := program.Run(); err != nil {
					t.Error(err)
					return
				}
				for _, parameter := range program.Parameters() {
					gradient, err := parameter.Elements()
					if err != nil {
						t.Error(err)
					}
					expectEqual(t, parameter.Name(), gradient, expected[parameter.Name()])
				}
			}
		})
	}
	group.Wait()
}
