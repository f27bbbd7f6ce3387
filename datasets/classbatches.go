package datasets

import (
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
)

// ClassBatches draws batches of P classes × K images, from which losses that
// compare all images of a batch choose their tuples (Hermans, Beyer & Leibe
// 2017, "In Defense of the Triplet Loss", section 2).
type ClassBatches struct {
	Classes, Images int // P and K

	candidates [][]int
	groups     [][]int // indices into candidates; nil where classes come from anywhere
}

// NewClassBatches returns a sampler of the given numbers of classes and of
// images of each. Where images is above one, classes of one image take no part:
// they would be compared with themselves. It is ErrTooFew when fewer classes are
// left than a batch has.
func NewClassBatches(d *Dataset, classes, images int) (*ClassBatches, error) {
	if classes < 1 || images < 1 {
		return nil, errors.Errorf("class batches: found %d classes x %d images, expected at least 1 x 1", classes, images)
	}
	if err := d.labelled(); err != nil {
		return nil, errors.Wrap(err, "class batches")
	}
	b := &ClassBatches{Classes: classes, Images: images, candidates: classesOf(d, min(images, 2))}
	if len(b.candidates) < classes {
		return nil, errors.Wrapf(ErrTooFew, "class batches of %d classes x %d images: dataset %s has %d classes of %d images or more",
			classes, images, d.Name, len(b.candidates), min(images, 2))
	}
	return b, nil
}

// NewGroupBatches is NewClassBatches with the classes of a batch from one group,
// see Dataset.Groups: the characters of one alphabet are harder to tell apart
// than those of many. Groups are drawn in proportion to their numbers of classes.
// One that has too few is followed by another, until the batch is full.
func NewGroupBatches(d *Dataset, classes, images int) (*ClassBatches, error) {
	b, err := NewClassBatches(d, classes, images)
	if err != nil {
		return nil, err
	}
	position := map[string]int{}
	for i, candidate := range b.candidates {
		name := GroupOf(d.Classes[d.Labels[candidate[0]]])
		at, known := position[name]
		if !known {
			at = len(b.groups)
			position[name] = at
			b.groups = append(b.groups, nil)
		}
		b.groups[at] = append(b.groups[at], i)
	}
	return b, nil
}

// Batch returns the Classes × Images indices of a batch, class by class. The
// classes of a batch are different, and so are the images of a class, except
// that a class of fewer than Images is drawn from again when all its images are
// in. It returns nil where r is nil, or where the sampler was not made by
// NewClassBatches or NewGroupBatches, or Classes or Images have been changed to what
// the dataset does not have.
func (b *ClassBatches) Batch(r *rand.Rand) []int {
	if b == nil || r == nil || b.Classes < 1 || b.Images < 1 || b.Classes > len(b.candidates) {
		return nil
	}
	batch := make([]int, 0, b.Classes*b.Images)
	for _, class := range b.draw(r) {
		batch = append(batch, drawListed(r, b.candidates[class], b.Images)...)
	}
	return batch
}

// draw returns the classes of a batch.
func (b *ClassBatches) draw(r *rand.Rand) []int {
	if b.groups == nil {
		return choose(r, len(b.candidates), b.Classes)
	}
	drawn := make([]int, 0, b.Classes)
	left := slices.Clone(b.groups)
	for count := len(b.candidates); len(drawn) < b.Classes; {
		class, at := r.IntN(count), 0
		for class >= len(left[at]) {
			class -= len(left[at])
			at++
		}
		group := left[at]
		for _, i := range choose(r, len(group), min(len(group), b.Classes-len(drawn))) {
			drawn = append(drawn, group[i])
		}
		count -= len(group)
		left = slices.Delete(left, at, at+1)
	}
	return drawn
}

// classesOf returns the images of each class that has at least the given number
// of them.
func classesOf(d *Dataset, least int) [][]int {
	var classes [][]int
	for _, images := range d.ByClass() {
		if len(images) >= least {
			classes = append(classes, images)
		}
	}
	return classes
}
