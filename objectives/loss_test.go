package objectives_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/gorgonia"
)

// A sum has the weighted cost and gradients of its losses.
func TestSum(t *testing.T) {
	a, b := objectives.BatchHard{Margin: 0.7}, objectives.NCA{Temperature: 0.5}
	sum := objectives.Sum{{Weight: 1, Loss: a}, {Weight: 0.25, Loss: b}}
	p := problemFor(sum, 1, 8, 3)
	head := heads.WeightedL1{}
	one, two, both := p.run(t, a, head, graph.Float64), p.run(t, b, head, graph.Float64), p.run(t, sum, head, graph.Float64)
	near := cmpopts.EquateApprox(0, 1e-14)
	if diff := cmp.Diff(one.cost+0.25*two.cost, both.cost, near); diff != "" {
		t.Errorf("cost: %s", diff)
	}
	for name, gradient := range both.gradients {
		for i := range gradient {
			one.gradients[name][i] += 0.25 * two.gradients[name][i]
		}
	}
	if diff := cmp.Diff(one.gradients, both.gradients, near); diff != "" {
		t.Errorf("gradients: %s", diff)
	}
	gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(sum, head))
	for _, pairs := range []objectives.Sum{
		{{Weight: 2, Loss: objectives.Contrastive{Margin: 2}}, {Weight: 1, Loss: objectives.CrossEntropy{}}},
		{{Weight: 2, Loss: objectives.Triplet{Margin: 2}}, {Weight: 1, Loss: objectives.TripletRatio{Scale: 1}}},
		{{Weight: 2, Loss: sum}, {Weight: 1, Loss: objectives.BatchAll{Soft: true}}},
	} {
		p := problemFor(pairs, 2, 6, 3)
		gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(pairs, heads.L2{}))
	}
}

func TestSumCheck(t *testing.T) {
	hard, pair := objectives.BatchHard{Margin: 1}, objectives.Contrastive{Margin: 1}
	for _, test := range []struct {
		sum  objectives.Sum
		head heads.Head
		want string
	}{
		{objectives.Sum{{1, hard}, {0.1, objectives.NCA{Temperature: 1}}}, heads.L2{}, ""},
		{nil, heads.L2{}, "sum: found no loss, expected at least one"},
		{objectives.Sum{{1, hard}, {1, nil}}, heads.L2{}, "sum: loss 2 is nil, expected a loss"},
		{objectives.Sum{{1, hard}, {0, hard}}, heads.L2{}, "sum: found weight 0 of loss 2 (batch-hard), expected a positive number"},
		{objectives.Sum{{math.NaN(), hard}}, heads.L2{}, "sum: found weight NaN of loss 1 (batch-hard), expected a positive number"},
		{objectives.Sum{{math.Inf(1), hard}}, heads.L2{}, "sum: found weight +Inf of loss 1 (batch-hard), expected a positive number"},
		{objectives.Sum{{1, hard}, {1, pair}}, heads.L2{}, "sum: loss 2 (contrastive) needs pairs, but loss 1 (batch-hard) needs labeled images: a sum has losses of one kind"},
		{objectives.Sum{{1, hard}, {1, objectives.Prototypical{Temperature: 1}}}, heads.L2{}, "sum: loss 2: prototypical with l2: the distance from a mean does not follow from such distances: use squared-l2 or cosine"},
		{objectives.Sum{{1, hard}}, nil, "sum: loss 1: batch-hard: found no head, expected one of package heads or one of your own"},
	} {
		found := ""
		if err := test.sum.Check(test.head); err != nil {
			found = err.Error()
		}
		if found != test.want {
			t.Errorf("%s: found %q, want %q", test.sum.Name(), found, test.want)
		}
	}
}

