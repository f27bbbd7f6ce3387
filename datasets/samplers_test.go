package datasets_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
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

// distinct says whether no index comes twice.
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
		pairs := sampler.Pairs(random.New(seed), n)
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
		if diff := cmp.Diff(pairs, sampler.Pairs(random.New(seed), n)); diff != "" {
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
	for _, pair := range sampler.Pairs(random.New(1), 6000) {
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
		triplets := sampler.Triplets(random.New(seed), n)
		if len(triplets) != n {
			t.Errorf("found %d triplets, expected %d", len(triplets), n)
		}
		for _, triplet := range triplets {
			anchor, positive, negative := d.Labels[triplet.Anchor], d.Labels[triplet.Positive], d.Labels[triplet.Negative]
			if triplet.Anchor == triplet.Positive || anchor != positive || anchor == negative {
				t.Fatalf("%+v is of classes %d, %d and %d", triplet, anchor, positive, negative)
			}
		}
		if diff := cmp.Diff(triplets, sampler.Triplets(random.New(seed), n)); diff != "" {
			t.Errorf("one seed, two draws:\n%s", diff)
		}
	})
}

func TestSamplersSayWhatIsMissing(t *testing.T) {
	unlabelled := toy(2, 2)
	unlabelled.Labels = nil
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
		{"no labels", unlabelled, datasets.ErrUnlabelled, "toy"},
	} {
		_, err := datasets.BalancedPairs(test.d)
		expectError(t, test.name, err, test.sentinel, "balanced pairs", test.mention)
		_, err = datasets.RandomTriplets(test.d)
		expectError(t, test.name, err, test.sentinel, "random triplets", test.mention)
	}
	_, err := datasets.NewClassBatches(toy(5, 1, 0), 2, 4)
	expectError(t, "class batches", err, datasets.ErrTooFew, "2 classes x 4 images", "has 1 classes of 2 images")
	_, err = datasets.NewClassBatches(toy(5), 0, 4)
	expectError(t, "class batches of nothing", err, nil, "expected at least 1 x 1")
	_, err = datasets.NewClassBatches(unlabelled, 2, 4)
	expectError(t, "class batches", err, datasets.ErrUnlabelled)
	_, err = datasets.NewEpisodes(toy(5, 2), 2, 1, 2)
	expectError(t, "episodes", err, datasets.ErrTooFew, "2-way", "has 1 classes of 3 images")
	_, err = datasets.NewEpisodes(toy(5, 5), 1, 1, 1)
	expectError(t, "one-way episodes", err, nil, "found way 1")
	_, err = datasets.NewEpisodes(unlabelled, 2, 1, 1)
	expectError(t, "episodes", err, datasets.ErrUnlabelled)
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
		for _, pair := range datasets.ListedPairs(pairs).Pairs(r, n) {
			pairCounts[pair]++
		}
		for _, triplet := range datasets.ListedTriplets(triplets).Triplets(r, n) {
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
		sampler, err := datasets.NewClassBatches(d, classes, images)
		if possible := ofClasses(d, min(images, 2)) >= classes; possible != (err == nil) {
			t.Fatalf("%d x %d of %v: %v", classes, images, d.ByClass(), err)
		}
		if err != nil {
			return
		}
		seed := rapid.Uint64().Draw(t, "seed")
		batch := sampler.Batch(random.New(seed))
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
		if diff := cmp.Diff(batch, sampler.Batch(random.New(seed))); diff != "" {
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
