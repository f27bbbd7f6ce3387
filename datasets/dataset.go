package datasets

import (
	"context"
	"fmt"
	"github.com/likeness-go/likeness/internal/parallel"
	"reflect"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

var (
	// ErrUnlabeled is the error if labels are needed and a dataset has none.
	ErrUnlabeled = errors.New("the dataset has no labels")
	// ErrTooFew is the error if a dataset has too few classes, or too few images in them,
	// for a sampler or a split.
	ErrTooFew = errors.New("too few classes or images")
	// ErrSizes is the error if images differ in size and no common size is chosen.
	ErrSizes = errors.New("choose a size for all")
	// ErrBroken is the error for a file that is not a readable image.
	ErrBroken = errors.New("a file is not a readable image")
	// ErrBackground is the error if Options.Background is not one of the choices that the
	// data have.
	ErrBackground = errors.New("no such choice of background alphabets")
	// ErrUnknownClass is the error if a dataset has no class of a given name.
	ErrUnknownClass = errors.New("unknown class")
)

// Dataset is a set of labeled images of one size. Their pixels are in memory, in Images, or
// are read from other Images when they are needed, such as Files. Datasets that are derived
// from one another share the memory of their images, which must not be changed.
type Dataset struct {
	Name string
	Size imaging.Size
	// Classes are the names of the classes. A class may have no images.
	Classes []string
	// Labels has for each image the index of its class in Classes. It is nil in an
	// unlabeled dataset, which comes with a list of pairs or triplets.
	Labels []int
	// Images are (height, width, channels) bytes each; nil if From is not. Pixels returns
	// an image in either case.
	Images [][]uint8
	// From has the images of a dataset that is not in memory: image i of the dataset is
	// image Indices[i] of From. The labels and classes of From have no meaning here.
	From Images
	// Indices are the indices of the images in From; nil if Images is not.
	Indices []int
	// Sources is the origin of each image, for messages and reports: a file, or
	// "train-images-idx3-ubyte.gz[17]".
	Sources []string
	// Drawers is the number of the person who drew each image of Omniglot, 1 to 20; nil
	// for other data.
	Drawers []int
	// Inverted reports that the images of the files were inverted, so that other files of
	// this kind need imaging.Preprocessing.Invert.
	Inverted bool
	// Crop is the cropping of the images to their foreground; nil if they were not
	// cropped.
	Crop *imaging.Crop
	// ShorterSide is the length to which the shorter side of each image was resized before
	// its center was cropped to Size; 0 if images were stretched. See
	// imaging.Preprocessing.ShorterSide.
	ShorterSide int
}

// setPreprocessing records how the images are read.
func (d *Dataset) setPreprocessing(p imaging.Preprocessing) {
	d.Size, d.Inverted, d.Crop, d.ShorterSide = p.Size, p.Invert, p.Crop, p.ShorterSide
}

// errNil is the error about a nil *Dataset, whose other methods behave as those of
// one without images, or return nil.
var errNil = errors.New("the dataset is nil, expected one such as datasets.Open reads")

// Len is the number of images.
func (d *Dataset) Len() int {
	if d == nil {
		return 0
	}
	if d.From != nil {
		return len(d.Indices)
	}
	return len(d.Images)
}

// Validate returns an error if a field does not have one value for each image, if a label
// is outside Classes, if two classes have the same name, or if an image does not have the
// dataset's size.
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
	if d.From != nil {
		if err := d.validateLazy(); err != nil {
			return err
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

// labeled is Validate for a dataset that must have labels.
func (d *Dataset) labeled() error {
	if d == nil || d.Len() == 0 {
		return errors.Wrap(ErrTooFew, "a dataset without images")
	}
	if d.Labels == nil {
		return errors.Wrapf(ErrUnlabeled, "dataset %s", d.Name)
	}
	return d.Validate()
}

// Subset returns the images of the indices, in their order, with all classes. It returns
// nil if an index is out of range, or if d has labels but not for every image; see
// Validate.
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
	if d.From != nil {
		subset.Indices = pick(d.Indices, indices)
	} else {
		subset.Images = pick(d.Images, indices)
	}
	subset.Labels = pick(d.Labels, indices)
	subset.Sources = pick(d.Sources, indices)
	subset.Drawers = pick(d.Drawers, indices)
	return &subset
}

// IndicesIn returns for each image of d the index of the same image in another dataset. Two
// images are the same if they share their pixels in memory, or if they are the same image of
// one From, as in datasets that are derived from one another. ok is false if whole lacks one.
func (d *Dataset) IndicesIn(whole *Dataset) (indices []int, ok bool) {
	indices = d.PositionsIn(whole)
	if slices.Contains(indices, -1) {
		return nil, false
	}
	return indices, true
}

// PositionsIn is IndicesIn with -1 for each image that the other dataset lacks.
func (d *Dataset) PositionsIn(whole *Dataset) []int {
	positions := make(map[imageID]int, whole.Len())
	for i := range whole.Len() {
		if id, known := whole.identify(i); known {
			positions[id] = i
		}
	}
	indices := make([]int, d.Len())
	for i := range indices {
		indices[i] = -1
		if id, known := d.identify(i); known {
			if position, ok := positions[id]; ok {
				indices[i] = position
			}
		}
	}
	return indices
}

// imageID identifies an image among those of datasets that are derived from one another.
type imageID struct {
	pixels *uint8 // the first one, of an image in memory
	from   Images
	index  int
}

// identify is false for an image that has no identity: one without pixels, or of Images whose
// type has no equality.
func (d *Dataset) identify(i int) (imageID, bool) {
	if d.From != nil {
		return imageID{from: d.From, index: d.Indices[i]}, reflect.ValueOf(d.From).Comparable()
	}
	if len(d.Images[i]) == 0 {
		return imageID{}, false
	}
	return imageID{pixels: &d.Images[i][0]}, true
}

// ByClass returns, for each of Classes, the indices of its images in ascending order. It
// returns nothing for an unlabeled dataset, and ignores labels outside Classes, which
// Validate reports.
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

// Populated returns the number of classes that have at least minimum images.
func (d *Dataset) Populated(minimum int) int {
	populated := 0
	for _, images := range d.ByClass() {
		if len(images) >= minimum {
			populated++
		}
	}
	return populated
}

// OnlyClasses returns the images of the named classes. The result has only these classes,
// in the order of d.Classes, and its labels are renumbered. If d does not have one of the
// names, the error is ErrUnknownClass.
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

// relabel returns the images of the given classes, labeled by their positions
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

// GroupOf returns the part of a class's name before the "/", or "" if the name has none.
func GroupOf(class string) string {
	group, _, found := strings.Cut(class, "/")
	if !found {
		return ""
	}
	return group
}

// Moments returns the mean and the standard deviation of each channel over all pixels of
// all images, on a scale of 0 to 1. Without images both are zero; they are nil if
// Validate returns an error for the size or an image, or if an image cannot be read, of
// which the function Moments returns the reason.
func (d *Dataset) Moments() (mean, deviation []float64) {
	mean, deviation, err := Moments(d)
	if err != nil {
		return nil, nil
	}
	return mean, deviation
}

// Preprocessing returns the preprocessing by which a network trained on d reads other
// images: the size, the inversion, the cropping, the shorter side and the Moments. A channel that is
// constant has a standard deviation of 1.
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
	return imaging.Preprocessing{Size: d.Size, Invert: d.Inverted, Crop: d.Crop, ShorterSide: d.ShorterSide, Mean: mean, StdDev: deviation}
}

// Join returns one dataset with the images and the classes of several labeled datasets,
// which must have the same size and no class in common.
func Join(name string, parts ...*Dataset) (*Dataset, error) {
	all := &Dataset{Name: name, Labels: []int{}}
	lazy := slices.ContainsFunc(parts, func(d *Dataset) bool { return d != nil && d.From != nil })
	for i, d := range parts {
		if err := d.labeled(); err != nil {
			return nil, errors.Wrapf(err, "join %s", name)
		}
		if i == 0 {
			all.Size, all.Inverted, all.Crop, all.ShorterSide = d.Size, d.Inverted, d.Crop, d.ShorterSide
		}
		if d.Size != all.Size {
			return nil, errors.Wrapf(ErrSizes, "join %s: dataset %s has images of %v, dataset %s of %v", name, parts[0].Name, all.Size, d.Name, d.Size)
		}
		for _, label := range d.Labels {
			all.Labels = append(all.Labels, len(all.Classes)+label)
		}
		all.Classes = append(all.Classes, d.Classes...)
		all.Images = append(all.Images, d.Images...)
		all.Sources = append(all.Sources, d.Sources...)
		all.Drawers = append(all.Drawers, d.Drawers...)
	}
	if lazy {
		all.Images, all.From, all.Indices = nil, joined(parts), upTo(joined(parts).Len())
	}
	return all, errors.Wrapf(all.Validate(), "join %s", name)
}

// Resize returns the images resized to another height and width, by area averaging if a
// side shrinks and by bilinear interpolation if it grows. If a few images are enough,
// call Limit first. An image that does not have the dataset's size, which Validate
// reports, is empty in the result.
func (d *Dataset) Resize(height, width int) *Dataset {
	if d == nil {
		return nil
	}
	resized := *d
	resized.Size = imaging.Size{Height: height, Width: width, Channels: d.Size.Channels}
	preprocessing := imaging.Preprocessing{Size: resized.Size}
	if d.From != nil {
		resized.From, resized.Indices = resizedImages{d, resized.Size}, upTo(d.Len())
		return &resized
	}
	resized.Images = make([][]uint8, d.Len())
	if d.Size.Validate() != nil || resized.Size.Validate() != nil {
		return &resized
	}
	_ = parallel.Each(context.Background(), 0, d.Len(), func(i int) error { // which gives no error
		if len(d.Images[i]) == d.Size.Len() {
			resized.Images[i] = preprocessing.Pixels(d.Size.Image(d.Images[i]))
		}
		return nil
	})
	return &resized
}

// symmetryNames are the eight symmetries of the square, in the order in which
// Symmetries makes classes of them.
var symmetryNames = [...]string{
	"", " turned 90°", " turned 180°", " turned 270°",
	" mirrored", " mirrored, turned 90°", " mirrored, turned 180°", " mirrored, turned 270°",
}

// Symmetries returns each image in eight versions: rotated counterclockwise by 0°, 90°,
// 180° and 270°, with and without mirroring left to right before. Each symmetry of a
// class is a separate class, which gives eight times as many classes to train on (Santoro
// et al., "Meta-Learning with Memory-Augmented Neural Networks", 2016, do so with the
// rotations), and each symmetry of a group is a separate group. It suits data in which no
// class looks like a rotated or mirrored other class. Images must be square.
func (d *Dataset) Symmetries() (*Dataset, error) {
	if d == nil {
		return nil, errors.Wrap(errNil, "symmetries")
	}
	if d.Size.Height != d.Size.Width {
		return nil, errors.Errorf("symmetries of dataset %s: found images of %v, expected square ones", d.Name, d.Size)
	}
	if d.Labels == nil {
		return nil, errors.Wrapf(ErrUnlabeled, "symmetries of dataset %s", d.Name)
	}
	if err := d.Validate(); err != nil {
		return nil, errors.Wrap(err, "symmetries")
	}
	all := &Dataset{Name: d.Name, Size: d.Size, Inverted: d.Inverted, Crop: d.Crop, ShorterSide: d.ShorterSide}
	for i, name := range symmetryNames {
		for _, class := range d.Classes {
			all.Classes = append(all.Classes, turnedName(class, name))
		}
		for _, label := range d.Labels {
			all.Labels = append(all.Labels, i*len(d.Classes)+label)
		}
		for _, source := range d.Sources {
			all.Sources = append(all.Sources, fmt.Sprint(source, name))
		}
		all.Drawers = append(all.Drawers, d.Drawers...)
		if d.From != nil {
			continue
		}
		first := len(all.Images)
		all.Images = append(all.Images, make([][]uint8, d.Len())...)
		images := all.Images[first:]
		err := parallel.Each(context.Background(), 0, d.Len(), func(j int) error {
			images[j] = imaging.Turn(d.Images[j], d.Size, i%4, i >= 4)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if d.From != nil {
		all.From = symmetries{d}
		all.Indices = upTo(all.From.Len())
	}
	return all, nil
}

// turnedName names a symmetry of a class, by its group if it has one.
func turnedName(class, symmetry string) string {
	if group, rest, found := strings.Cut(class, "/"); found {
		return group + symmetry + "/" + rest
	}
	return class + symmetry
}
