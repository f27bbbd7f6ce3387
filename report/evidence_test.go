package report

import (
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
)

func examine(t *testing.T, p *Plan) (Report, *Evidence) {
	t.Helper()
	r, e, err := p.MeasureWithEvidence(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	return r, e
}

// Evidence belongs to the trials of the figures, and the report is that of Measure.
func TestEvidenceMatchesFigures(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	r, e := examine(t, p)
	if diff := cmp.Diff(measure(t, p), r); diff != "" {
		t.Errorf("reports (-Measure +MeasureWithEvidence):\n%s", diff)
	}
	if e.Kind != "unseen classes" || *e.Verification.Threshold != *r.Threshold {
		t.Errorf("found %q and threshold %v, expected unseen classes and %v", e.Kind, *e.Verification.Threshold, *r.Threshold)
	}
	auc := r.Metrics[verificationAUC]
	want := []float64{auc.Value, auc.Untrained, auc.Pixels}
	found := []float64{e.Verification.Trained.AreaUnderCurve(), e.Verification.Untrained.AreaUnderCurve(), e.Verification.Pixels.AreaUnderCurve()}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("AUC (-report +evidence):\n%s", diff)
	}
	between := modelSpace(t, newModel(t, 1))
	for i, pair := range e.Verification.Pairs {
		images := e.Verification.Images.Images
		if want := between(images[pair.Left], images[pair.Right]); math.Abs(e.Verification.Distances[i]-want) > 1e-5 {
			t.Errorf("pair %d: found distance %v, expected %v", i, e.Verification.Distances[i], want)
		}
	}
}

// Hardest agrees with sorting all distinct pairs.
func TestHardestAgainstSorting(t *testing.T) {
	_, e := examine(t, newPlan(t, experiment(), 1))
	v := *e.Verification
	v.Pairs = append(slices.Clone(v.Pairs), v.Pairs...) // every pair occurs twice, the second time swapped
	v.Distances = append(slices.Clone(v.Distances), v.Distances...)
	for i := len(v.Pairs) / 2; i < len(v.Pairs); i++ {
		v.Pairs[i].Left, v.Pairs[i].Right = v.Pairs[i].Right, v.Pairs[i].Left
	}
	distances := map[bool]map[[2]int]float64{false: {}, true: {}} // by kind and images
	for i, pair := range v.Pairs {
		distances[pair.Different][[2]int{min(pair.Left, pair.Right), max(pair.Left, pair.Right)}] = v.Distances[i]
	}
	const n = 7
	same, different := v.Hardest(n)
	for _, kind := range []struct {
		different bool
		found     []int
		before    func(a, b float64) bool
	}{{false, same, func(a, b float64) bool { return a > b }}, {true, different, func(a, b float64) bool { return a < b }}} {
		var want, found []float64
		for _, d := range distances[kind.different] {
			want = append(want, d)
		}
		sort.Slice(want, func(i, j int) bool { return kind.before(want[i], want[j]) })
		for _, i := range kind.found {
			if v.Pairs[i].Different != kind.different {
				t.Errorf("pair %d is among those with different = %v", i, kind.different)
			}
			found = append(found, v.Distances[i])
		}
		if diff := cmp.Diff(want[:n], found); diff != "" {
			t.Errorf("different = %v (-sorted +found):\n%s", kind.different, diff)
		}
	}
	if all, others := v.Hardest(1000); len(all) != len(distances[false]) || len(others) != len(distances[true]) {
		t.Errorf("of all: found %d and %d, expected %d and %d", len(all), len(others), len(distances[false]), len(distances[true]))
	}
}

