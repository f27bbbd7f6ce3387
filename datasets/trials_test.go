package datasets_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// labelled are images of one pixel, whose values are 10, 20, …
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
