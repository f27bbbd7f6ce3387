package objectives_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// every is each form of each loss.
var every = []objectives.Loss{
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
	objectives.ArcFace{Margin: 28.6, Scale: 4},
	objectives.SubCenterArcFace{Margin: 40, Scale: 4, Centers: 3},
	objectives.CosFace{Margin: 0.35, Scale: 4},
	objectives.NormalizedSoftmax{Temperature: 0.5},
	objectives.SoftTriple{Margin: 0.1, Scale: 5, Temperature: 0.3, Centers: 2},
	objectives.ProxyNCA{Temperature: 2},
	objectives.ProxyNCAPlusPlus{Temperature: 2},
	objectives.ProxyAnchor{Margin: 0.1, Scale: 4},
	objectives.Angular{Angle: 40},
	objectives.BatchAll{Margin: 0.7, Mining: objectives.EasyPositive},
	objectives.BatchHard{Margin: 0.7, Mining: objectives.EasyPositive},
	objectives.Circle{Margin: 0.4, Scale: 8},
	objectives.Circle{Margin: 0.25, Scale: 80, Mining: objectives.EasyPositive},
	objectives.FastAP{Bins: 10},
	objectives.LiftedStructure{Margin: 1},
	objectives.LiftedStructure{Margin: 0.5, Mining: objectives.EasyPositive},
	objectives.Margin{Margin: 0.2, Beta: 1.2},
	objectives.Margin{Margin: 0.2, Beta: 1.2, Nu: 0.1, Mining: objectives.AllPairs},
	objectives.Margin{Margin: 0.3, Beta: 1.1, Nu: 0.1, PerClass: true, Mining: objectives.AllPairs},
	objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 50, Base: 0.5, Epsilon: 0.1},
	objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 10, Base: 1, Mining: objectives.AllPairs},
	objectives.NPair{Temperature: 0.5, Mining: objectives.EasyPositive},
	objectives.SemiHard{Margin: 0.7, Mining: objectives.EasyPositive},
	objectives.SmoothAP{Temperature: 0.2},
	objectives.TupletMargin{Margin: 5.73, Scale: 64},
	objectives.TupletMargin{Margin: 30, Scale: 4, Mining: objectives.EasyPositive},
}

// samples reports whether a loss draws examples at random, so that another batch of the same
// images has another loss.
func samples(o objectives.Loss) bool {
	margin, ok := o.(objectives.Margin)
	return ok && margin.Mining != objectives.AllPairs
}

// perClass reports whether a loss has a weight for each class, whose labels must be below
// objectives.Batch.Classes.
func perClass(o objectives.Loss) bool {
	margin, ok := o.(objectives.Margin)
	return ok && margin.PerClass
}

var arithmetics = []tensor.Dtype{graph.Float32, graph.Float64}

// headNames are the columns of the table in the package's documentation.
var headNames = []string{"l2", "squared-l2", "l1", "weighted-l1", "cosine"}

// forEach runs a test for each loss with each head that it can be combined with.
func forEach(t *testing.T, test func(t *testing.T, o objectives.Loss, head heads.Head)) {
	t.Helper()
	for _, o := range every {
		for _, name := range headNames {
			if head, err := objectives.HeadFor(o, name); err == nil {
				t.Run(fmt.Sprintf("%T%+v/%s", o, o, head.Name()), func(t *testing.T) { test(t, o, head) })
			}
		}
	}
}

// plainHead is l2, or squared-l2 for a loss that l2 does not go with, or cosine.
func plainHead(o objectives.Loss) heads.Head {
	for _, head := range []heads.Head{heads.L2{}, heads.SquaredL2{}} {
		if o.Check(head) == nil {
			return head
		}
	}
	return heads.Cosine{}
}

// hasVectors reports whether a loss has class vectors, and so takes no references.
func hasVectors(o objectives.Loss) bool {
	_, ok := o.(objectives.ClassVectorLoss)
	return ok
}

// forms are a problem as it is and, of labeled images, with references.
func (p problem) forms(o objectives.Loss) map[string]problem {
	forms := map[string]problem{"": p}
	if o.Kind() == datasets.Labeled && !hasVectors(o) {
		forms["separate references"], forms["anchors and a memory"] = p.withReferences(false), p.withReferences(true)
	}
	return forms
}

// problem is embeddings, in as many towers as the objective has, and labels:
// different for pairs, none for triplets, classes for batches. The embeddings
// are weights, so that they have gradients.
type problem struct {
	rows, features int
	towers         [][]float64 // rows·features each
	labels         []float64
	references     *references                       // nil: the batch itself
	positives      func(anchor int, all []int) []int // those that take part; nil: all
}

// references are what the anchors of a problem are compared with. Their first rows
// are the anchors where self.
type references struct {
	self          bool
	ordered       bool      // both (i, j) and (j, i) count as pairs
	values        []float64 // of those that are not anchors: a weight
	labels, valid []float64 // of all
}

