package datasets_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// ofClasses returns how many classes of d have at least the given number of
// images.
func ofClasses(d *datasets.Dataset, least int) int {
	count := 0
	for _, images := range d.ByClass() {
		if len(images) >= least {
			count++
		}
	}
	return count
}

// distinct reports whether no index comes twice.
func distinct(indices []int) bool {
	sorted := slices.Sorted(slices.Values(indices))
	return len(slices.Compact(sorted)) == len(indices)
}

func TestBalancedPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyToy(t)
		sampler, err := datasets.BalancedPairs(d)
		if possible := ofClasses(d, 1) >= 2 && ofClasses(d, 2) >= 1; possible != (err == nil) {
			t.Fatalf("classes %v: %v", d.ByClass(), err)
		}
		if err != nil {
			return
		}
		n, seed := rapid.IntRange(0, 40).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		pairs := sampler.Sample(random.New(seed), n).Pairs()
		different := 0
		for _, pair := range pairs {
			if pair.Left == pair.Right {
				t.Fatalf("%+v is one image", pair)
			}
			if pair.Different != (d.Labels[pair.Left] != d.Labels[pair.Right]) {
				t.Fatalf("%+v is of classes %d and %d", pair, d.Labels[pair.Left], d.Labels[pair.Right])
			}
			if pair.Different {
				different++
			}
		}
		if len(pairs) != n || different != n/2 {
			t.Errorf("found %d pairs, %d of them different, expected %d and %d", len(pairs), different, n, n/2)
		}
		if diff := cmp.Diff(pairs, sampler.Sample(random.New(seed), n).Pairs()); diff != "" {
			t.Errorf("one seed, two draws:\n%s", diff)
		}
	})
}

// A class of 100 images is drawn as often as one of 2: of 3000 same pairs each of
// three classes has 1000 ± 26.
func TestBalancedPairsDrawsClassesUniformly(t *testing.T) {
	d := toy(2, 10, 100)
	sampler, err := datasets.BalancedPairs(d)
	if err != nil {
		t.Fatal(err)
	}
	var same, left [3]int
	for _, pair := range sampler.Sample(random.New(1), 6000).Pairs() {
		if pair.Different {
			left[d.Labels[pair.Left]]++
		} else {
			same[d.Labels[pair.Left]]++
		}
	}
	for class := range 3 {
		if math.Abs(float64(same[class]-1000)) > 4*26 || math.Abs(float64(left[class]-1000)) > 4*26 {
			t.Errorf("class %d: %d same and %d different pairs, expected about 1000", class, same[class], left[class])
		}
	}
}

func TestRandomTriplets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyToy(t)
		sampler, err := datasets.RandomTriplets(d)
		if possible := ofClasses(d, 1) >= 2 && ofClasses(d, 2) >= 1; possible != (err == nil) {
			t.Fatalf("classes %v: %v", d.ByClass(), err)
		}
		if err != nil {
			return
		}
		n, seed := rapid.IntRange(0, 40).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		triplets := sampler.Sample(random.New(seed), n).Triplets()
		if len(triplets) != n {
			t.Errorf("found %d triplets, expected %d", len(triplets), n)
		}
		for _, triplet := range triplets {
			anchor, positive, negative := d.Labels[triplet.Anchor], d.Labels[triplet.Positive], d.Labels[triplet.Negative]
			if triplet.Anchor == triplet.Positive || anchor != positive || anchor == negative {
				t.Fatalf("%+v is of classes %d, %d and %d", triplet, anchor, positive, negative)
			}
		}
		if diff := cmp.Diff(triplets, sampler.Sample(random.New(seed), n).Triplets()); diff != "" {
			t.Errorf("one seed, two draws:\n%s", diff)
		}
	})
}