// Without a head every loss says so, and all but the cross-entropies refuse one whose values
// may be negative, each by its name.
func TestHeadsThatAreNoDistance(t *testing.T) {
	for _, name := range objectives.Names {
		loss, _, err := objectives.Named(name, "cosine", objectives.Options{Features: 4})
		if err != nil {
			loss, _, err = objectives.Named(name, "l2", objectives.Options{Features: 4})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := loss.Check(nil); err == nil || err.Error() != name+": found no head, expected one of package heads or one of your own" {
			t.Errorf("%s without a head: found error %v", name, err)
		}
		err = loss.Check(heads.WeightedL1{Signed: true})
		if entropy := strings.HasSuffix(name, "cross-entropy"); entropy != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), name+" with ") {
			t.Errorf("%s with a signed head: found error %v", name, err)
		}
		if _, err := objectives.HeadFor(loss, "euclid"); err == nil || !strings.Contains(err.Error(), `"euclid"`) {
			t.Errorf("%s with an unknown head: found error %v", name, err)
		}
	}
}

// An empty sum and one of nothing can be printed and described, so that the error about
// them can be, and a loss that is no number for a batch is named.
func TestSumsOfNothing(t *testing.T) {
	var none objectives.Sum
	if none.Name() != "empty sum" || none.Kind() != datasets.Pairs {
		t.Errorf("found %s of %v", none.Name(), none.Kind())
	}
	nothing := objectives.Sum{{Weight: 2}}
	if text, err := json.Marshal(nothing); nothing.Name() != "2 nil" || nothing.Kind() != datasets.Pairs || err != nil || string(text) != `[{"Weight":2,"Name":"nil","Loss":null}]` {
		t.Errorf("found %s of %v, %s, %v", nothing.Name(), nothing.Kind(), text, err)
	}
	sum := objectives.Sum{{1, objectives.BatchHard{Margin: 1}}, {1, noNumber{}}}
	p := problemFor(sum, 1, 6, 3)
	program, err := graph.Build(p.weights(t, graph.Float64), graph.Training, p.draw(sum, heads.L2{}))
	if want := "sum: the Cost of loss 2 (no-number) is not a scalar"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("found %v, error %v, expected %q", program, err, want)
	}
}

// noNumber is a loss whose cost is the labels.
type noNumber struct{ objectives.BatchHard }

func (noNumber) Name() string           { return "no-number" }
func (noNumber) Check(heads.Head) error { return nil }

func (noNumber) Cost(_ *graph.Builder, batch objectives.Batch) *graph.Node { return batch.Labels }

// What a checkpoint records of a sum distinguishes its losses.
func TestSumIdentity(t *testing.T) {
	sum := objectives.Sum{{1, objectives.BatchHard{Margin: 2}}, {0.1, easyPositive{}}}
	if found, want := sum.Name(), "1 batch-hard + 0.1 easy-positive"; found != want {
		t.Errorf("name %q, want %q", found, want)
	}
	text, err := json.Marshal(sum)
	want := `[{"Weight":1,"Name":"batch-hard","Loss":{"Margin":2,"Soft":false}},{"Weight":0.1,"Name":"easy-positive","Loss":{}}]`
	if err != nil || string(text) != want {
		t.Errorf("found %s, %v; want %s", text, err, want)
	}
	for _, test := range []struct {
		loss objectives.Loss
		want bool
	}{
		{objectives.BatchHard{}, true}, {&objectives.BatchHard{}, true}, {sum, false}, {sum[:1], true}, {&sum, false},
		{easyPositive{}, false}, {struct{ objectives.BatchHard }{}, false}, {nil, true}, {(*objectives.BatchHard)(nil), false},
	} {
		if found := !objectives.IsOwn(test.loss); found != test.want {
			t.Errorf("IsOwn(%#v) = %v, want %v", test.loss, !found, !test.want)
		}
	}
}

