package objectives_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// remembered is a graph of a loss with a memory, over embeddings that are a weight.
type remembered struct {
	memory  *objectives.Memory
	weights *graph.Weights
	program *graph.Program
}

func newRemembered(t *testing.T, c objectives.CrossBatchMemory, head heads.Head, p problem) remembered {
	t.Helper()
	memory, err := c.NewMemory(p.rows, p.features)
	if err != nil {
		t.Fatal(err)
	}
	weights := p.weights(t, graph.Float64)
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		x := b.Weight("tower 0", graph.Bias, graph.Initializer{}, p.rows, p.features)
		return graph.Outputs{graph.Cost: c.Cost(b, objectives.Batch{Embeddings: []*graph.Node{x}, Labels: b.Input("labels", p.rows), Classes: 3, Head: head})}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return remembered{memory, weights, program}
}

// step runs the graph on the embeddings of a problem and adds them to the memory.
func (r remembered) step(t *testing.T, p problem, head heads.Head) (found result) {
	t.Helper()
	copy(r.weights.Get("tower 0").Value.Float64s(), p.towers[0])
	if err := r.program.Set("labels", p.labels); err != nil {
		t.Fatal(err)
	}
	if err := r.memory.Set(r.program); err != nil {
		t.Fatal(err)
	}
	if err := r.program.Run(); err != nil {
		t.Fatal(err)
	}
	var err error
	if found.cost, err = r.program.Scalar(graph.Cost); err != nil {
		t.Fatal(err)
	}
	found.gradients = map[string][]float64{}
	for _, parameter := range r.program.Parameters() {
		if found.gradients[parameter.Name()], err = parameter.Elements(); err != nil {
			t.Fatal(err)
		}
	}
	if found.distance, err = head.Distance(r.weights); err != nil {
		t.Fatal(err)
	}
	if bias := r.weights.Get("head.bias"); bias != nil {
		found.bias = values(bias)[0]
	}
	if beta := r.weights.Get("loss.beta"); beta != nil {
		found.beta = values(beta)
	}
	if err := r.memory.Add(p.towers[0], p.labels); err != nil {
		t.Fatal(err)
	}
	return found
}

// explicit is the graph of a loss whose references are a weight of all rows, of which the first
// are equal to the anchors: what a memory computes, with gradients of anchors and references
// apart.
func explicit(o objectives.Loss, head heads.Head, p problem) (func(b *graph.Builder) graph.Outputs, map[string][]float64) {
	rows := len(p.references.labels)
	return func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{graph.Cost: o.Cost(b, objectives.Batch{
				Embeddings: []*graph.Node{b.Weight("tower 0", graph.Bias, graph.Initializer{}, p.rows, p.features)},
				Labels:     b.Input("labels", p.rows), Classes: 3, Head: head,
				References: &objectives.References{
					Embeddings: b.Weight("references", graph.Bias, graph.Initializer{}, rows, p.features),
					Labels:     b.Input("labels of references", rows), Self: true, Ordered: true,
				},
			})}
		}, map[string][]float64{
			"labels": p.labels, "labels of references": p.references.labels,
		}
}

// Over five batches of 6 images a memory of 15 holds the batch and the 9 latest embeddings
// before it, of which the oldest are those of a half of a batch. Every loss equals the loop over
// explicit pairs and triplets of such a list, and its gradient that of the anchors alone, which
// passes a finite-difference check.
func TestMemoryIsAListOfTheLatest(t *testing.T) {
	const rows, features, size = 6, 4, 15
	forEachLabeled(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		first := problemFor(o, 20, rows, features)
		r := newRemembered(t, objectives.CrossBatchMemory{Loss: o, Size: size}, head, first)
		var list, labels []float64 // of earlier batches, the oldest first
		for batch := range 5 {
			p := problemFor(o, uint64(20+batch), rows, features)
			for i := range p.labels {
				p.labels[i] = float64((i + batch) % 3)
			}
			found := r.step(t, p, head)
			p.references = &references{self: true, ordered: true, values: list, labels: slices.Concat(p.labels, labels)}
			for range p.references.labels {
				p.references.valid = append(p.references.valid, 1)
			}
			if !samples(o) {
				if want := p.naive(o, found); math.Abs(found.cost-want) > 2e-6*max(want, 1) {
					t.Errorf("batch %d: cost %v, the loop gives %v", batch, found.cost, want)
				}
				apart := graph.NewWeights(graph.Float64, 7)
				for name, values := range map[string][]float64{"tower 0": p.towers[0], "references": slices.Concat(p.towers[0], list)} {
					if err := apart.Add(name, graph.Bias, []int{len(values) / features, features}, values); err != nil {
						t.Fatal(err)
					}
				}
				draw, inputs := explicit(o, head, p)
				want := run(t, apart, inputs, draw)
				delete(want.gradients, "references")
				if diff := cmp.Diff(want.gradients, found.gradients, cmpopts.EquateApprox(1e-12, 1e-12)); diff != "" {
					t.Errorf("batch %d: gradients: %s", batch, diff)
				}
				if _, detached := o.(objectives.Circle); batch == 1 && !detached {
					gradcheck.Check(t, apart, inputs, draw)
				}
			}
			list, labels = append(list, p.towers[0]...), append(labels, p.labels...)
			if excess := len(labels) - (size - rows); excess > 0 {
				list, labels = list[excess*features:], labels[excess:]
			}
		}
	})
}