func TestSamplersSayWhatIsMissing(t *testing.T) {
	unlabeled := toy(2, 2)
	unlabeled.Labels = nil
	for _, test := range []struct {
		name     string
		d        *datasets.Dataset
		sentinel error
		mention  string
	}{
		{"one class", toy(0, 5), datasets.ErrTooFew, "one class only (b)"},
		{"one image a class", toy(1, 1, 1), datasets.ErrTooFew, "one image in each of its classes (a, b, c)"},
		{"no images", toy(), datasets.ErrTooFew, "without images"},
		{"no dataset", nil, datasets.ErrTooFew, "without images"},
		{"no labels", unlabeled, datasets.ErrUnlabeled, "toy"},
	} {
		_, err := datasets.BalancedPairs(test.d)
		expectError(t, test.name, err, test.sentinel, "balanced pairs", test.mention)
		_, err = datasets.RandomTriplets(test.d)
		expectError(t, test.name, err, test.sentinel, "random triplets", test.mention)
	}
	_, err := datasets.ClassBatches(toy(5, 1, 0), 2, 4)
	expectError(t, "class batches", err, datasets.ErrTooFew, "2 classes x 4 images", "has 1 classes of 2 images")
	_, err = datasets.ClassBatches(toy(5), 0, 4)
	expectError(t, "class batches of nothing", err, nil, "expected at least 1 x 1")
	_, err = datasets.ClassBatches(unlabeled, 2, 4)
	expectError(t, "class batches", err, datasets.ErrUnlabeled)
	_, err = datasets.NewEpisodes(toy(5, 2), 2, 1, 2)
	expectError(t, "episodes", err, datasets.ErrTooFew, "2-way", "has 1 classes of 3 images")
	_, err = datasets.NewEpisodes(toy(5, 5), 1, 1, 1)
	expectError(t, "one-way episodes", err, nil, "found way 1")
	_, err = datasets.NewEpisodes(unlabeled, 2, 1, 1)
	expectError(t, "episodes", err, datasets.ErrUnlabeled)
}

// Each listed tuple occurs ⌊n/length⌋ or ⌈n/length⌉ times.
func TestListedTuplesOccurEquallyOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length, n := rapid.IntRange(0, 9).Draw(t, "length"), rapid.IntRange(0, 40).Draw(t, "n")
		var pairs []datasets.Pair
		var triplets []datasets.Triplet
		for i := range length {
			pairs = append(pairs, datasets.Pair{Left: i, Right: i + 1, Different: i%3 == 0})
			triplets = append(triplets, datasets.Triplet{Anchor: i, Positive: i + 1, Negative: i + 2})
		}
		r := random.New(rapid.Uint64().Draw(t, "seed"))
		pairCounts, tripletCounts := map[datasets.Pair]int{}, map[datasets.Triplet]int{}
		for _, pair := range datasets.ListedPairs(pairs).Sample(r, n).Pairs() {
			pairCounts[pair]++
		}
		for _, triplet := range datasets.ListedTriplets(triplets).Sample(r, n).Triplets() {
			tripletCounts[triplet]++
		}
		drawn := 0
		for i := range length {
			least, most := n/length, (n+length-1)/length
			if count := pairCounts[pairs[i]]; count < least || count > most {
				t.Errorf("pair %d came %d times, expected %d to %d", i, count, least, most)
			}
			if count := tripletCounts[triplets[i]]; count < least || count > most {
				t.Errorf("triplet %d came %d times, expected %d to %d", i, count, least, most)
			}
			drawn += pairCounts[pairs[i]]
		}
		if length > 0 && drawn != n {
			t.Errorf("found %d pairs, expected %d", drawn, n)
		}
	})
}

func TestClassBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyToy(t)
		classes, images := rapid.IntRange(1, 6).Draw(t, "classes"), rapid.IntRange(1, 8).Draw(t, "images")
		sampler, err := datasets.ClassBatches(d, classes, images)
		if possible := ofClasses(d, min(images, 2)) >= classes; possible != (err == nil) {
			t.Fatalf("%d x %d of %v: %v", classes, images, d.ByClass(), err)
		}
		if err != nil {
			return
		}
		seed := rapid.Uint64().Draw(t, "seed")
		batch := sampler.Sample(random.New(seed), classes*images).Indices[0]
		if len(batch) != classes*images {
			t.Fatalf("found %d images, expected %d", len(batch), classes*images)
		}
		var labels []int
		for start := 0; start < len(batch); start += images {
			row := batch[start:][:images]
			label := d.Labels[row[0]]
			labels = append(labels, label)
			for _, i := range row {
				if d.Labels[i] != label {
					t.Fatalf("row %v is of several classes", row)
				}
			}
			// All images of a small class come before any comes again.
			if first := row[:min(images, len(d.ByClass()[label]))]; !distinct(first) {
				t.Fatalf("row %v of class %v repeats an image too early", row, d.ByClass()[label])
			}
		}
		if !distinct(labels) {
			t.Errorf("the classes %v repeat", labels)
		}
		if diff := cmp.Diff(batch, sampler.Sample(random.New(seed), classes*images).Indices[0]); diff != "" {
			t.Errorf("one seed, two batches:\n%s", diff)
		}
	})
}

func TestEpisodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyToy(t)
		way, shot, queries := rapid.IntRange(2, 5).Draw(t, "way"), rapid.IntRange(1, 4).Draw(t, "shot"), rapid.IntRange(1, 4).Draw(t, "queries")
		sampler, err := datasets.NewEpisodes(d, way, shot, queries)
		if possible := ofClasses(d, shot+queries) >= way; possible != (err == nil) {
			t.Fatalf("%d-way %d+%d of %v: %v", way, shot, queries, d.ByClass(), err)
		}
		if err != nil {
			return
		}
		seed := rapid.Uint64().Draw(t, "seed")
		episode := sampler.Episode(random.New(seed))
		var labels, all []int
		for class := range way {
			row := slices.Concat(episode.Support[class], episode.Queries[class])
			if len(episode.Support[class]) != shot || len(episode.Queries[class]) != queries {
				t.Fatalf("found %d examples and %d queries, expected %d and %d", len(episode.Support[class]), len(episode.Queries[class]), shot, queries)
			}
			for _, i := range row {
				if d.Labels[i] != d.Labels[row[0]] {
					t.Fatalf("row %v is of several classes", row)
				}
			}
			labels = append(labels, d.Labels[row[0]])
			all = append(all, row...)
		}
		if len(episode.Support) != way || len(episode.Queries) != way || !distinct(labels) || !distinct(all) {
			t.Errorf("%+v: expected %d different classes and no image twice", episode, way)
		}
		if diff := cmp.Diff(episode, sampler.Episode(random.New(seed))); diff != "" {
			t.Errorf("one seed, two episodes:\n%s", diff)
		}
	})
}

// alphabets is a dataset of groups of the given numbers of classes, each of two
// images.
func alphabets(sizes ...int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "alphabets", Size: onePixel}
	for group, size := range sizes {
		for class := range size {
			d.Classes = append(d.Classes, fmt.Sprintf("%c/%d", 'A'+group, class))
			for range 2 {
				d.Labels = append(d.Labels, len(d.Classes)-1)
				d.Images = append(d.Images, []uint8{uint8(d.Len())})
			}
		}
	}
	return d
}

// counts is how many classes of each group a batch has.
func counts(t *testing.T, d *datasets.Dataset, batch []int) map[string]int {
	t.Helper()
	classes := map[int]int{}
	for _, image := range batch {
		classes[d.Labels[image]]++
	}
	groups := map[string]int{}
	for class, images := range classes {
		if images != 2 {
			t.Fatalf("class %s comes %d times, expected twice", d.Classes[class], images)
		}
		groups[datasets.GroupOf(d.Classes[class])]++
	}
	return groups
}

