package datasets_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// part is a dataset of the given classes with so many images each, whose sources
// name the part, the class and the image.
func part(name string, images int, classes ...string) *datasets.Dataset {
	d := &datasets.Dataset{Name: name, Size: onePixel, Classes: classes, Labels: []int{}}
	for label, class := range classes {
		for i := range images {
			d.Labels = append(d.Labels, label)
			d.Images = append(d.Images, []uint8{0})
			d.Sources = append(d.Sources, fmt.Sprintf("%s/%s/%d", name, class, i))
		}
	}
	return d
}

// numbered is the classes prefix0, prefix1, …
func numbered(prefix string, count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s%02d", prefix, i))
	}
	return names
}

// classesIn returns the classes that have images, sorted.
func classesIn(d *datasets.Dataset) []string {
	var names []string
	if d != nil {
		for class, images := range d.ByClass() {
			if len(images) > 0 {
				names = append(names, d.Classes[class])
			}
		}
	}
	slices.Sort(names)
	return names
}

func length(d *datasets.Dataset) int {
	if d == nil {
		return 0
	}
	return d.Len()
}

// checkExperiment checks what an experiment promises, whatever its data.
func checkExperiment(t interface {
	Helper()
	Errorf(string, ...any)
}, e datasets.Experiment) {
	t.Helper()
	seen := map[string]string{}
	for _, part := range []struct {
		name string
		d    *datasets.Dataset
	}{{"train", e.Train}, {"validation", e.Validation}, {"validation classes", e.ValidationClasses}, {"seen", e.Seen}, {"unseen", e.Unseen}} {
		if part.d == nil {
			continue
		}
		if part.d.Len() == 0 {
			t.Errorf("%s is empty, expected nil", part.name)
		}
		if err := part.d.Validate(); err != nil {
			t.Errorf("%v", err)
		}
		if !strings.HasSuffix(part.d.Name, " "+part.name) {
			t.Errorf("%s is called %q", part.name, part.d.Name)
		}
		for i, source := range part.d.Sources {
			if before, twice := seen[source]; twice {
				t.Errorf("%s is in %s and in %s", source, before, part.name)
			}
			seen[source] = part.name
			if class := part.d.Classes[part.d.Labels[i]]; !strings.Contains(source, "/"+class+"/") {
				t.Errorf("%s became an image of class %s", source, class)
			}
		}
	}
	for _, pair := range [][2]*datasets.Dataset{
		{e.Train, e.ValidationClasses}, {e.Train, e.Unseen}, {e.Validation, e.ValidationClasses}, {e.Validation, e.Unseen},
		{e.ValidationClasses, e.Seen}, {e.ValidationClasses, e.Unseen}, {e.Seen, e.Unseen},
	} {
		for _, class := range classesIn(pair[0]) {
			if slices.Contains(classesIn(pair[1]), class) {
				t.Errorf("class %s is in %s and in %s", class, pair[0].Name, pair[1].Name)
			}
		}
	}
	for _, d := range []*datasets.Dataset{e.Validation, e.Seen} {
		if d != nil && !slices.Equal(d.Classes, e.Train.Classes) {
			t.Errorf("%s has other classes than %s", d.Name, e.Train.Name)
		}
	}
	if !slices.Equal(classesIn(e.Train), slices.Sorted(slices.Values(e.Train.Classes))) {
		t.Errorf("some training class has no images")
	}
}

func TestExperimentKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := append(numbered("Greek/", 12), numbered("Latin/", 12)...)
		pool = append(pool, numbered("plain", 6)...)
		draw := func(name string) *datasets.Dataset {
			classes := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 30, rapid.ID[string]).Draw(t, name)
			return part(name, rapid.IntRange(1, 12).Draw(t, name+" images"), classes...)
		}
		splits := datasets.Splits{Name: "any", Train: draw("train")}
		if rapid.Bool().Draw(t, "has a test part") {
			splits.Test = draw("test")
		}
		if rapid.Bool().Draw(t, "has a validation part") {
			splits.Validation = draw("validation")
		}
		fraction := rapid.SampledFrom([]float64{0, 0.1, 0.5, 0.9})
		o := datasets.ExperimentOptions{
			UnseenFraction:     fraction.Draw(t, "unseen"),
			ValidationFraction: fraction.Draw(t, "validation fraction"),
			TestFraction:       fraction.Draw(t, "test fraction"),
			Seed:               rapid.Uint64().Draw(t, "seed"),
		}
		if rapid.Bool().Draw(t, "names unseen classes") {
			o.UnseenClasses = rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 3, rapid.ID[string]).Draw(t, "unseen classes")
		}
		if len(o.UnseenClasses) == 0 && o.UnseenFraction == 0 {
			o.NoUnseen = rapid.Bool().Draw(t, "no unseen classes")
		}
		e, err := splits.Experiment(o)
		if errors.Is(err, datasets.ErrUnknownClass) || errors.Is(err, datasets.ErrTooFew) {
			return // a class that is not there, or none left
		}
		if err != nil {
			t.Fatal(err)
		}
		checkExperiment(t, e)
		if !strings.HasPrefix(e.Protocol, fmt.Sprintf("any: trained on %d images", e.Train.Len())) || !strings.HasSuffix(e.Protocol, fmt.Sprintf("; seed %d.", o.Seed)) {
			t.Errorf("found the protocol %q", e.Protocol)
		}
		again, err := splits.Experiment(o)
		if diff := cmp.Diff(e, again); diff != "" || err != nil {
			t.Errorf("one seed, two experiments: %v\n%s", err, diff)
		}
	})
}