// A sum of cross-entropies has the signed head, as each of them does; a panic of a
// user's loss is an error.
func TestHeadForLosses(t *testing.T) {
	entropies := objectives.Sum{{1, objectives.BatchCrossEntropy{}}, {1, objectives.BatchCrossEntropy{Balanced: true}}}
	mixed := objectives.Sum{{1, objectives.BatchCrossEntropy{}}, {1, objectives.BatchHard{Margin: 1}}}
	for loss, want := range map[*objectives.Sum]heads.Head{&entropies: heads.WeightedL1{Signed: true}, &mixed: heads.WeightedL1{}} {
		if head, err := objectives.HeadFor(*loss, "weighted-l1"); err != nil || head != want {
			t.Errorf("%s: found %v, %v; want %v", loss.Name(), head, err, want)
		}
	}
	if _, err := objectives.HeadFor((*easyPositive)(nil), "l2"); err == nil || !strings.Contains(err.Error(), "panics") {
		t.Errorf("a nil pointer: found %v", err)
	}
	if _, err := objectives.HeadFor(nil, "l2"); err == nil {
		t.Error("no loss: found no error")
	}
}

// The reducers and their gradients, worked by hand.
func TestReducers(t *testing.T) {
	values := []float64{3, 0, -1, 0}
	for name, test := range map[string]struct {
		reduce   func(b *graph.Builder, values, weights *graph.Node) *graph.Node
		weights  []float64
		cost     float64
		gradient []float64
	}{
		"mean":                        {func(b *graph.Builder, v, _ *graph.Node) *graph.Node { return objectives.Mean(b, v) }, nil, 0.5, []float64{.25, .25, .25, .25}},
		"mean of non-zero values":     {func(b *graph.Builder, v, _ *graph.Node) *graph.Node { return objectives.MeanNonZero(b, v) }, nil, 1, []float64{.5, 0, .5, 0}},
		"weighted mean":               {objectives.WeightedMean, []float64{1, 2, 1, 0}, 0.5, []float64{.25, .5, .25, 0}},
		"weighted mean, zero weights": {objectives.WeightedMean, []float64{0, 0, 0, 0}, 0, []float64{0, 0, 0, 0}},
		"mean of the largest": {func(b *graph.Builder, v, mask *graph.Node) *graph.Node {
			return objectives.Mean(b, objectives.Largest(b, v, mask))
		}, []float64{0, 1, 1, 1}, 0, []float64{0, .5, 0, .5}},
		"mean of the smallest": {func(b *graph.Builder, v, mask *graph.Node) *graph.Node {
			return objectives.Mean(b, objectives.Smallest(b, v, mask))
		}, []float64{1, 0, 1, 1}, 1, []float64{.5, 0, .5, 0}},
		"mean of hinges of rows with a mark": {func(b *graph.Builder, v, mask *graph.Node) *graph.Node {
			return objectives.WeightedMean(b, objectives.Hinge(b, objectives.Largest(b, v, mask)), objectives.Any(b, mask))
		}, []float64{1, 1, 0, 0}, 3, []float64{1, 0, 0, 0}},
	} {
		w := graph.NewWeights(graph.Float64, 1)
		if err := w.Add("values", graph.Bias, []int{2, 2}, values); err != nil {
			t.Fatal(err)
		}
		inputs := map[string][]float64{}
		if test.weights != nil {
			inputs["weights"] = test.weights
		}
		r := run(t, w, inputs, func(b *graph.Builder) graph.Outputs {
			v := b.Weight("values", graph.Bias, graph.Initializer{}, 2, 2)
			var weights *graph.Node
			if test.weights != nil {
				weights = b.Input("weights", 2, 2)
			}
			return graph.Outputs{graph.Cost: test.reduce(b, v, weights)}
		})
		if r.cost != test.cost || !cmp.Equal(r.gradients["values"], test.gradient) {
			t.Errorf("%s: found %v with the gradient %v, want %v with %v", name, r.cost, r.gradients["values"], test.cost, test.gradient)
		}
	}
	// A mean over nothing.
	w := graph.NewWeights(graph.Float64, 1)
	checkZero(t, "mean of zeros", run(t, w, nil, func(b *graph.Builder) graph.Outputs {
		zeros := b.Weight("values", graph.Bias, graph.Constant(0), 3)
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(objectives.MeanNonZero(b, zeros), objectives.Mean(b, zeros)))}
	}).without("values"))
}

