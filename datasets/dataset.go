package datasets

import (
	"math"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

var (
	// ErrUnlabelled says that a dataset has no labels where they are needed.
	ErrUnlabelled = errors.New("the dataset has no labels")
	// ErrTooFew says that a dataset has too few classes, or too few images in
	// them, for what is asked.
	ErrTooFew = errors.New("too few classes or images")
	// ErrSizes says that the images have several sizes where one is needed.
	ErrSizes = errors.New("choose a size for all")
	// ErrBroken says that a file is not a readable image.
	ErrBroken = errors.New("a file is not a readable image: remove it, or skip broken files")
	// ErrBackground says that Options.Background is not a choice that the data has.
	ErrBackground = errors.New("no such choice of background alphabets")
	// ErrUnknownClass says that a dataset has no class of a given name.
	ErrUnknownClass = errors.New("unknown class")
)

// Dataset is labelled images of one size. Datasets that were derived from one
// another share their images, which nobody changes.
type Dataset struct {
	Name string
	Size imaging.Size
	// Classes are the names of the classes. A class may be without images.
	Classes []string
	// Labels has for each image the index of its class in Classes. It is nil in
	// an unlabelled dataset, whose tuples are listed.
	Labels []int
	// Images are (height, width, channels) bytes each.
	Images [][]uint8
	// Sources says where each image came from, for messages and reports: a file,
	// or "train-images-idx3-ubyte.gz[17]".
	Sources []string
	// Drawers says who drew each image of Omniglot, 1 to 20; nil elsewhere.
	Drawers []int
	// Inverted says that black and white of the files were exchanged, so that
	// further files of this kind need imaging.Preprocessing.Invert.
	Inverted bool
	// Crop is how the images were cut to their ink; nil if they were not.
	Crop *imaging.Crop
}

// errNil is the error about a nil *Dataset, whose other methods behave as those of
// one without images, or return nil.
var errNil = errors.New("the dataset is nil, expected one such as datasets.Open reads")

// Len is the number of images.
func (d *Dataset) Len() int {
	if d == nil {
		return 0
	}
	return len(d.Images)
}

// Validate reports what is inconsistent: fields that do not have one value an
// image, labels outside Classes, two classes of one name, images that do not
// have the dataset's size.
func (d *Dataset) Validate() error {
	if d == nil {
		return errNil
	}
	if err := d.Size.Validate(); err != nil {
		return errors.Wrapf(err, "dataset %s", d.Name)
	}
	for _, field := range []struct {
		name     string
		optional bool
		length   int
	}{{"Labels", d.Labels == nil, len(d.Labels)}, {"Sources", d.Sources == nil, len(d.Sources)}, {"Drawers", d.Drawers == nil, len(d.Drawers)}} {
		if !field.optional && field.length != d.Len() {
			return errors.Errorf("dataset %s: found %d %s for %d images", d.Name, field.length, field.name, d.Len())
		}
	}
	for i, image := range d.Images {
		if len(image) != d.Size.Len() {
			return errors.Errorf("dataset %s: image %d has %d bytes, expected %d of size %v", d.Name, i, len(image), d.Size.Len(), d.Size)
		}
	}
	for i, label := range d.Labels {
		if label < 0 || label >= len(d.Classes) {
			return errors.Errorf("dataset %s: image %d has label %d, expected 0 to %d", d.Name, i, label, len(d.Classes)-1)
		}
	}
	if name, found := duplicate(d.Classes); found {
		return errors.Errorf("dataset %s: two classes are called %s", d.Name, quoted(name))
	}
	return nil
}

// labelled is Validate for a dataset that must have labels.
func (d *Dataset) labelled() error {
	if d == nil || d.Len() == 0 {
		return errors.Wrap(ErrTooFew, "a dataset without images")
	}
	if d.Labels == nil {
		return errors.Wrapf(ErrUnlabelled, "dataset %s", d.Name)
	}
	return d.Validate()
}

// Subset returns the images of the indices, in their order, with all classes. It
// returns nil where an index is not that of an image, or of one without a label
// though others have labels: Validate says whether d is consistent.
func (d *Dataset) Subset(indices []int) *Dataset {
	if d == nil {
		return nil
	}
	count := d.Len()
	for _, field := range []struct {
		absent bool
		length int
	}{{d.Labels == nil, len(d.Labels)}, {d.Sources == nil, len(d.Sources)}, {d.Drawers == nil, len(d.Drawers)}} {
		if !field.absent {
			count = min(count, field.length)
		}
	}
	for _, index := range indices {
		if index < 0 || index >= count {
			return nil
		}
	}
	subset := *d
	subset.Images = pick(d.Images, indices)
	subset.Labels = pick(d.Labels, indices)
	subset.Sources = pick(d.Sources, indices)
	subset.Drawers = pick(d.Drawers, indices)
	return &subset
}

// ByClass returns, for each of Classes, the indices of its images in ascending
// order. An unlabelled dataset has none, and a label that is outside Classes, which
// Validate reports, is left out.
func (d *Dataset) ByClass() [][]int {
	if d == nil {
		return nil
	}
	classes := make([][]int, len(d.Classes))
	for i, label := range d.Labels {
		if label >= 0 && label < len(classes) {
			classes[label] = append(classes[label], i)
		}
	}
	return classes
}

// Populated is the number of classes that have at least minimum images.
func (d *Dataset) Populated(minimum int) int {
	populated := 0
	for _, images := range d.ByClass() {
		if len(images) >= minimum {
			populated++
		}
	}
	return populated
}

// OnlyClasses returns the images of the named classes. The result's Classes are
// these, in the order that they have in d, and its labels are renumbered to
// match. A name that d does not have is ErrUnknownClass.
func (d *Dataset) OnlyClasses(names ...string) (*Dataset, error) {
	if err := d.Validate(); err != nil {
		return nil, errors.Wrap(err, "choose classes")
	}
	for _, name := range names {
		if !slices.Contains(d.Classes, name) {
			return nil, errors.Wrapf(ErrUnknownClass, "dataset %s: class %s is not among %s", d.Name, quoted(name), listing(d.Classes))
		}
	}
	return d.relabel(intersection(d.Classes, names)), nil
}

// relabel returns the images of the given classes, labelled by their positions
// in this list. Classes that d does not have stay without images.
func (d *Dataset) relabel(classes []string) *Dataset {
	position := map[string]int{}
	for i, name := range classes {
		position[name] = i
	}
	var indices []int
	for i, label := range d.Labels {
		if _, found := position[d.Classes[label]]; found {
			indices = append(indices, i)
		}
	}
	result := d.Subset(indices)
	result.Classes = classes
	for i, label := range result.Labels {
		result.Labels[i] = position[d.Classes[label]]
	}
	return result
}

// present returns the names of the classes that have images.
func (d *Dataset) present() []string {
	var names []string
	for class, images := range d.ByClass() {
		if len(images) > 0 {
			names = append(names, d.Classes[class])
		}
	}
	return names
}

// Groups returns the names of the classes that have images by the part before
// their "/": the characters of each alphabet of Omniglot. Classes without a "/"
// form one group.
func (d *Dataset) Groups() [][]string {
	var groups [][]string
	position := map[string]int{}
	for _, name := range d.present() {
		prefix := GroupOf(name)
		if _, found := position[prefix]; !found {
			position[prefix] = len(groups)
			groups = append(groups, nil)
		}
		groups[position[prefix]] = append(groups[position[prefix]], name)
	}
	return groups
}

// GroupOf is the part of a class's name before its "/", empty without one.
func GroupOf(class string) string {
	group, _, found := strings.Cut(class, "/")
	if !found {
		return ""
	}
	return group
}

// Moments returns the mean and the standard deviation of each channel over all
// pixels of all images, on the scale of 0 to 1. Without images both are zero, and
// without a valid size they are nil.
func (d *Dataset) Moments() (mean, deviation []float64) {
	if d == nil || d.Size.Validate() != nil {
		return nil, nil
	}
	channels := d.Size.Channels
	mean, deviation = make([]float64, channels), make([]float64, channels)
	if d.Len() == 0 {
		return mean, deviation
	}
	count := float64(d.Len() * d.Size.Height * d.Size.Width)
	for channel := range channels {
		// Whole numbers: the sums are exact and their order is of no account.
		var sum, squares uint64
		for _, image := range d.Images {
			for i := channel; i < len(image); i += channels {
				v := uint64(image[i])
				sum += v
				squares += v * v
			}
		}
		average := float64(sum) / count
		mean[channel] = average / 255
		deviation[channel] = math.Sqrt(max(0, float64(squares)/count-average*average)) / 255
	}
	return mean, deviation
}

// Preprocessing returns what a network trained on d needs to know to read other
// images as it read these: the size, the polarity and the Moments. A channel
// that is the same everywhere has a deviation of 1.
func (d *Dataset) Preprocessing() imaging.Preprocessing {
	if d == nil {
		return imaging.Preprocessing{}
	}
	mean, deviation := d.Moments()
	for channel, v := range deviation {
		if v == 0 {
			deviation[channel] = 1
		}
	}
	return imaging.Preprocessing{Size: d.Size, Invert: d.Inverted, Crop: d.Crop, Mean: mean, StdDev: deviation}
}