// withReferences has references of the same three classes that follow the anchors
// or replace them; every fourth is invalid, that of the first anchor too.
func (p problem) withReferences(self bool) problem {
	const more = 9
	r := random.New(3, "references", fmt.Sprint(self))
	p.references = &references{self: self}
	if self {
		p.references.labels = slices.Clone(p.labels)
	}
	for i := range more {
		p.references.labels = append(p.references.labels, float64(i*i%3))
		for range p.features {
			p.references.values = append(p.references.values, float64(float32(r.NormFloat64())))
		}
	}
	for j := range p.references.labels {
		p.references.valid = append(p.references.valid, float64(min(j%4, 1)))
	}
	return p
}

// rowsOfReferences are the vectors that anchors are compared with.
func (p problem) rowsOfReferences() (rows [][]float32) {
	r := p.references
	if r == nil || r.self {
		for i := range p.rows {
			rows = append(rows, p.row(0, i))
		}
	}
	if r == nil {
		return rows
	}
	for i := range len(r.values) / p.features {
		rows = append(rows, narrow(r.values[i*p.features:(i+1)*p.features]))
	}
	return rows
}

// labelsOfReferences are their classes.
func (p problem) labelsOfReferences() []float64 {
	if p.references == nil {
		return p.labels
	}
	return p.references.labels
}

// valid reports whether reference j counts, and compared whether it does for anchor i.
func (p problem) valid(j int) bool { return p.references == nil || p.references.valid[j] != 0 }

func (p problem) compared(i, j int) bool {
	return p.valid(j) && (i != j || p.references != nil && !p.references.self)
}

// problemFor draws embeddings from the seed and takes the labels that fit the
// objective. Values are of float32.
func problemFor(o objectives.Loss, seed uint64, rows, features int) problem {
	r := random.New(seed, "embeddings")
	p := problem{rows: rows, features: features}
	for range o.Kind().Towers() {
		p.towers = append(p.towers, nil)
		tower := &p.towers[len(p.towers)-1]
		for range rows * features {
			*tower = append(*tower, float64(float32(r.NormFloat64())))
		}
	}
	for i := range rows {
		if o.Kind().Towers() == 2 {
			p.labels = append(p.labels, float64(i%2))
		} else {
			p.labels = append(p.labels, float64(i%3))
		}
	}
	return p
}

// row is row i of a tower.
func (p problem) row(tower, i int) []float32 {
	return narrow(p.towers[tower][i*p.features : (i+1)*p.features])
}

func narrow(values []float64) []float32 {
	row := make([]float32, len(values))
	for j, v := range values {
		row[j] = float32(v)
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
	if r := p.references; r != nil {
		if err := w.Add("references", graph.Bias, []int{len(r.values) / p.features, p.features}, r.values); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (p problem) inputs() map[string][]float64 {
	if len(p.towers) == 3 {
		return map[string][]float64{}
	}
	inputs := map[string][]float64{"labels": p.labels}
	if r := p.references; r != nil {
		inputs["labels of references"], inputs["valid references"] = r.labels, r.valid
	}
	return inputs
}

// draw is the cost of the towers.
func (p problem) draw(o objectives.Loss, head heads.Head) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		var towers []*graph.Node
		for i := range p.towers {
			towers = append(towers, b.Weight(fmt.Sprintf("tower %d", i), graph.Bias, graph.Initializer{}, p.rows, p.features))
		}
		return graph.Outputs{graph.Cost: p.cost(b, o, head, towers)}
	}
}

// cost is the loss of the embeddings.
func (p problem) cost(b *graph.Builder, o objectives.Loss, head heads.Head, towers []*graph.Node) *graph.Node {
	batch := objectives.Batch{Embeddings: towers, Head: head, Classes: 3}
	for _, label := range p.labels {
		batch.Classes = max(batch.Classes, int(label)+1)
	}
	if o.Kind() != datasets.Triplets {
		batch.Labels = b.Input("labels", p.rows)
	}
	if r := p.references; r != nil {
		all := b.Weight("references", graph.Bias, graph.Initializer{}, len(r.values)/p.features, p.features)
		if r.self {
			all = b.Node(gorgonia.Concat(0, towers[0], all))
		}
		batch.References = &objectives.References{
			Embeddings: all, Labels: b.Input("labels of references", len(r.labels)), Valid: b.Input("valid references", len(r.labels)), Self: r.self,
		}
	}
	return o.Cost(b, batch)
}

// result is a run's cost, gradients by weight, and the head as it was.
type result struct {
	cost      float64
	gradients map[string][]float64
	distance  heads.Distance
	bias      float64   // of cross-entropy
	vectors   []float64 // of the classes
	beta      []float64 // of margin
}

func (p problem) run(t testing.TB, o objectives.Loss, head heads.Head, dtype tensor.Dtype) result {
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
	if vectors := w.Get("loss.vectors"); vectors != nil {
		r.vectors = values(vectors)
	}
	if beta := w.Get("loss.beta"); beta != nil {
		r.beta = values(beta)
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
