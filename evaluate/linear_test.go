package evaluate_test

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// separable has a class about each corner of a triangle.
func separable(seed uint64, rows int, spread float32) evaluate.Labeled {
	set := evaluate.Labeled{Embeddings: normal(seed, rows, 2)}
	for i := range rows {
		row, class := set.Row(i), i%3
		row[0], row[1] = spread*row[0]+10*float32(class%2), spread*row[1]+10*float32(class/2)
		set.Labels = append(set.Labels, 100-class)
	}
	return set
}

func TestLinearClassifierSeparatesTheSeparable(t *testing.T) {
	var classifier evaluate.LinearClassifier
	if err := classifier.Fit(separable(1, 90, 0.5)); err != nil {
		t.Fatal(err)
	}
	test := separable(2, 60, 0.5)
	score := must(classifier.Accuracy(test))(t)
	expect(t, "accuracy", score.Estimate, evaluate.Wilson(60, 60))
	expect(t, "classes", must(classifier.Predict(test.Embeddings))(t), test.Labels)
}

// A circle inside a ring: no plane parts them, so that the best is the class
// with more embeddings.
func TestLinearClassifierCannotBend(t *testing.T) {
	set := evaluate.Labeled{Embeddings: normal(3, 1000, 2)}
	for i := range set.Rows {
		x, y := set.Row(i)[0], set.Row(i)[1]
		outside := 0
		if x*x+y*y > 0.5 {
			outside = 1
		}
		set.Labels = append(set.Labels, outside)
	}
	var classifier evaluate.LinearClassifier
	if err := classifier.Fit(set); err != nil {
		t.Fatal(err)
	}
	ring := 0.0
	for _, label := range set.Labels {
		ring += float64(label) / 1000
	}
	if score := must(classifier.Accuracy(set))(t); score.Value > ring+0.02 {
		t.Errorf("accuracy is %v, but the larger class has only %v", score, ring)
	}
}

// Columns are standardized, so that their scale and origin are of no account.
func TestLinearClassifierIgnoresTheScaleOfColumns(t *testing.T) {
	set := separable(5, 90, 8) // the classes overlap
	accuracy := func(scale, shift float32) evaluate.Score {
		scaled := evaluate.Labeled{Embeddings: set.Select(makeRange(set.Rows)), Labels: set.Labels}
		for i := range set.Rows {
			scaled.Row(i)[1] = scale*scaled.Row(i)[1] + shift
		}
		var classifier evaluate.LinearClassifier
		if err := classifier.Fit(scaled); err != nil {
			t.Fatal(err)
		}
		return must(classifier.Accuracy(scaled))(t)
	}
	want := accuracy(1, 0)
	if want.Value < 0.5 || want.Value > 0.95 {
		t.Errorf("accuracy is %v, where this test tells nothing", want)
	}
	for _, scale := range []float32{1000, -2, 1e-3} {
		for _, shift := range []float32{0, 50} {
			expect(t, "accuracy of scaled columns", accuracy(scale, shift), want)
		}
	}
}

func TestLinearClassifierRefuses(t *testing.T) {
	set := separable(1, 9, 1)
	var classifier evaluate.LinearClassifier
	if _, err := classifier.Predict(set.Embeddings); !errors.Is(err, evaluate.ErrNotFitted) {
		t.Errorf("got error %v, want ErrNotFitted", err)
	}
	oneClass := evaluate.Labeled{Embeddings: set.Embeddings, Labels: make([]int, 9)}
	negative := evaluate.LinearClassifier{Regularization: -1}
	fitted := new(evaluate.LinearClassifier)
	if err := fitted.Fit(set); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"at least two classes":       classifier.Fit(oneClass),
		"regularization is -1":       negative.Fit(set),
		"fitted to 2 columns, but t": second(fitted.Predict(line(1, 2, 3))),
		"found a nil classifier":     (*evaluate.LinearClassifier)(nil).Fit(set),
		"embeddings of 0 rows":       second(fitted.Predict(evaluate.Embeddings{})),
		"is not fitted":              second(classifier.Accuracy(set)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
