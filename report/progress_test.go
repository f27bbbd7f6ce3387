package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
)

// What is told grows to the total, which is reached; and the figures are those
// without a word.
func TestProgress(t *testing.T) {
	many := datasets.Experiment{Train: noisy(2, 2, 1, "train"), Unseen: noisy(30, 50, 2, "unseen"), Validation: noisy(6, 3, 1, "validation")}
	for name, e := range map[string]datasets.Experiment{"little": experiment(), "more than one portion": many} {
		t.Run(name, func(t *testing.T) {
			trained, untrained := newModel(t, 1), newModel(t, 2)
			p := newPlan(t, e, 1)
			silent, _, err := p.Examine(trained, untrained)
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
			told, _, err := p.Examine(trained, untrained)
			if err != nil {
				t.Fatal(err)
			}
			if len(totals) != 1 || !totals[last] {
				t.Errorf("the last word was %d of %v", last, totals)
			}
			if diff := cmp.Diff(silent, told); diff != "" {
				t.Errorf("figures without and with a word:\n%s", diff)
			}
			last = 0
			if _, err := p.Measure(trained, untrained); err != nil {
				t.Fatal(err)
			}
			if most := 3 * p.contested(); last != most {
				t.Errorf("the last word of Measure was %d, expected %d", last, most)
			}
		})
	}
}