// without leaves out a gradient.
func (r result) without(name string) result {
	delete(r.gradients, name)
	return r
}

// A user's loss by PerAnchor and one with class vectors have right gradients.
func TestGradientsOfExamples(t *testing.T) {
	for _, loss := range []objectives.Loss{easyPositive{}, proxySoftmax{Temperature: 0.7}} {
		for name, p := range problemFor(loss, 3, 7, 3).forms(loss) {
			t.Run(loss.Name()+"/"+name, func(t *testing.T) {
				if _, own := loss.(proxySoftmax); own && p.references != nil {
					t.Skip("it has references of its own")
				}
				gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(loss, heads.L2{}))
			})
		}
	}
}

// broken is a loss whose function fails on the third anchor.
type broken struct{ easyPositive }

func (broken) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	return objectives.PerAnchor(b, "broken", batch, func(a objectives.Anchor) (sum, count float64) {
		if a.Index == 2 {
			panic("no third anchor")
		}
		return a.Distances[0], 1
	})
}

// A panic of a user's function is an error of the run.
func TestPerAnchorPanic(t *testing.T) {
	p := problemFor(broken{}, 1, 4, 2)
	program, err := graph.Build(p.weights(t, graph.Float32), graph.Training, p.draw(broken{}, heads.L2{}))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if err := program.Set("labels", p.labels); err != nil {
		t.Fatal(err)
	}
	if err := program.Run(); err == nil || !strings.Contains(err.Error(), "broken: panic: no third anchor (loss_test.go:") {
		t.Errorf("found %v, expected the panic as an error", err)
	}
}

// What a batch refuses, with the reason.
func TestBatchRefusals(t *testing.T) {
	batch := func(b *graph.Builder) objectives.Batch {
		return objectives.Batch{Embeddings: []*graph.Node{b.Input("images", 3, 2)}, Labels: b.Input("labels", 3), Head: heads.L2{}}
	}
	for want, build := range map[string]func(b *graph.Builder) *graph.Node{
		"batch: found no embeddings of towers 0 and 1: labeled images have one tower, 0, whose distances Pairwise returns": func(b *graph.Builder) *graph.Node { return batch(b).Paired(b, 0, 1) },
		"batch: found 0 classes, expected the number of classes of the training data and labels": func(b *graph.Builder) *graph.Node {
			return batch(b).ClassLabels(b)
		},
		"batch: found the embeddings of 0 towers, expected 1 for labeled images": func(b *graph.Builder) *graph.Node {
			return objectives.Batch{}.Pairwise(b)
		},
		"nothing: the loss of an anchor is nil, expected a function": func(b *graph.Builder) *graph.Node {
			return objectives.PerAnchor(b, "nothing", batch(b), nil)
		},
		"weighted mean: found values of shape (3, 2) and weights of shape (3), expected equal shapes": func(b *graph.Builder) *graph.Node {
			return objectives.WeightedMean(b, batch(b).Embeddings[0], b.Input("weights", 3))
		},
		"largest: found values of shape (3, 2) and a mask of shape (3), expected (N, M) twice": func(b *graph.Builder) *graph.Node {
			return objectives.Largest(b, batch(b).Embeddings[0], b.Input("mask", 3))
		},
		"any: found a mask of shape (3), expected (N, M)": func(b *graph.Builder) *graph.Node { return objectives.Any(b, b.Input("mask", 3)) },
	} {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"result": build(b)}
		})
		if err == nil || err.Error() != "build graph: "+want {
			t.Errorf("found %v, want %s", err, want)
		}
	}
}