// A batch has as much of one group as there is, and then of another.
func TestGroupBatches(t *testing.T) {
	d := alphabets(6, 3, 1)
	sampler, err := datasets.GroupBatches(d, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	const n = 3000
	for i := range n {
		groups := counts(t, d, sampler.Sample(random.New(uint64(i)), 8).Indices[0])
		switch {
		case groups["A"] == 4:
			first["A"]++
		case groups["B"] == 3 && groups["A"]+groups["C"] == 1:
			first["B"]++
		case groups["C"] == 1 && groups["A"]+groups["B"] == 3:
			first["C"]++
		default:
			t.Fatalf("found %v", groups)
		}
	}
	// Groups come first in proportion to their sizes, 6 : 3 : 1; a group that
	// fills up looks like one that begins where C and A or B meet.
	if share := float64(first["A"]) / n; math.Abs(share-0.6) > 0.03 {
		t.Errorf("the largest group begins %v of the batches, expected 0.6", share)
	}
}

func TestGroupBatchesRefuse(t *testing.T) {
	_, err := datasets.GroupBatches(alphabets(2, 1), 4, 2)
	expectError(t, "too few classes", err, datasets.ErrTooFew, "4 classes x 2 images")
}

// labeled are images of one pixel, whose values are 10, 20, …
func labeledPoints(labels ...int) *datasets.Dataset {
	d := &datasets.Dataset{Size: imaging.Size{Height: 1, Width: 1, Channels: 1}, Classes: []string{"a", "b", "c", "d"}, Labels: labels}
	for i := range labels {
		d.Images = append(d.Images, []uint8{uint8(10 * (i + 1))})
	}
	return d
}

// Each episode asks one image of each of its classes, and shows another.
func TestOneShotTrials(t *testing.T) {
	images := labeledPoints(0, 1, 2, 3, 0, 1, 2, 0) // d has one image and takes no part
	const way, episodes = 2, 50
	drawn, err := datasets.OneShotTrials(images, way, episodes, 1, "stream")
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn) != way*episodes {
		t.Fatalf("found %d trials, expected %d", len(drawn), way*episodes)
	}
	for i, trial := range drawn {
		if trial.Answer != i%way || len(trial.Support) != way || !cmp.Equal(trial.Support, drawn[i/way*way].Support) {
			t.Errorf("trial %d: found answer %d of %d classes, %v", i, trial.Answer, len(trial.Support), trial.Support)
		}
		for class, support := range trial.Support {
			same := images.Labels[support[0]] == images.Labels[trial.Query]
			if len(support) != 1 || support[0] == trial.Query || same != (class == trial.Answer) {
				t.Errorf("trial %d: found support %v for query %d, whose class is number %d", i, trial.Support, trial.Query, trial.Answer)
			}
		}
	}
	if again, _ := datasets.OneShotTrials(images, way, episodes, 1, "stream"); !cmp.Equal(drawn, again) {
		t.Error("one seed and stream gave two draws")
	}
	if other, _ := datasets.OneShotTrials(images, way, episodes, 1, "other"); cmp.Equal(drawn, other) {
		t.Error("two streams gave the same draw")
	}
	if _, err := datasets.OneShotTrials(images, 4, 1, 1, "stream"); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("4 ways of 3 classes: found error %v, expected ErrTooFew", err)
	}
}

func TestPopulated(t *testing.T) {
	for _, test := range []struct {
		labels []int
		want   int
	}{{nil, 0}, {[]int{0, 1, 2}, 0}, {[]int{0, 1, 0}, 1}, {[]int{0, 1, 0, 3, 3, 3, 1}, 3}} {
		if found := labeledPoints(test.labels...).Populated(2); found != test.want {
			t.Errorf("labels %v: found %d, expected %d", test.labels, found, test.want)
		}
	}
}

// A batch of labeled images has as many images of each class as asked for, and
// where there are too few classes for that, more images of all of them.
func TestFitBatch(t *testing.T) {
	d := toy(12, 12, 12)
	for _, test := range []struct{ batch, perClass, classes, each int }{{12, 0, 3, 4}, {8, 4, 2, 4}, {9, 4, 2, 4}, {32, 4, 3, 10}, {6, 2, 3, 2}} {
		classes, each, err := datasets.FitBatch(d, test.batch, test.perClass)
		if err != nil || classes != test.classes || each != test.each {
			t.Errorf("%+v: found %d x %d, %v", test, classes, each, err)
		}
	}
	for message, test := range map[string]struct{ batch, perClass int }{
		"found a batch of 0, expected at least 1":                                     {0, 4},
		"a batch of 7 images with 4 of each class has 1, expected at least 2 classes": {7, 4},
		"found 1 image of each class, expected at least 2":                            {32, 1},
	} {
		_, _, err := datasets.FitBatch(d, test.batch, test.perClass)
		expectError(t, message, err, nil, message)
	}
}

// Every kind has a sampler of its own kind, whose tuples have as many images as the
// kind says.
func TestDefaultSampler(t *testing.T) {
	d := toy(4, 4, 4)
	for kind, images := range map[datasets.Kind]int{datasets.Pairs: 2, datasets.Triplets: 3, datasets.Labeled: 1} {
		sampler, err := datasets.DefaultSampler(kind, d, 12, 0)
		if err != nil {
			t.Fatal(err)
		}
		drawn := sampler.Sample(random.New(1), 12)
		if sampler.Kind() != kind || len(drawn.Indices) != images || drawn.Len() != 12 || sampler.Identity() == "" || (len(drawn.Pairs()) > 0) != (kind == datasets.Pairs) || (len(drawn.Triplets()) > 0) != (kind == datasets.Triplets) {
			t.Errorf("%v: found %+v of %T", kind, drawn, sampler)
		}
	}
	if _, err := datasets.DefaultSampler(7, d, 12, 0); err == nil {
		t.Error("an unknown kind: found no error")
	}
}
