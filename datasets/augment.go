package datasets

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Distortion distorts an image at random: by an elastic deformation, then by an affine
// transformation, then by a change of the stroke width. The zero value changes nothing.
type Distortion struct {
	Affine  Affine  `toml:"affine"`
	Elastic Elastic `toml:"elastic"`
	Stroke  Stroke  `toml:"stroke" json:",omitzero"` // checkpoints from before it have none
}

// Augmentation is the random augmentation of the images of a batch.
type Augmentation struct {
	// Image is drawn for each image independently.
	Image Distortion `toml:"image"`
	// Batch is drawn once for all images of a batch and is applied first. The images of a
	// batch then look like classes of their own, such as another alphabet, which gives
	// more classes to train on. It suits losses that compare only the images of a batch
	// with each other.
	Batch Distortion `toml:"batch"`
	// Background is the value of pixels outside the image, in every channel, 0 to 255.
	Background uint8 `toml:"background"`
	// Photo is drawn for each image independently.
	Photo Photo `toml:"photo" json:",omitzero"` // checkpoints from before it have none
}

// EachImage returns an augmentation that transforms each image independently, with the
// probability of the transformation.
func EachImage(a Affine) *Augmentation {
	return &Augmentation{Image: Distortion{Affine: a}}
}

// Validate returns an error for a field outside its range, and for a distortion that is
// set but has the probability 0, with which it would have no effect.
func (a Augmentation) Validate() error {
	for _, part := range []struct {
		name string
		Distortion
	}{{"image", a.Image}, {"batch", a.Batch}} {
		err := part.validate()
		if err == nil {
			err = part.checkProbabilities()
		}
		if err != nil {
			return errors.Wrap(err, part.name)
		}
	}
	return a.Photo.Validate()
}

func (d Distortion) validate() error {
	if err := d.Affine.Validate(); err != nil {
		return err
	}
	if err := d.Elastic.Validate(); err != nil {
		return err
	}
	return d.Stroke.Validate()
}

// checkProbabilities returns an error for a part that is set but never applied.
func (d Distortion) checkProbabilities() error {
	switch affine := d.Affine; {
	case affine.Probability == 0 && (affine.Rotation != 0 || affine.Shear != 0 || affine.Translation != 0 || affine.ScaleMin != affine.ScaleMax):
		return errors.Errorf("affine transformation %+v: found the probability 0, with which it has no effect: set Probability, such as 1", affine)
	case d.Elastic.Probability == 0 && d.Elastic.Displacement != 0:
		return errors.Errorf("elastic deformation %+v: found the probability 0, with which it has no effect: set Probability, such as 1", d.Elastic)
	case d.Stroke.Probability == 0 && (d.Stroke.Min != 0 || d.Stroke.Max != 0):
		return errors.Errorf("stroke %+v: found the probability 0, with which it has no effect: set Probability, such as 1", d.Stroke)
	}
	return nil
}

// Apply writes a random distortion of src to dst, both (height, width, channels) bytes of
// the given size. The elastic deformation and the affine transformation are composed, so
// that the image is resampled once, bilinearly. If the distortion or the size is not
// valid, dst or src does not have the length of the size, or r is nil, dst is unchanged.
func (d Distortion) Apply(dst, src []uint8, size imaging.Size, background uint8, r *rand.Rand) {
	if d.validate() != nil || size.Validate() != nil || len(dst) != size.Len() || len(src) != size.Len() || r == nil {
		return
	}
	d.draw(size, r).apply(dst, src, size, background)
}

// drawn is a distortion that has been drawn.
type drawn struct {
	warp   imaging.Warp
	growth float64 // of strokes, in pixels on each side
}

func (d Distortion) draw(size imaging.Size, r *rand.Rand) drawn {
	w := imaging.Warp{d.Affine.draw(r)}
	if f := d.Elastic.draw(max(size.Height, size.Width), r); f != nil {
		w = append(w, f)
	}
	return drawn{w, d.Stroke.draw(r)}
}

// after is d applied to the result of another distortion.
func (d drawn) after(first drawn) drawn {
	return drawn{append(d.warp, first.warp...), d.growth + first.growth}
}

func (d drawn) apply(dst, src []uint8, size imaging.Size, background uint8) {
	imaging.Resample(dst, src, size, background, d.warp)
	grow(dst, size, d.growth)
}