func TestExperimentHoldsOutTheLastDigits(t *testing.T) {
	digits := strings.Split("0123456789", "")
	splits := datasets.Splits{Name: "digits", Train: part("train", 20, digits...), Test: part("test", 5, digits...)}
	e, err := splits.Experiment(datasets.ExperimentOptions{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	checkExperiment(t, e)
	if diff := cmp.Diff([]string{"7", "8", "9"}, classesIn(e.Unseen)); diff != "" {
		t.Error(diff)
	}
	// A tenth of the 20 images of each of 7 classes go to Validation.
	if e.Train.Len() != 7*18 || e.Validation.Len() != 7*2 || e.Seen.Len() != 7*5 || e.Unseen.Len() != 3*5 || e.ValidationClasses != nil {
		t.Errorf("found %s", e.Protocol)
	}
	want := "digits: trained on 126 images of 7 classes; 14 other images of 7 of these classes held out for validation; " +
		"tested on 35 other images of 7 of the training classes; " +
		"tested on 15 images of 3 classes that training and validation never saw (7, 8, 9); seed 3."
	if diff := cmp.Diff(want, e.Protocol); diff != "" {
		t.Error(diff)
	}
}

func TestExperimentOnAllClasses(t *testing.T) {
	digits := strings.Split("0123456789", "")
	splits := datasets.Splits{Name: "digits", Train: part("train", 10, digits...), Test: part("test", 5, digits...)}
	if _, err := splits.Experiment(datasets.ExperimentOptions{UnseenClasses: []string{}}); err == nil || !strings.Contains(err.Error(), "NoUnseen") {
		t.Errorf("an empty list of unseen classes: found the error %v, expected one that names NoUnseen", err)
	}
	e, err := splits.Experiment(datasets.ExperimentOptions{NoUnseen: true})
	if err != nil {
		t.Fatal(err)
	}
	if e.Unseen != nil || len(e.Train.Classes) != 10 || e.Seen.Len() != 50 {
		t.Errorf("found %s", e.Protocol)
	}
}

func TestExperimentWithChosenClasses(t *testing.T) {
	splits := datasets.Splits{Name: "letters", Train: part("train", 10, "a", "b", "c", "d"), Test: part("test", 5, "a", "b", "c", "x")}
	e, err := splits.Experiment(datasets.ExperimentOptions{UnseenClasses: []string{"b"}})
	if err != nil {
		t.Fatal(err)
	}
	checkExperiment(t, e)
	// x is unseen in any case; d, which has no test images, is trained on.
	if diff := cmp.Diff([]string{"b", "x"}, classesIn(e.Unseen)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "c", "d"}, classesIn(e.Train)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "c"}, classesIn(e.Seen)); diff != "" {
		t.Error(diff)
	}
	for _, class := range []string{"z", "d"} {
		_, err = splits.Experiment(datasets.ExperimentOptions{UnseenClasses: []string{class}})
		expectError(t, "no test images of "+class, err, datasets.ErrUnknownClass, "letters", fmt.Sprintf("%q", class), "a, b, c, x")
	}
}

