package datasets

import (
	"math/rand/v2"

	"github.com/pkg/errors"
)

// classDraw draws images by their classes, which are equally likely whatever
// their sizes.
type classDraw struct {
	classes [][]int // the images of each class that has any
	several []int   // those of classes that have two images or more
}

// newClassDraw is ErrTooFew without two classes, or when no class has two
// images.
func newClassDraw(d *Dataset) (*classDraw, error) {
	if err := d.labelled(); err != nil {
		return nil, err
	}
	c := &classDraw{}
	for _, images := range d.ByClass() {
		if len(images) == 0 {
			continue
		}
		if len(images) > 1 {
			c.several = append(c.several, len(c.classes))
		}
		c.classes = append(c.classes, images)
	}
	if len(c.classes) < 2 {
		return nil, errors.Wrapf(ErrTooFew, "dataset %s has images of one class only (%s), at least two are needed", d.Name, listing(d.present()))
	}
	if len(c.several) == 0 {
		return nil, errors.Wrapf(ErrTooFew, "dataset %s has one image in each of its classes (%s), at least one class needs two", d.Name, listing(d.present()))
	}
	return c, nil
}

// same returns a class and two different images of it.
func (c *classDraw) same(r *rand.Rand) (class, left, right int) {
	class = c.several[r.IntN(len(c.several))]
	images := c.classes[class]
	i := r.IntN(len(images))
	return class, images[i], images[other(r, len(images), i)]
}

// image returns an image of the class.
func (c *classDraw) image(r *rand.Rand, class int) int {
	images := c.classes[class]
	return images[r.IntN(len(images))]
}

// outside returns an image of another class.
func (c *classDraw) outside(r *rand.Rand, class int) int {
	return c.image(r, other(r, len(c.classes), class))
}