// In the warm-up the loss and its gradient are those of the batch alone, and nothing of it is
// in the memory afterwards.
func TestMemoryWarmup(t *testing.T) {
	forEachLabeled(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if samples(o) {
			return // there are more random numbers
		}
		near := cmpopts.EquateApprox(1e-12, 1e-12)
		warm := newRemembered(t, objectives.CrossBatchMemory{Loss: o, Size: 20, Warmup: 2}, head, problemFor(o, 1, 6, 3))
		cold := newRemembered(t, objectives.CrossBatchMemory{Loss: o, Size: 20}, head, problemFor(o, 1, 6, 3))
		for step := range 2 {
			p := problemFor(o, uint64(1+step), 6, 3)
			want, found := p.run(t, o, head, graph.Float64), warm.step(t, p, head)
			if diff := cmp.Diff(want.cost, found.cost, near); diff != "" {
				t.Errorf("step %d: cost: %s", step, diff)
			}
			if diff := cmp.Diff(want.gradients, found.gradients, near); diff != "" {
				t.Errorf("step %d: gradients: %s", step, diff)
			}
		}
		for step := range 2 {
			p := problemFor(o, uint64(5+step), 6, 3)
			want, found := cold.step(t, p, head), warm.step(t, p, head)
			if want.cost != found.cost {
				t.Errorf("step %d after the warm-up: cost %v, without a warm-up %v", step, found.cost, want.cost)
			}
			if diff := cmp.Diff(want.gradients, found.gradients); diff != "" {
				t.Errorf("step %d after the warm-up: gradients: %s", step, diff)
			}
		}
	})
}

// The same image in two batches is a positive of itself, at distance zero; in its own batch it
// is not compared with itself. Worked by hand: two images of two classes at a distance of 1 and a
// margin of 2 have the pairs (0,1) and (1,0), each max(0, 2 − 1)²/2 = 1/2; in the second batch
// each also has itself, 0, and the other image once more, 1/2.
func TestMemoryWorkedByHand(t *testing.T) {
	p := problem{rows: 2, features: 1, towers: [][]float64{{0, 1}}, labels: []float64{0, 1}}
	r := newRemembered(t, objectives.CrossBatchMemory{Loss: objectives.BatchContrastive{Margin: 2}, Size: 4}, heads.L2{}, p)
	for step, want := range []struct{ cost, slope float64 }{{1. / 2, 1. / 2}, {2. / 6, 2. / 6}} {
		found := r.step(t, p, heads.L2{})
		if math.Abs(found.cost-want.cost) > 1e-15 {
			t.Errorf("step %d: cost %v, want %v", step, found.cost, want.cost)
		}
		// Image 1 is an anchor of half of the pairs, each with the slope −(2 − 1); image 0 likewise.
		if diff := cmp.Diff([]float64{want.slope, -want.slope}, found.gradients["tower 0"], cmpopts.EquateApprox(0, 1e-15)); diff != "" {
			t.Errorf("step %d: gradient %s", step, diff)
		}
	}
}

// A restored memory goes on as the one that was saved, also with a ring in the middle of which
// the next embeddings are written.
func TestMemoryRestore(t *testing.T) {
	o := objectives.NPair{Temperature: 0.5}
	c := objectives.CrossBatchMemory{Loss: o, Size: 13, Warmup: 1}
	r := newRemembered(t, c, heads.Cosine{}, problemFor(o, 1, 6, 3))
	if after := r.memory.FullAfter(); after != 3 { // one of the warm-up, two of 6 images for 7 places
		t.Errorf("full after %d steps, want 3", after)
	}
	for step := range 5 {
		r.step(t, problemFor(o, uint64(step), 6, 3), heads.Cosine{})
	}
	again := newRemembered(t, c, heads.Cosine{}, problemFor(o, 1, 6, 3))
	if err := again.memory.Restore(r.memory.State()); err != nil {
		t.Fatal(err)
	}
	for step := range 3 {
		p := problemFor(o, uint64(10+step), 6, 3)
		if want, found := r.step(t, p, heads.Cosine{}), again.step(t, p, heads.Cosine{}); want.cost != found.cost || !slices.Equal(want.gradients["tower 0"], found.gradients["tower 0"]) {
			t.Errorf("step %d: found cost %v and gradients %v, want %v and %v", step, found.cost, found.gradients, want.cost, want.gradients)
		}
	}
	steps, embeddings, labels := r.memory.State()
	if steps != 8 || len(embeddings) != 7*3 || len(labels) != 7 {
		t.Fatalf("found %d steps, %d values and %d labels, want 8, 21 and 7", steps, len(embeddings), len(labels))
	}
	before := slices.Clone(embeddings)
	embeddings[0] = math.NaN()
	for name, err := range map[string]error{
		"steps":      r.memory.Restore(-1, before, labels),
		"values":     r.memory.Restore(1, before[1:], labels),
		"labels":     r.memory.Restore(1, before, labels[1:]),
		"not finite": r.memory.Restore(1, embeddings, labels),
		"batch":      r.memory.Add(before, labels),
		"NaN":        r.memory.Add(slices.Repeat([]float64{math.NaN()}, 18), make([]float64, 6)),
		"nil":        (*objectives.Memory)(nil).Add(nil, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "cross-batch memory: ") {
			t.Errorf("%s: found %v, expected an error", name, err)
		}
	}
	if now, found, _ := r.memory.State(); now != 8 || !slices.Equal(found, before) {
		t.Error("a refused Restore or Add has changed the memory")
	}
}

