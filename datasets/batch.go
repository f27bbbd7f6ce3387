package datasets

import (
	"context"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Fill writes a batch to dst: the images of the indices, distorted at random
// unless a is nil, then normalised by p, as (len(indices), height, width,
// channels) numbers. p has the dataset's size. Its Invert plays no part: the
// images of a dataset have their final polarity.
//
// The distortion of the image at a position of the batch depends on seed, step,
// tower and that position only, so the number of threads changes nothing; what
// all images of a batch have in common depends on seed and step, and is that of
// the other towers of the step, too.
//
// dst and the indices must fit the dataset; otherwise nothing is written and the
// error says what does not.
func Fill(dst []float32, d *Dataset, indices []int, p imaging.Preprocessing, a *Augmentation, seed uint64, step int, tower string) error {
	if err := p.Validate(); err != nil {
		return errors.Wrap(err, "fill batch")
	}
	if d == nil {
		return errors.Wrap(errNil, "fill batch")
	}
	if p.Size != d.Size {
		return errors.Errorf("fill batch: the network reads images of size %v, those of dataset %s are %v", p.Size, d.Name, d.Size)
	}
	length := d.Size.Len()
	if len(dst) != len(indices)*length {
		return errors.Errorf("fill batch: found room for %d values, expected %d images of size %v = %d", len(dst), len(indices), d.Size, len(indices)*length)
	}
	for _, index := range indices {
		if index < 0 || index >= d.Len() {
			return errors.Errorf("fill batch: index %d is outside dataset %s of %d images", index, d.Name, d.Len())
		}
		if found := len(d.Images[index]); found != length {
			return errors.Errorf("fill batch: image %d of dataset %s has %d bytes, expected %d of size %v", index, d.Name, found, length, d.Size)
		}
	}
	if a != nil {
		if err := a.Validate(); err != nil {
			return errors.Wrap(err, "fill batch")
		}
	}
	var shared drawn
	if a != nil {
		shared = a.Batch.draw(d.Size, random.New(seed, "augment", step))
	}
	own := random.Seed(seed, "tower", tower)
	return parallel.Each(context.Background(), 0, len(indices), func(position int) error {
		pixels := d.Images[indices[position]]
		if a != nil {
			distorted := make([]uint8, length)
			each := a.Image.draw(d.Size, random.New(own, "augment", step, position))
			each.after(shared).apply(distorted, pixels, d.Size, a.Background)
			pixels = distorted
		}
		p.Normalize(dst[position*length:][:length], pixels)
		return nil
	})
}
