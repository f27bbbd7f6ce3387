package report

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// The protocol describes all tests. By hand: four classes of five images have 4·10
// same-class pairs, hence 80 balanced pairs, and 80 choices of a support image and a
// query, enough for 20 episodes with four queries; six classes of three images have
// 6·3 same-class pairs, hence 36 balanced pairs.
func TestProtocol(t *testing.T) {
	const want = "Four patterns were held out" +
		"; nearest neighbor of 12 test images among 36 training images" +
		"; verification of 80 balanced pairs of unseen classes" +
		"; threshold from 36 balanced pairs of the validation images" +
		"; 4-way one-shot over 20 episodes of unseen classes" +
		"; retrieval among 20 images of the unseen classes"
	p := newPlan(t, experiment(), 1)
	if diff := cmp.Diff(want, p.Protocol); diff != "" {
		t.Errorf("protocol (-want +found):\n%s", diff)
	}
	if len(p.testPairs) != 80 || len(p.thresholdPairs) != 36 || len(p.trials) != 80 {
		t.Errorf("found %d and %d pairs, %d trials", len(p.testPairs), len(p.thresholdPairs), len(p.trials))
	}
	different := 0
	for _, pair := range p.testPairs {
		if pair.Different != (p.unseen.Labels[pair.Left] != p.unseen.Labels[pair.Right]) || pair.Left == pair.Right {
			t.Errorf("pair %v is of the classes %d and %d", pair, p.unseen.Labels[pair.Left], p.unseen.Labels[pair.Right])
		}
		if pair.Different {
			different++
		}
	}
	if different != 40 {
		t.Errorf("found %d different pairs of 80, expected 40", different)
	}
}

// With enough data the tests have their maximum sizes.
func TestFullSizes(t *testing.T) {
	const want = "; verification of 10000 balanced pairs of unseen classes" +
		"; 20-way one-shot over 1000 episodes of unseen classes" +
		"; retrieval among 3000 images of the unseen classes" +
		"; clusters of 990 of these images, of 30 classes"
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(30, 110, 2, "unseen")}, 1)
	if diff := cmp.Diff(want, p.Protocol); diff != "" {
		t.Errorf("protocol (-want +found):\n%s", diff)
	}
}

func TestPlanDependsOnSeed(t *testing.T) {
	p, again, other := newPlan(t, experiment(), 1), newPlan(t, experiment(), 1), newPlan(t, experiment(), 2)
	if diff := cmp.Diff(p, again, cmp.AllowUnexported(Plan{})); diff != "" {
		t.Errorf("plans of one seed:\n%s", diff)
	}
	if cmp.Equal(p.testPairs, other.testPairs) || cmp.Equal(p.thresholdPairs, other.thresholdPairs) || cmp.Equal(p.trials, other.trials) {
		t.Error("plans of two seeds have the same trials")
	}
}

// Without unseen classes the test images of the training classes are used, and the
// protocol states it.
func TestNoUnseenClasses(t *testing.T) {
	const want = "Four patterns were held out" +
		"; nearest neighbor of 12 test images among 36 training images" +
		"; verification of 12 balanced pairs of test images of the training classes" +
		"; threshold from 36 balanced pairs of the validation images" +
		"; 6-way one-shot over 2 episodes of test images of the training classes" +
		"; retrieval among 12 images of the test images of the training classes"
	e := experiment()
	e.Unseen = nil
	p := newPlan(t, e, 1)
	if diff := cmp.Diff(want, p.Protocol); diff != "" {
		t.Errorf("protocol (-want +found):\n%s", diff)
	}
	if r := measure(t, p); len(r.Metrics) != len(titles) {
		t.Errorf("found %d figures, expected %d", len(r.Metrics), len(titles))
	}
}

