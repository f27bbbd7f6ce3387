package datasets

import (
	"context"
	"fmt"
	"github.com/likeness-go/likeness/internal/parallel"
	"math"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Images is a labeled set of images that need not be in memory. A *Dataset and *Files
// implement it; a user-defined type may read a database or a network when Read is called.
// Its methods may be called by several goroutines at once.
//
// An Images may have a method Identity() string, whose result must differ from that of
// any other set of images and labels. A checkpoint then records this identity; otherwise
// all images are read once to compute a digest, see Identity. It may also be Originals.
type Images interface {
	// Len is the number of images.
	Len() int
	// Label is the index in ClassNames of the class of image i, or -1 if it has
	// none.
	Label(i int) int
	// ClassNames are the names of the classes. A class may have no images.
	ClassNames() []string
	// ImageSize is the size of every image, after preprocessing.
	ImageSize() imaging.Size
	// Read writes image i to pixels, which has ImageSize().Len() values: (height,
	// width, channels), 0 to 255. It keeps no reference to pixels.
	Read(i int, pixels []uint8) error
	// Source is the origin of image i, for messages: a file, or "image 12 of NAME".
	Source(i int) string
}

// CheckImages validates a set of images without reading them. It is an error if there are
// none, if their size is not valid, if a label is outside the classes, or if two classes
// have the same name.
func CheckImages(images Images) error {
	if isNil(images) {
		return errNil
	}
	if d, ok := images.(*Dataset); ok {
		if d.Len() == 0 {
			return errors.Wrap(ErrTooFew, "a dataset without images")
		}
		return d.Validate()
	}
	if images.Len() < 1 {
		return errors.Wrapf(ErrTooFew, "%s has no images", nameOf(images))
	}
	if err := images.ImageSize().Validate(); err != nil {
		return errors.Wrap(err, nameOf(images))
	}
	classes := images.ClassNames()
	for i := range images.Len() {
		if label := images.Label(i); label < -1 || label >= len(classes) {
			return errors.Errorf("%s: %s has label %d, expected 0 to %d, or -1 for none", nameOf(images), images.Source(i), label, len(classes)-1)
		}
	}
	if name, found := duplicate(classes); found {
		return errors.Errorf("%s: two classes are called %s", nameOf(images), quoted(name))
	}
	return nil
}

// checkLabeled is CheckImages for images that must all have labels.
func checkLabeled(images Images) error {
	if d, ok := images.(*Dataset); ok {
		return d.labeled()
	}
	if err := CheckImages(images); err != nil {
		return err
	}
	for i := range images.Len() {
		if images.Label(i) < 0 {
			return errors.Wrapf(ErrUnlabeled, "%s: %s", nameOf(images), images.Source(i))
		}
	}
	return nil
}

// isNil reports whether there are no images: nil, or a nil *Dataset.
func isNil(images Images) bool {
	d, ok := images.(*Dataset)
	return images == nil || ok && d == nil
}

// nameOf names a set of images in messages.
func nameOf(images Images) string {
	if d, ok := images.(*Dataset); ok {
		return "dataset " + d.Name
	}
	if named, ok := images.(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("the images of type %T", images)
}

// byClass lists, for each class, the indices of its images in ascending order.
func byClass(images Images) [][]int {
	if d, ok := images.(*Dataset); ok {
		return d.ByClass()
	}
	classes := make([][]int, len(images.ClassNames()))
	for i := range images.Len() {
		if label := images.Label(i); label >= 0 && label < len(classes) {
			classes[label] = append(classes[label], i)
		}
	}
	return classes
}

// ReadAll reads all images in parallel and calls use with each of them, in order. use
// must not retain pixels. The error for an image that cannot be read names its source.
func ReadAll(images Images, use func(i int, pixels []uint8) error) error {
	if isNil(images) || use == nil {
		return errors.Wrap(errNil, "read images")
	}
	size := images.ImageSize()
	if images.Len() == 0 {
		return nil
	}
	if err := size.Validate(); err != nil {
		return errors.Wrapf(err, "read images: %s", nameOf(images))
	}
	portion := min(images.Len(), max(1, min(1024, 16<<20/size.Len())))
	memory := make([]uint8, portion*size.Len())
	for first := 0; first < images.Len(); first += portion {
		count := min(portion, images.Len()-first)
		err := parallel.Each(context.Background(), parallel.MaxOpenFiles, count, func(i int) error {
			return readImage(images, first+i, memory[i*size.Len():][:size.Len()])
		})
		if err != nil {
			return err
		}
		for i := range count {
			if err := use(first+i, memory[i*size.Len():][:size.Len()]); err != nil {
				return err
			}
		}
	}
	return nil
}

// readImage reads one image; an error names its source.
func readImage(images Images, i int, pixels []uint8) error {
	err := images.Read(i, pixels)
	if err != nil {
		return errors.WithMessagef(err, "read %s", images.Source(i))
	}
	return nil
}

// Moments returns the mean and the standard deviation of each channel over all
// pixels of all images, on a scale of 0 to 1. It reads every image once, except those of
// Files that were read before. Without images both are zero.
func Moments(images Images) (mean, deviation []float64, err error) {
	if isNil(images) {
		return nil, nil, errors.Wrap(errNil, "moments")
	}
	size := images.ImageSize()
	if err := size.Validate(); err != nil {
		return nil, nil, errors.Wrapf(err, "moments of %s", nameOf(images))
	}
	channels := size.Channels
	mean, deviation = make([]float64, channels), make([]float64, channels)
	if images.Len() == 0 {
		return mean, deviation, nil
	}
	// Sums of integers are exact, whatever their order.
	var total sums
	if known := recordedOf(images); known != nil {
		err = total.addAll(images, known)
	} else {
		err = ReadAll(images, func(_ int, pixels []uint8) error {
			total.add(sumsOf(pixels, channels))
			return nil
		})
	}
	if err != nil {
		return nil, nil, errors.Wrap(err, "moments")
	}
	count := float64(images.Len() * size.Height * size.Width)
	for channel := range channels {
		average := float64(total.values[channel]) / count
		mean[channel] = average / 255
		deviation[channel] = math.Sqrt(max(0, float64(total.squares[channel])/count-average*average)) / 255
	}
	return mean, deviation, nil
}

// add adds the sums of an image.
func (s *sums) add(image *sums) {
	for channel := range s.values {
		s.values[channel] += image.values[channel]
		s.squares[channel] += image.squares[channel]
	}
}

// addAll adds the sums of all images, and reads those that were not read before.
func (s *sums) addAll(images Images, known recorded) error {
	each := make([]*sums, images.Len())
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, len(each), func(i int) (err error) {
		each[i], err = known.sums(i)
		return errors.WithMessagef(err, "read %s", images.Source(i))
	})
	if err != nil {
		return err
	}
	for _, image := range each {
		s.add(image)
	}
	return nil
}

// Label returns the class of image i, -1 if the dataset has no labels or no such image.
func (d *Dataset) Label(i int) int {
	if d == nil || i < 0 || i >= len(d.Labels) {
		return -1
	}
	return d.Labels[i]
}

// ClassNames returns Classes.
func (d *Dataset) ClassNames() []string {
	if d == nil {
		return nil
	}
	return d.Classes
}

// ImageSize returns Size.
func (d *Dataset) ImageSize() imaging.Size {
	if d == nil {
		return imaging.Size{}
	}
	return d.Size
}

// Read copies image i, or reads it.
func (d *Dataset) Read(i int, pixels []uint8) error {
	if i < 0 || i >= d.Len() {
		return errors.Errorf("found the index %d, expected 0 to %d", i, d.Len()-1)
	}
	if d.From != nil {
		if len(pixels) != d.Size.Len() {
			return errors.Errorf("found room for %d values, expected %d of size %v", len(pixels), d.Size.Len(), d.Size)
		}
		return d.From.Read(d.Indices[i], pixels)
	}
	if len(pixels) != len(d.Images[i]) {
		return errors.Errorf("found %d values in it and room for %d, expected as many", len(d.Images[i]), len(pixels))
	}
	copy(pixels, d.Images[i])
	return nil
}

// Source returns Sources[i], or "image i of NAME" if there are no Sources.
func (d *Dataset) Source(i int) string {
	if d != nil && i >= 0 && i < len(d.Sources) {
		return d.Sources[i]
	}
	name := ""
	if d != nil {
		name = d.Name
	}
	return fmt.Sprintf("image %d of %s", i, name)
}