// Fill writes a batch to dst: the images of the indices, augmented at random unless a is
// nil, then normalized by p, as (len(indices), height, width, channels) numbers. The size
// of p must be that of the images. Its Invert is ignored: the images of a dataset have
// their final polarity. Images are read in parallel, at most 64 at a time. A random resized
// crop takes its pixels from the original if the images have it, see Originals.
//
// The augmentation of an image depends only on seed, step, tower and the position in the
// batch, and not on the number of threads. The augmentation that all images of a batch
// share depends only on seed and step, and is the same in all towers of the step.
//
// If dst or the indices do not fit the images, an error is returned and nothing is
// written. If an image cannot be read, a part of dst may have been written.
func Fill(dst []float32, images Images, indices []int, p imaging.Preprocessing, a *Augmentation, seed uint64, step int, tower string) error {
	return fill(dst, images, indices, func(i int) int { return i }, p, a, seed, step, tower)
}

// FillRows is Fill for some images of a batch: those at the given positions of the indices of the
// whole batch, in this order. Each is what Fill writes at its position, so several processes
// can share a batch.
func FillRows(dst []float32, images Images, indices, positions []int, p imaging.Preprocessing, a *Augmentation, seed uint64, step int, tower string) error {
	own := make([]int, len(positions))
	for i, position := range positions {
		if position < 0 || position >= len(indices) {
			return errors.Errorf("fill batch: found the position %d, expected one of %d images", position, len(indices))
		}
		own[i] = indices[position]
	}
	return fill(dst, images, own, func(i int) int { return positions[i] }, p, a, seed, step, tower)
}

// fill is Fill for images at some positions of a batch.
func fill(dst []float32, images Images, indices []int, positionOf func(i int) int, p imaging.Preprocessing, a *Augmentation, seed uint64, step int, tower string) error {
	if err := checkFill(dst, images, indices, p, a); err != nil {
		return errors.Wrap(err, "fill batch")
	}
	size := images.ImageSize()
	var shared drawn
	if a != nil {
		shared = a.Batch.draw(size, random.New(seed, "augment", step))
	}
	own := random.Seed(seed, "tower", tower)
	length := size.Len()
	return errors.Wrap(parallel.Each(context.Background(), parallel.MaxOpenFiles, len(indices), func(i int) error {
		position := positionOf(i)
		memory := takeScratch(2 * length)
		defer scratch.Put(memory)
		pixels, spare := (*memory)[:length], (*memory)[length:][:length]
		var photo drawnPhoto
		var err error
		if a == nil || a.Photo == (Photo{}) {
			err = readImage(images, indices[i], pixels)
		} else {
			photo, err = a.Photo.read(pixels, spare, images, indices[i], random.New(own, "photo", step, position))
		}
		if err != nil {
			return err
		}
		if a != nil && (a.Image != Distortion{} || a.Batch != Distortion{}) {
			each := a.Image.draw(size, random.New(own, "augment", step, position))
			each.after(shared).apply(spare, pixels, size, a.Background)
			pixels = spare
		}
		if err := photo.recolor(pixels, size); err != nil {
			return err
		}
		p.Normalize(dst[i*length:][:length], pixels)
		erase(dst[i*length:][:length], size, photo.erased)
		return nil
	}), "fill batch")
}

func checkFill(dst []float32, images Images, indices []int, p imaging.Preprocessing, a *Augmentation) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if isNil(images) {
		return errNil
	}
	size := images.ImageSize()
	if p.Size != size {
		return errors.Errorf("the network reads images of size %v, those of %s are %v", p.Size, nameOf(images), size)
	}
	if len(dst) != len(indices)*size.Len() {
		return errors.Errorf("found room for %d values, expected %d images of size %v = %d", len(dst), len(indices), size, len(indices)*size.Len())
	}
	for _, index := range indices {
		if index < 0 || index >= images.Len() {
			return errors.Errorf("index %d is outside %s of %d images", index, nameOf(images), images.Len())
		}
		if d, ok := images.(*Dataset); ok && d.From == nil && len(d.Images[index]) != size.Len() {
			return errors.Errorf("image %d of %s has %d bytes, expected %d of size %v", index, nameOf(images), len(d.Images[index]), size.Len(), size)
		}
	}
	if a != nil {
		return a.Validate()
	}
	return nil
}

// scratch keeps the memory of images between the batches of a training.
var scratch sync.Pool

func takeScratch(length int) *[]uint8 {
	if memory, ok := scratch.Get().(*[]uint8); ok && cap(*memory) >= length {
		*memory = (*memory)[:length]
		return memory
	}
	memory := make([]uint8, length)
	return &memory
}
