package objectives_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/tensor"
)

// every is each form of each objective.
var every = []objectives.Objective{
	objectives.Contrastive{Margin: 2},
	objectives.Triplet{Margin: 0.7},
	objectives.Triplet{Soft: true},
	objectives.TripletRatio{Scale: 1},
	objectives.TripletRatio{Scale: 3},
	objectives.CrossEntropy{},
	objectives.BatchContrastive{Margin: 2},
	objectives.BatchContrastive{Margin: 2, Balanced: true},
	objectives.BatchCrossEntropy{},
	objectives.BatchCrossEntropy{Balanced: true},
	objectives.BatchAll{Margin: 0.7},
	objectives.BatchAll{Soft: true},
	objectives.BatchHard{Margin: 0.7},
	objectives.BatchHard{Soft: true},
	objectives.BatchRatio{Scale: 3},
	objectives.SemiHard{Margin: 0.7},
	objectives.NPair{Temperature: 0.5},
	objectives.SupervisedContrastive{Temperature: 0.5},
	objectives.NCA{Temperature: 2},
	objectives.Prototypical{Temperature: 0.5},
}

var arithmetics = []tensor.Dtype{graph.Float32, graph.Float64}

// headNames are the columns of the table in the package's documentation.
var headNames = []string{"l2", "squared-l2", "l1", "weighted-l1", "cosine"}

// forEach runs a test for each objective with each head that goes with it.
func forEach(t *testing.T, test func(t *testing.T, o objectives.Objective, head heads.Head)) {
	t.Helper()
	for _, o := range every {
		for _, name := range headNames {
			if head, err := objectives.HeadFor(o, name); err == nil {
				t.Run(fmt.Sprintf("%T%+v/%s", o, o, head.Name()), func(t *testing.T) { test(t, o, head) })
			}
		}
	}
}

// problem is embeddings, in as many towers as the objective has, and labels:
// different for pairs, none for triplets, classes for batches. The embeddings
// are weights, so that they have gradients.
type problem struct {
	rows, features int
	towers         [][]float64 // rows·features each
	labels         []float64
}

// towersOf is how many embeddings the objective compares at a time, or 1 for a
// batch.
func towersOf(o objectives.Objective) int {
	switch o.(type) {
	case objectives.PairObjective:
		return 2
	case objectives.TripletObjective:
		return 3
	}
	return 1
}

// problemFor draws embeddings from the seed and takes the labels that fit the
// objective. Values are of float32.
func problemFor(o objectives.Objective, seed uint64, rows, features int) problem {
	r := random.New(seed, "embeddings")
	p := problem{rows: rows, features: features}
	for range towersOf(o) {
		p.towers = append(p.towers, nil)
		tower := &p.towers[len(p.towers)-1]
		for range rows * features {
			*tower = append(*tower, float64(float32(r.NormFloat64())))
		}
	}
	for i := range rows {
		if towersOf(o) == 2 {
			p.labels = append(p.labels, float64(i%2))
		} else {
			p.labels = append(p.labels, float64(i%3))
		}
	}
	return p
}

// row is row i of a tower.
func (p problem) row(tower, i int) []float32 {
	row := make([]float32, p.features)
	for j := range row {
		row[j] = float32(p.towers[tower][i*p.features+j])
	}
	return row
}

// weights holds the towers.
func (p problem) weights(t testing.TB, dtype tensor.Dtype) *graph.Weights {
	t.Helper()
	w := graph.NewWeights(dtype, 7)
	for i, tower := range p.towers {
		if err := w.Add(fmt.Sprintf("tower %d", i), graph.Bias, []int{p.rows, p.features}, tower); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (p problem) inputs() map[string][]float64 {
	if len(p.towers) == 3 {
		return map[string][]float64{}
	}
	return map[string][]float64{"labels": p.labels}
}

// draw is the cost of the towers.
func (p problem) draw(o objectives.Objective, head heads.Head) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		var towers []*graph.Node
		for i := range p.towers {
			towers = append(towers, b.Weight(fmt.Sprintf("tower %d", i), graph.Bias, graph.Initializer{}, p.rows, p.features))
		}
		return graph.Outputs{graph.Cost: p.cost(b, o, head, towers)}
	}
}

// cost compares embeddings by the head and judges the distances.
func (p problem) cost(b *graph.Builder, o objectives.Objective, head heads.Head, towers []*graph.Node) *graph.Node {
	switch o := o.(type) {
	case objectives.PairObjective:
		return o.PairCost(b, head.Paired(b, towers[0], towers[1]), b.Input("labels", p.rows))
	case objectives.TripletObjective:
		return o.TripletCost(b, head.Paired(b, towers[0], towers[1]), head.Paired(b, towers[0], towers[2]))
	case objectives.BatchObjective:
		return o.BatchCost(b, head.Pairwise(b, towers[0], towers[0]), b.Input("labels", p.rows))
	}
	return nil
}

// result is a run's cost, gradients by weight, and the head as it was.
type result struct {
	cost      float64
	gradients map[string][]float64
	distance  heads.Distance
	bias      float64 // of cross-entropy
}

func (p problem) run(t testing.TB, o objectives.Objective, head heads.Head, dtype tensor.Dtype) result {
	t.Helper()
	w := p.weights(t, dtype)
	r := run(t, w, p.inputs(), p.draw(o, head))
	var err error
	if r.distance, err = head.Distance(w); err != nil {
		t.Fatal(err)
	}
	if bias := w.Get("head.bias"); bias != nil {
		r.bias = values(bias)[0]
	}
	return r
}

// run builds a training graph and runs it once.
func run(t testing.TB, w *graph.Weights, inputs map[string][]float64, draw func(b *graph.Builder) graph.Outputs) result {
	t.Helper()
	program, err := graph.Build(w, graph.Training, draw)
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
	r := result{gradients: map[string][]float64{}}
	if r.cost, err = program.Scalar(graph.Cost); err != nil {
		t.Fatal(err)
	}
	for _, parameter := range program.Parameters() {
		if r.gradients[parameter.Name()], err = parameter.Elements(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// values copies a weight's elements.
func values(w *graph.Weight) []float64 {
	switch data := w.Value.Data().(type) {
	case []float32:
		wide := make([]float64, len(data))
		for i, v := range data {
			wide[i] = float64(v)
		}
		return wide
	case []float64:
		return slices.Clone(data)
	}
	return nil
}
