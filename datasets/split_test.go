package datasets_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"pgregory.net/rapid"
)

// anyToy draws a dataset of up to six classes of up to twelve images.
func anyToy(t *rapid.T) *datasets.Dataset {
	return toy(rapid.SliceOfN(rapid.IntRange(0, 12), 1, 6).Draw(t, "class sizes")...)
}

// checkPartition checks that every image of d is in exactly one of two parts,
// under the class that it had.
func checkPartition(t *rapid.T, d, first, second *datasets.Dataset) {
	t.Helper()
	union := append(values(first), values(second)...)
	slices.Sort(union)
	if diff := cmp.Diff(values(d), union); diff != "" {
		t.Fatalf("the parts do not make up the whole:\n%s", diff)
	}
	for _, part := range []*datasets.Dataset{first, second} {
		if err := part.Validate(); err != nil {
			t.Fatal(err)
		}
		for i, value := range values(part) {
			if got, want := part.Classes[part.Labels[i]], d.Classes[d.Labels[value]]; got != want {
				t.Fatalf("image %d became one of class %s, expected %s", value, got, want)
			}
		}
	}
}

func TestSplitSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, fraction, seed := anyToy(t), rapid.Float64Range(0, 1).Draw(t, "fraction"), rapid.Uint64().Draw(t, "seed")
		kept, held, err := d.SplitSamples(fraction, seed)
		if d.Len() == 0 {
			if err == nil {
				t.Fatal("no error for an empty dataset")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkPartition(t, d, kept, held)
		for class, images := range d.ByClass() {
			want := max(0, min(int(math.Round(fraction*float64(len(images)))), len(images)-1))
			if got := len(held.ByClass()[class]); got != want {
				t.Errorf("held out %d of %d images, expected %d", got, len(images), want)
			}
		}
		again, _, _ := d.SplitSamples(fraction, seed)
		if diff := cmp.Diff(values(kept), values(again)); diff != "" {
			t.Errorf("one seed, two splits:\n%s", diff)
		}
	})
}

func TestSplitSamplesDependsOnTheSeed(t *testing.T) {
	_, first, _ := toy(50).SplitSamples(0.5, 1)
	_, second, _ := toy(50).SplitSamples(0.5, 2)
	if cmp.Equal(values(first), values(second)) {
		t.Error("two seeds, one split")
	}
}

func TestSplitSamplesRefuses(t *testing.T) {
	for _, fraction := range []float64{-0.1, 1.1, math.NaN()} {
		_, _, err := toy(2).SplitSamples(fraction, 0)
		expectError(t, "fraction", err, nil, "expected 0 to 1")
	}
	unlabelled := toy(2)
	unlabelled.Labels = nil
	_, _, err := unlabelled.SplitSamples(0.5, 0)
	expectError(t, "no labels", err, datasets.ErrUnlabelled, "toy")
}

func TestSplitClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, count, seed := anyToy(t), rapid.IntRange(-1, 6).Draw(t, "count"), rapid.Uint64().Draw(t, "seed")
		filled := 0
		for _, images := range d.ByClass() {
			filled += min(1, len(images))
		}
		kept, held, err := d.SplitClasses(count, seed)
		if possible := count >= 1 && count < filled; possible != (err == nil) {
			t.Fatalf("%d of %d classes: %v", count, filled, err)
		}
		if err != nil {
			return
		}
		checkPartition(t, d, kept, held)
		if len(held.Classes) != count || len(kept.Classes) != filled-count {
			t.Errorf("found %d and %d classes, expected %d and %d", len(kept.Classes), len(held.Classes), filled-count, count)
		}
		for _, name := range held.Classes {
			if slices.Contains(kept.Classes, name) {
				t.Errorf("class %s is in both parts", name)
			}
		}
	})
}

func TestLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, n, seed := anyToy(t), rapid.IntRange(0, 80).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		limited := d.Limit(n, seed)
		if want := min(n, d.Len()); limited.Len() != want {
			t.Fatalf("found %d images, expected %d", limited.Len(), want)
		}
		if !slices.IsSorted(values(limited)) {
			t.Errorf("the order changed: %v", values(limited))
		}
		// Balanced: only a class that gave all it has falls more than one behind.
		most := 0
		for _, images := range limited.ByClass() {
			most = max(most, len(images))
		}
		for class, images := range limited.ByClass() {
			if len(images) < most-1 && len(images) < len(d.ByClass()[class]) {
				t.Errorf("class %d gave %d of %d images, another gave %d", class, len(images), len(d.ByClass()[class]), most)
			}
		}
	})
}

func TestLimitOfAnUnlabelledDataset(t *testing.T) {
	d := toy(9)
	d.Labels = nil
	if got := d.Limit(4, 1); got.Len() != 4 || got.Labels != nil {
		t.Errorf("found %d images", got.Len())
	}
}