// The classes that only Test has are the unseen ones, as in Omniglot, and the
// classes to select models on are whole alphabets: one of ten.
func TestExperimentWithNewClassesInTest(t *testing.T) {
	var background []string
	for alphabet := range 10 {
		background = append(background, numbered(fmt.Sprintf("Alphabet%d/", alphabet), 2+alphabet%3)...)
	}
	splits := datasets.Splits{Name: "omniglot", Train: part("train", 20, background...), Test: part("test", 20, numbered("New/", 5)...)}
	e, err := splits.Experiment(datasets.ExperimentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkExperiment(t, e)
	if len(e.Unseen.Classes) != 5 || e.Seen != nil {
		t.Errorf("found %s", e.Protocol)
	}
	if groups := e.ValidationClasses.Groups(); len(groups) != 1 {
		t.Errorf("found parts of %d alphabets held out, expected one alphabet", len(groups))
	}
	held := strings.SplitAfter(e.ValidationClasses.Classes[0], "/")[0]
	for _, class := range e.Train.Classes {
		if strings.HasPrefix(class, held) {
			t.Errorf("%s is trained on, but its alphabet is held out", class)
		}
	}
}

func TestExperimentWithoutATestPart(t *testing.T) {
	for _, test := range []struct{ classes, unseen, validation int }{
		{1, 0, 0}, {3, 0, 0}, {4, 2, 0}, {10, 3, 0}, {26, 7, 0}, {28, 7, 2}, {40, 10, 3},
	} {
		splits := datasets.Splits{Name: "folders", Train: part("train", 10, numbered("class", test.classes)...)}
		e, err := splits.Experiment(datasets.ExperimentOptions{Seed: 9})
		if err != nil {
			t.Fatal(err)
		}
		checkExperiment(t, e)
		if got := len(classesIn(e.Unseen)); got != test.unseen {
			t.Errorf("%d classes: %d unseen, expected %d", test.classes, got, test.unseen)
		}
		if got := len(classesIn(e.ValidationClasses)); got != test.validation {
			t.Errorf("%d classes: %d to validate on, expected %d", test.classes, got, test.validation)
		}
		// Of 10 images 2 go to Seen and a tenth of the other 8 to Validation.
		trained := test.classes - test.unseen - test.validation
		if e.Seen.Len() != 2*trained || e.Validation.Len() != trained || e.Train.Len() != 7*trained {
			t.Errorf("found %s", e.Protocol)
		}
	}
}

func TestExperimentWithAValidationPart(t *testing.T) {
	splits := datasets.Splits{
		Name:       "letters",
		Train:      part("train", 10, "a", "b"),
		Validation: part("validation", 4, "a", "m", "x"),
		Test:       part("test", 5, "a", "b", "x"),
	}
	e, err := splits.Experiment(datasets.ExperimentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkExperiment(t, e)
	if e.Train.Len() != 20 || e.Validation.Len() != 4 {
		t.Errorf("found %s; expected the given validation images and all training images", e.Protocol)
	}
	// x is tested on and so not for selection.
	if diff := cmp.Diff([]string{"m"}, classesIn(e.ValidationClasses)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"x"}, classesIn(e.Unseen)); diff != "" {
		t.Error(diff)
	}
}

func TestExperimentFractions(t *testing.T) {
	splits := datasets.Splits{Name: "folders", Train: part("train", 10, numbered("class", 10)...)}
	e, err := splits.Experiment(datasets.ExperimentOptions{UnseenFraction: 0.5, ValidationFraction: 0.25, TestFraction: 0.6})
	if err != nil {
		t.Fatal(err)
	}
	checkExperiment(t, e)
	if len(e.Train.Classes) != 5 || e.Seen.Len() != 5*6 || e.Validation.Len() != 5*1 || length(e.Unseen) != 50 {
		t.Errorf("found %s", e.Protocol)
	}
	// Of 40 classes 10 are unseen, and a fifth of the other 30 are for validation; of 26 classes, of which 19
	// remain, none.
	for classes, want := range map[int]int{40: 6, 26: 0} {
		splits := datasets.Splits{Name: "folders", Train: part("train", 10, numbered("class", classes)...)}
		e, err := splits.Experiment(datasets.ExperimentOptions{ValidationClassesFraction: 0.2})
		if err != nil {
			t.Fatal(err)
		}
		checkExperiment(t, e)
		if got := len(classesIn(e.ValidationClasses)); got != want {
			t.Errorf("a fifth for validation: found %d of %d classes, expected %d", got, classes, want)
		}
	}
	for _, o := range []datasets.ExperimentOptions{{UnseenFraction: 1}, {ValidationFraction: -0.1}, {ValidationClassesFraction: 1}, {TestFraction: 2}} {
		_, err := splits.Experiment(o)
		expectError(t, fmt.Sprint(o), err, nil, "expected 0 to below 1")
	}
}

func TestExperimentRefuses(t *testing.T) {
	_, err := datasets.Splits{Name: "nothing"}.Experiment(datasets.ExperimentOptions{})
	expectError(t, "no training images", err, datasets.ErrTooFew, "nothing")
	splits := datasets.Splits{Name: "one", Train: part("train", 3, "a")}
	_, err = splits.Experiment(datasets.ExperimentOptions{UnseenClasses: []string{"a"}})
	expectError(t, "no class left", err, datasets.ErrTooFew, "no class is left to train on")
	splits.Train.Labels = nil
	_, err = splits.Experiment(datasets.ExperimentOptions{})
	expectError(t, "no labels", err, datasets.ErrUnlabeled)
	splits = datasets.Splits{Name: "spoilt", Train: part("train", 3, "a"), Test: part("test", 3, "a")}
	splits.Test.Labels[0] = 7
	_, err = splits.Experiment(datasets.ExperimentOptions{})
	expectError(t, "a label that is not there", err, nil, "label 7")
}

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
	unlabeled := toy(2)
	unlabeled.Labels = nil
	_, _, err := unlabeled.SplitSamples(0.5, 0)
	expectError(t, "no labels", err, datasets.ErrUnlabeled, "toy")
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

func TestLimitOfAnUnlabeledDataset(t *testing.T) {
	d := toy(9)
	d.Labels = nil
	if got := d.Limit(4, 1); got.Len() != 4 || got.Labels != nil {
		t.Errorf("found %d images", got.Len())
	}
}
