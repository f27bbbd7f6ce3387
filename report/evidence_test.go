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
	r, e, err := p.Examine(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	return r, e
}

// Evidence is of the trials that the figures are of, and its report is the one
// of Measure.
func TestEvidenceIsOfTheFigures(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	r, e := examine(t, p)
	if diff := cmp.Diff(measure(t, p), r); diff != "" {
		t.Errorf("reports (-Measure +Examine):\n%s", diff)
	}
	if e.Kind != "unseen classes" || *e.Verified.Threshold != *r.Threshold {
		t.Errorf("found %q and threshold %v, expected unseen classes and %v", e.Kind, *e.Verified.Threshold, *r.Threshold)
	}
	auc := r.Metrics[verificationAUC]
	want := []float64{auc.Value, auc.Untrained, auc.Pixels}
	found := []float64{e.Verified.Trained.AreaUnderCurve(), e.Verified.Untrained.AreaUnderCurve(), e.Verified.Pixels.AreaUnderCurve()}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("AUC (-report +evidence):\n%s", diff)
	}
	between := modelSpace(t, newModel(t, 1))
	for i, pair := range e.Verified.Pairs {
		images := e.Verified.Images.Images
		if want := between(images[pair.Left], images[pair.Right]); math.Abs(e.Verified.Distances[i]-want) > 1e-5 {
			t.Errorf("pair %d: found distance %v, expected %v", i, e.Verified.Distances[i], want)
		}
	}
}

// The hardest pairs are those of a sort of all pairs, each counted once.
func TestHardestIsANaiveSort(t *testing.T) {
	_, e := examine(t, newPlan(t, experiment(), 1))
	v := *e.Verified
	v.Pairs = append(slices.Clone(v.Pairs), v.Pairs...) // every pair comes again, the other way round
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

// Of equally hard pairs the first drawn comes first, so that one seed shows one
// page.
func TestHardestOfEquals(t *testing.T) {
	v := Verified{
		Pairs:     []datasets.Pair{{Left: 3, Right: 1}, {Left: 0, Right: 1}, {Left: 1, Right: 3}, {Left: 2, Right: 4, Different: true}, {Left: 2, Right: 3, Different: true}},
		Distances: []float64{1, 1, 1, 1, 1},
	}
	same, different := v.Hardest(5)
	if diff := cmp.Diff([2][]int{{0, 1}, {3, 4}}, [2][]int{same, different}); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}

// A query that finds nothing among five is worth nothing in recall among one.
func TestRetrievedMisses(t *testing.T) {
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(8, 3, 2, "unseen")}, 1)
	r, e := examine(t, p)
	if e.Retrieved.Queries != 24 || e.Retrieved.Depth != 5 {
		t.Errorf("found %d queries at %d, expected 24 at 5", e.Retrieved.Queries, e.Retrieved.Depth)
	}
	if len(e.Retrieved.Misses) == 0 {
		t.Fatal("these images are so noisy that there should be misses")
	}
	if recall := r.Metrics[recallAt1].Value; recall > 1-float64(len(e.Retrieved.Misses))/24+1e-9 {
		t.Errorf("found %d misses and recall@1 %v", len(e.Retrieved.Misses), recall)
	}
	for _, miss := range e.Retrieved.Misses {
		for _, neighbour := range miss.Nearest {
			if e.Retrieved.Images.Labels[neighbour.Row] == e.Retrieved.Images.Labels[miss.Query] {
				t.Errorf("query %d missed, but image %d is of its class", miss.Query, neighbour.Row)
			}
		}
	}
}

// A map shows the test images with the distances of the model; of many classes
// some, whole.
func TestShown(t *testing.T) {
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(30, 30, 2, "unseen")}, 1)
	_, e := examine(t, p)
	if classes := e.Shown.Images.Populated(2); e.Shown.Images.Len() != 500 || classes != 20 {
		t.Errorf("found %d images of %d classes, expected 500 of 20", e.Shown.Images.Len(), classes)
	}
	between := modelSpace(t, newModel(t, 1))
	chance := random.New(1, "images")
	for range 100 {
		i, j := chance.IntN(500), chance.IntN(500)
		want := between(e.Shown.Images.Images[i], e.Shown.Images.Images[j])
		if diff := cmp.Diff(want, e.Shown.Distances[500*i+j], cmpopts.EquateApprox(0, 1e-5)); diff != "" {
			t.Errorf("images %d and %d (-want +found):\n%s", i, j, diff)
		}
	}
}

// What the plan has no trials for, evidence has nothing of.
func TestEvidenceOfListsAndOfNothing(t *testing.T) {
	images := noisy(2, 3, 1, "listed")
	images.Labels, images.Classes = nil, nil
	list := &datasets.PairList{Dataset: images, Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 3, Different: true}}}
	_, e := examine(t, PlanOf(nil, list))
	if e.Kind != "listed test pairs" || e.Verified == nil || e.Verified.Threshold != nil || e.Retrieved != nil || e.Shown.Images.Len() != 6 {
		t.Errorf("of listed pairs found %+v", e)
	}
	for name, p := range map[string]*Plan{
		"no list":       PlanOf(list, nil),
		"no test":       newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train")}, 1),
		"one class":     newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(1, 9, 2, "unseen")}, 1),
		"seen, too few": newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Seen: noisy(2, 1, 1, "seen")}, 1),
	} {
		_, e := examine(t, p)
		if e.Verified != nil || e.Retrieved != nil || e.Shown != nil {
			t.Errorf("%s: found %+v", name, e)
		}
	}
}

func TestExamineRefuses(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	r, e, err := p.Examine(nil, newModel(t, 2))
	if err == nil || !strings.Contains(err.Error(), "measure the trained network") || e != nil || r.Metrics != nil {
		t.Errorf("found %v, %v, error %v", r, e, err)
	}
}