// Tests with too few classes or images are omitted, and the protocol states it.
func TestScarceData(t *testing.T) {
	one := []string{knnAccuracy}
	noThreshold := []string{clusterAMI, knnAccuracy, mapAtR, reciprocalRank, discountedGain, clusterNMI, oneShotAccuracy, precisionAt5, recallAt1, verificationAUC, verificationEER}
	fourImages := slices.DeleteFunc(slices.Clone(noThreshold), func(name string) bool { return name == precisionAt5 })
	for _, test := range []struct {
		name  string
		spoil func(*datasets.Experiment)
		want  []string
	}{
		{"one unseen class", func(e *datasets.Experiment) { e.Unseen = noisy(1, 9, 2, "unseen") }, one},
		{"one image a class", func(e *datasets.Experiment) { e.Unseen = noisy(9, 1, 2, "unseen") }, one},
		{"no test images", func(e *datasets.Experiment) { e.Unseen, e.Seen = nil, nil }, nil},
		{"no validation images", func(e *datasets.Experiment) { e.Validation = nil }, noThreshold},
		{"one validation image a class", func(e *datasets.Experiment) { e.Validation = noisy(6, 1, 1, "validation") }, noThreshold},
		{"two classes of two", func(e *datasets.Experiment) { e.Unseen, e.Validation = noisy(2, 2, 2, "unseen"), nil }, fourImages},
	} {
		e := experiment()
		test.spoil(&e)
		p := newPlan(t, e, 1)
		if strings.Contains(p.Protocol, "fewer than two classes") != (len(test.want) == 1) {
			t.Errorf("%s: found protocol %q", test.name, p.Protocol)
		}
		r := measure(t, p)
		if diff := cmp.Diff(test.want, names(r)); diff != "" {
			t.Errorf("%s: figures (-want +found):\n%s", test.name, diff)
		}
		if (r.Threshold != nil) != (r.Metrics[verificationAccuracy] != Figure{}) {
			t.Errorf("%s: found threshold %v and figures %v", test.name, r.Threshold, names(r))
		}
	}
}

// With very many classes, retrieval uses some of them, so that each has several images.
func TestRetrievalAmongManyClasses(t *testing.T) {
	p := newPlan(t, datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(3500, 2, 2, "unseen")}, 1)
	if found := p.retrieval.Populated(2); p.retrieval.Len() != 1500 || found != 750 {
		t.Errorf("found %d images, and %d classes of two or more, expected 1500 and 750", p.retrieval.Len(), found)
	}
}

func TestPlanOfListedPairs(t *testing.T) {
	images := noisy(2, 3, 1, "listed")
	list := &datasets.PairList{Dataset: images, Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 3, Different: true}, {Left: 5, Right: 4}}}
	for _, test := range []struct {
		validation, test *datasets.PairList
		protocol         string
		want             []string
	}{
		{list, list, "listed pairs; verification of 3 listed test pairs; threshold from 3 listed validation pairs", []string{verificationAccuracy, verificationAUC, verificationEER}},
		{nil, list, "listed pairs; verification of 3 listed test pairs", []string{verificationAUC, verificationEER}},
		{list, nil, "listed pairs", nil},
		{nil, nil, "listed pairs", nil},
	} {
		p := NewPairPlan(test.validation, test.test)
		if p.Protocol != test.protocol {
			t.Errorf("found protocol %q, expected %q", p.Protocol, test.protocol)
		}
		if diff := cmp.Diff(test.want, names(measure(t, p))); diff != "" {
			t.Errorf("figures (-want +found):\n%s", diff)
		}
	}
}

// Progress increases up to the total, and the figures do not depend on it.
func TestProgress(t *testing.T) {
	many := &datasets.PairList{Dataset: noisy(2, 600, 2, "listed"), Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 1199, Different: true}}}
	for name, p := range map[string]*Plan{"little": newPlan(t, experiment(), 1), "more than one portion": NewPairPlan(nil, many)} {
		t.Run(name, func(t *testing.T) {
			trained, untrained := newModel(t, 1), newModel(t, 2)
			silent, _, err := p.MeasureWithEvidence(trained, untrained)
			if err != nil {
				t.Fatal(err)
			}
			last, totals := 0, map[int]bool{}
			p.Progress = func(done, total int) {
				if done <= last || done > total {
					t.Errorf("found %d of %d after %d", done, total, last)
				}
				last, totals[total] = done, true
			}
			reported, _, err := p.MeasureWithEvidence(trained, untrained)
			if err != nil {
				t.Fatal(err)
			}
			if len(totals) != 1 || !totals[last] {
				t.Errorf("found %d at the end, expected one of %v", last, totals)
			}
			if diff := cmp.Diff(silent, reported); diff != "" {
				t.Errorf("figures (-without +with progress):\n%s", diff)
			}
			last = 0
			if _, err := p.Measure(trained, untrained); err != nil {
				t.Fatal(err)
			}
			if total := 3 * p.embeddings(); last != total {
				t.Errorf("found %d at the end of Measure, expected %d", last, total)
			}
		})
	}
}

// counted counts how often each image is read.
type counted struct {
	*datasets.Dataset
	reads []atomic.Int64
}

func (c *counted) Read(i int, pixels []uint8) error {
	c.reads[i].Add(1)
	return c.Dataset.Read(i, pixels)
}

