package datasets

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Limit returns at most n images, as evenly from all classes as they allow and
// drawn at random, in the order that they have in d. An unlabelled dataset is
// drawn from as if it were one class.
func (d *Dataset) Limit(n int, seed uint64) *Dataset {
	if d == nil || n >= d.Len() {
		return d
	}
	r := random.New(seed, "limit")
	queues := d.ByClass()
	if d.Labels == nil {
		queues = [][]int{r.Perm(d.Len())}
	}
	for _, queue := range queues {
		shuffle(r, queue)
	}
	shuffle(r, queues) // which classes get one more, where n does not divide evenly
	var chosen []int
	for round, more := 0, true; more && len(chosen) < n; round++ {
		more = false // images without a label are in no queue
		for _, queue := range queues {
			if round < len(queue) && len(chosen) < n {
				chosen, more = append(chosen, queue[round]), true
			}
		}
	}
	slices.Sort(chosen)
	return d.Subset(chosen)
}

// SplitSamples holds out the given fraction of the images of each class, drawn
// at random and rounded to the nearest number, but never the last image of a
// class. Both parts keep all classes, and the order of d.
func (d *Dataset) SplitSamples(fraction float64, seed uint64) (kept, heldOut *Dataset, err error) {
	if err := d.labelled(); err != nil {
		return nil, nil, errors.Wrap(err, "split samples")
	}
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, errors.Errorf("split samples of %s: found the fraction %v, expected 0 to 1", d.Name, fraction)
	}
	held := make([]bool, d.Len())
	for class, images := range d.ByClass() {
		count := min(int(math.Round(fraction*float64(len(images)))), len(images)-1)
		shuffle(random.New(seed, "split samples", class), images)
		for _, i := range images[:max(0, count)] {
			held[i] = true
		}
	}
	var first, second []int
	for i := range held {
		if held[i] {
			second = append(second, i)
		} else {
			first = append(first, i)
		}
	}
	return d.Subset(first), d.Subset(second), nil
}

// SplitClasses holds out count of the classes that have images, drawn at random.
// Each part has its own classes, with the labels renumbered as OnlyClasses does.
// It is ErrTooFew unless each part gets at least one class.
func (d *Dataset) SplitClasses(count int, seed uint64) (kept, heldOut *Dataset, err error) {
	if err := d.labelled(); err != nil {
		return nil, nil, errors.Wrap(err, "split classes")
	}
	names := d.present()
	if count < 1 || count >= len(names) {
		return nil, nil, errors.Wrapf(ErrTooFew, "split classes of %s: hold out %d of %d classes", d.Name, count, len(names))
	}
	chosen := slices.Clone(names)
	shuffle(random.New(seed, "split classes"), chosen)
	held := intersection(names, chosen[:count])
	return d.relabel(difference(names, held)), d.relabel(held), nil
}