// Ties are in the order of drawing, so that equal seeds give equal pages.
func TestHardestTies(t *testing.T) {
	v := VerificationEvidence{
		Pairs:     []datasets.Pair{{Left: 3, Right: 1}, {Left: 0, Right: 1}, {Left: 1, Right: 3}, {Left: 2, Right: 4, Different: true}, {Left: 2, Right: 3, Different: true}},
		Distances: []float64{1, 1, 1, 1, 1},
	}
	same, different := v.Hardest(5)
	if diff := cmp.Diff([2][]int{{0, 1}, {3, 4}}, [2][]int{same, different}); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}

// A query without a hit among its five nearest images is an error of recall@1, too.
func TestRetrievalMisses(t *testing.T) {
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(8, 3, 2, "unseen")}, 1)
	r, e := examine(t, p)
	if e.Retrieval.Queries != 24 || e.Retrieval.Depth != 5 {
		t.Errorf("found %d queries at %d, expected 24 at 5", e.Retrieval.Queries, e.Retrieval.Depth)
	}
	if len(e.Retrieval.Misses) == 0 {
		t.Fatal("found no misses, expected some of such noisy images")
	}
	if recall := r.Metrics[recallAt1].Value; recall > 1-float64(len(e.Retrieval.Misses))/24+1e-9 {
		t.Errorf("found %d misses and recall@1 %v", len(e.Retrieval.Misses), recall)
	}
	for _, miss := range e.Retrieval.Misses {
		for _, neighbor := range miss.Nearest {
			if e.Retrieval.Images.Labels[neighbor.Row] == e.Retrieval.Images.Labels[miss.Query] {
				t.Errorf("query %d missed, but image %d is of its class", miss.Query, neighbor.Row)
			}
		}
	}
}

// A map has the test images with the model's distances; of many classes it has all
// images of some of them.
func TestMapEvidence(t *testing.T) {
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(30, 30, 2, "unseen")}, 1)
	p.testPairs, p.trials, p.retrieval = nil, nil, nil // no map depends on them
	_, e := examine(t, p)
	if classes := e.Map.Images.Populated(2); e.Map.Images.Len() != 500 || classes != 20 {
		t.Errorf("found %d images of %d classes, expected 500 of 20", e.Map.Images.Len(), classes)
	}
	between := modelSpace(t, newModel(t, 1))
	chance := random.New(1, "images")
	for range 100 {
		i, j := chance.IntN(500), chance.IntN(500)
		want := between(e.Map.Images.Images[i], e.Map.Images.Images[j])
		if diff := cmp.Diff(want, e.Map.Distances[500*i+j], cmpopts.EquateApprox(0, 1e-5)); diff != "" {
			t.Errorf("images %d and %d (-want +found):\n%s", i, j, diff)
		}
	}
}

// Evidence lacks the parts for which the plan has no images.
func TestPartialEvidence(t *testing.T) {
	images := noisy(2, 3, 1, "listed")
	images.Labels, images.Classes = nil, nil
	list := &datasets.PairList{Dataset: images, Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 3, Different: true}}}
	_, e := examine(t, NewPairPlan(nil, list))
	if e.Kind != "listed test pairs" || e.Verification == nil || e.Verification.Threshold != nil || e.Retrieval != nil || e.Map.Images.Len() != 6 {
		t.Errorf("of listed pairs found %+v", e)
	}
	for name, p := range map[string]*Plan{
		"no list":       NewPairPlan(list, nil),
		"no test":       newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train")}, 1),
		"one class":     newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(1, 9, 2, "unseen")}, 1),
		"seen, too few": newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Seen: noisy(2, 1, 1, "seen")}, 1),
	} {
		_, e := examine(t, p)
		if e.Verification != nil || e.Retrieval != nil || e.Map != nil {
			t.Errorf("%s: found %+v", name, e)
		}
	}
}

func TestMeasureWithEvidenceErrors(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	r, e, err := p.MeasureWithEvidence(nil, newModel(t, 2))
	if err == nil || !strings.Contains(err.Error(), "measure the trained network") || e != nil || r.Metrics != nil {
		t.Errorf("found %v, %v, error %v", r, e, err)
	}
}