// What has no use for a memory is refused with the reason.
func TestMemoryRefuses(t *testing.T) {
	pair, memory := objectives.NPair{Temperature: 1}, objectives.CrossBatchMemory{Loss: objectives.NPair{Temperature: 1}, Size: 10}
	for name, test := range map[string]struct {
		loss objectives.Loss
		want string
	}{
		"none":          {objectives.CrossBatchMemory{Size: 10}, "found no loss"},
		"pairs":         {objectives.CrossBatchMemory{Loss: objectives.Contrastive{Margin: 1}, Size: 10}, "contrastive compares the given pairs"},
		"triplets":      {objectives.CrossBatchMemory{Loss: objectives.Triplet{Margin: 1}, Size: 10}, "triplet compares the given triplets"},
		"class vectors": {objectives.CrossBatchMemory{Loss: objectives.ProxyAnchor{Margin: 0.1, Scale: 32}, Size: 10}, "proxy-anchor compares images with its class vectors"},
		"in a sum": {objectives.CrossBatchMemory{Loss: objectives.Sum{{Weight: 1, Loss: pair}, {Weight: 1, Loss: &objectives.ProxyAnchor{Margin: 0.1, Scale: 32}}}, Size: 10},
			"its class vectors"},
		"two":        {objectives.CrossBatchMemory{Loss: memory, Size: 10}, "found another one inside"},
		"inside sum": {objectives.Sum{{Weight: 1, Loss: memory}}, "expected one memory around the sum"},
		"size":       {objectives.CrossBatchMemory{Loss: pair, Size: 1}, "found size 1"},
		"warm-up":    {objectives.CrossBatchMemory{Loss: pair, Size: 10, Warmup: -1}, "found a warm-up of -1"},
		"loss":       {objectives.CrossBatchMemory{Loss: objectives.NPair{}, Size: 10}, "temperature"},
	} {
		if err := test.loss.Check(heads.Cosine{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %v, expected …%s…", name, err, test.want)
		}
	}
	for _, images := range []int{0, 10, 11} {
		if _, err := memory.NewMemory(images, 4); err == nil || !strings.Contains(err.Error(), "expected a size above the images") {
			t.Errorf("%d images: found %v, expected an error", images, err)
		}
	}
	if _, err := memory.NewMemory(4, 0); err == nil {
		t.Error("found no error for embeddings without features")
	}
	taken := 0
	for _, o := range every {
		err := objectives.CrossBatchMemory{Loss: o, Size: 10}.Check(plainHead(o))
		if takes := o.Kind().Towers() == 1 && !hasVectors(o); (err == nil) != takes {
			t.Errorf("%s: found %v, expected that it is taken: %v", o.Name(), err, takes)
		} else if takes && !strings.Contains(memoryText(t), o.Name()) {
			t.Errorf("docs/losses.md does not name %s among the losses of a memory", o.Name())
		} else if takes {
			taken++
		}
	}
	if taken < 20 {
		t.Errorf("found only %d losses with a memory", taken)
	}
}

// memoryText is the paragraph of docs/losses.md about the memory.
func memoryText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/losses.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "## Cross-batch memory\n")
	if !found {
		t.Fatal("docs/losses.md has no section Cross-batch memory")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// A memory around a loss is the loss's in what is recorded and in the choice of a head.
func TestMemoryOfALoss(t *testing.T) {
	c := objectives.CrossBatchMemory{Loss: objectives.BatchCrossEntropy{}, Size: 10, Warmup: 3}
	if head, err := objectives.HeadFor(c, "weighted-l1"); err != nil || head != (heads.WeightedL1{Signed: true}) {
		t.Errorf("found head %v, %v, expected the signed one of the cross-entropies", head, err)
	}
	text, err := json.Marshal(c)
	if want := `{"Size":10,"Warmup":3,"Name":"batch-cross-entropy","Loss":{"Balanced":false}}`; err != nil || string(text) != want {
		t.Errorf("found %s, %v, want %s", text, err, want)
	}
	if objectives.IsOwn(c) || !objectives.IsOwn(objectives.CrossBatchMemory{Loss: easyPositive{}, Size: 10}) {
		t.Error("a memory is user-defined if its loss is")
	}
}