// Tests share images, and each contender embeds an image once. The map is made of the images
// themselves, which are read for it once more.
func TestImagesAreEmbeddedOnce(t *testing.T) {
	e := experiment()
	e.Unseen = noisy(30, 5, 2, "unseen") // more classes than there are on a map
	sources := map[string]*counted{}
	for name, part := range map[string]**datasets.Dataset{"train": &e.Train, "validation": &e.Validation, "seen": &e.Seen, "unseen": &e.Unseen} {
		source := &counted{*part, make([]atomic.Int64, (*part).Len())}
		outside := **part
		outside.Images, outside.From, outside.Indices = nil, source, make([]int, len(source.reads))
		for i := range outside.Indices {
			outside.Indices[i] = i
		}
		*part, sources[name] = &outside, source
	}
	inMemory := experiment()
	inMemory.Unseen = noisy(30, 5, 2, "unseen")
	want, _, err := newPlan(t, inMemory, 1).MeasureWithEvidence(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(t, e, 1)
	p.Pretrained = newModel(t, 3)
	found, evidence, err := p.MeasureWithEvidence(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range sources {
		most := int64(0)
		for i := range source.reads {
			most = max(most, source.reads[i].Load())
		}
		expected := int64(4)
		if name == "unseen" {
			expected++
		}
		if most != expected {
			t.Errorf("%s: found an image that was read %d times, expected %d", name, most, expected)
		}
	}
	if evidence.Map.Images.Len() != 100 {
		t.Errorf("found %d images on the map, expected 100", evidence.Map.Images.Len())
	}
	for name, figure := range found.Metrics {
		if in := want.Metrics[name]; figure.Value != in.Value || figure.Untrained != in.Untrained || figure.Pixels != in.Pixels {
			t.Errorf("%s: found %v, expected %v as of images in memory", name, figure, in)
		}
	}
}

// unread is the source of so many images that no test reads.
type unread struct {
	datasets.Images
	size imaging.Size
}

func (u unread) ImageSize() imaging.Size { return u.size }

// sized is an experiment with images of another size, none of which is in memory.
func sized(e datasets.Experiment, s imaging.Size) datasets.Experiment {
	for _, part := range []**datasets.Dataset{&e.Train, &e.Validation, &e.Seen, &e.Unseen} {
		if *part != nil {
			large := **part
			large.Size, large.Images, large.From, large.Indices = s, nil, unread{*part, s}, make([]int, (*part).Len())
			*part = &large
		}
	}
	return e
}

// Of large images a test uses some, which the protocol says; of others, all.
func TestLargeImagesAreLimited(t *testing.T) {
	all := datasets.Experiment{
		Train: noisy(6, 100, 1, "train"), Validation: noisy(6, 60, 1, "validation"), Seen: noisy(6, 80, 1, "seen"), Unseen: noisy(150, 5, 2, "unseen"), Protocol: "Patterns.",
	}
	large, small := imaging.Size{Height: 129, Width: 128, Channels: 3}, imaging.Size{Height: 128, Width: 128, Channels: 3}
	count := func(p *Plan) []int {
		return []int{p.references.Len(), p.validation.Len(), p.seen.Len(), p.unseen.Len(), p.retrieval.Len(), p.unseen.Populated(4)}
	}
	p := newPlan(t, sized(all, large), 1)
	if diff := cmp.Diff([]int{400, 300, 400, 600, 600, 150}, count(p)); diff != "" { // four of each unseen class
		t.Errorf("large images (-want +found):\n%s", diff)
	}
	const said = "Patterns; measured on 300 of the 360 validation images; measured on 400 of the 480 test images of the training classes; " +
		"measured on 600 of the 750 images of unseen classes; nearest neighbor of 400 test images among 400 training images; "
	if !strings.HasPrefix(p.Protocol, said) {
		t.Errorf("found protocol %q, expected it to begin with %q", p.Protocol, said)
	}
	if again := newPlan(t, sized(all, large), 1); !slices.Equal(again.testPairs, p.testPairs) || again.Protocol != p.Protocol {
		t.Error("the same seed draws another test")
	}
	p = newPlan(t, sized(all, small), 1)
	if diff := cmp.Diff([]int{600, 360, 480, 750, 750, 150}, count(p)); diff != "" {
		t.Errorf("small images (-want +found):\n%s", diff)
	}
	if strings.Contains(p.Protocol, "measured on") {
		t.Errorf("found protocol %q, expected no limits", p.Protocol)
	}
}

// runs are one-shot tasks of two classes each, whose images are those of noisy classes.
func runs(count int) (runs []datasets.OneShotRun) {
	for r := range count {
		d := noisy(2, 2, uint64(10+r), "run")
		runs = append(runs, datasets.OneShotRun{
			Name: fmt.Sprintf("run%02d", r+1), Training: [][]uint8{d.Images[0], d.Images[2]},
			Test: [][]uint8{d.Images[3], d.Images[1]}, Answers: []int{1, 0},
		})
	}
	return runs
}

// By hand: 3 runs of 2 trials, with a pair of one class and one of two for each. The
// only other class of a run is the wrong one.
func TestRunsPlan(t *testing.T) {
	published := []Published{{Metric: oneShotAccuracy, Name: "people", Value: 0.955}, {Metric: oneShotAccuracy, Name: "Koch", Value: 0.92, Trained: "30 alphabets"}}
	p, err := NewRunsPlan(noisy(6, 6, 1, "train"), runs(3), 1, published)
	if err != nil {
		t.Fatal(err)
	}
	want := "train: trained on 36 images of 6 classes; one-shot accuracy over the 6 trials of 3 runs (Lake et al. 2015), with characters of other alphabets; " +
		"verification of 12 pairs of images of one run; threshold from 180 balanced pairs of the training images"
	if p.Protocol != want {
		t.Errorf("found protocol\n%s, expected\n%s", p.Protocol, want)
	}
	if diff := cmp.Diff([]datasets.Pair{{Left: 2, Right: 1}, {Left: 2, Right: 0, Different: true}, {Left: 3, Right: 0}, {Left: 3, Right: 1, Different: true}}, p.testPairs[:4]); diff != "" {
		t.Errorf("pairs (-want +found):\n%s", diff)
	}
	report, evidence, err := p.MeasureWithEvidence(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{oneShotAccuracy, verificationAccuracy, verificationAUC, verificationEER}, names(report)); diff != "" {
		t.Errorf("figures (-want +found):\n%s", diff)
	}
	if evidence.Retrieval != nil || evidence.Verification == nil || evidence.Map.Images.Len() != 12 {
		t.Errorf("found evidence %+v", evidence)
	}
	// The interval resamples three runs, and not six images.
	embeddings, err := network{newModel(t, 1)}.embed(p.unseen, nil)
	if err != nil {
		t.Fatal(err)
	}
	euclidean, err := heads.L2{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	score, err := evaluate.OneShot(euclidean, embeddings, p.trials, evaluate.MeanDistance)
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := score.Clustered([]int{0, 0, 1, 1, 2, 2})
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Metrics[oneShotAccuracy]; f.Value != clustered.Value || f.Low != clustered.Low || f.High != clustered.High {
		t.Errorf("found %v, expected %v", f, clustered)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if want := "\npublished, one-shot accuracy: people 95.5, Koch 92.0 (30 alphabets)\n"; !strings.Contains(table.String(), want) {
		t.Errorf("found\n%s, expected %q", table.String(), want)
	}
	if _, err := NewRunsPlan(nil, runs(3), 1, nil); err == nil {
		t.Error("no error without training images")
	}
	if _, err := NewRunsPlan(noisy(6, 6, 1, "train"), nil, 1, nil); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("no runs: found %v, expected %v", err, datasets.ErrTooFew)
	}
}

// Of many classes 50 are clustered, with some images of each if there are too many, and the protocol
// states it; of few images all are.
func TestClusteredImages(t *testing.T) {
	for _, test := range []struct {
		classes, each, want int
		protocol            string
	}{
		{4, 5, 20, ""},
		{60, 3, 150, "; clusters of 150 of these images, of 50 classes"},
		{10, 110, 1000, "; clusters of 1000 of these images, of 10 classes"},
	} {
		e := experiment()
		e.Unseen = noisy(test.classes, test.each, 2, "unseen")
		p := newPlan(t, e, 1)
		if len(p.clustered) != test.want || !slices.IsSorted(p.clustered) || len(slices.Compact(slices.Clone(p.clustered))) != test.want {
			t.Errorf("%d classes of %d: found %d images, expected %d different ones in order", test.classes, test.each, len(p.clustered), test.want)
		}
		if _, found, _ := strings.Cut(p.Protocol, "images of the unseen classes"); found != test.protocol {
			t.Errorf("%d classes of %d: found the protocol %q, expected %q", test.classes, test.each, found, test.protocol)
		}
		counts := map[int]int{}
		for _, row := range p.clustered {
			counts[p.retrieval.Labels[row]]++
		}
		for class, count := range counts {
			if want := test.want / len(counts); count != want {
				t.Errorf("%d classes of %d: class %d has %d images, expected %d", test.classes, test.each, class, count, want)
			}
		}
	}
}
