package datasets

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// ErrUnrecognized is the error for a folder in none of the formats that Open reads.
var ErrUnrecognized = errors.New("not a data set of a known format")

// Splits is the content of a data folder; parts that it does not have are nil. The images
// are either labeled, in Train, Validation and Test, or listed as tuples, in Pairs or
// Triplets.
type Splits struct {
	Name                    string
	Train, Validation, Test *Dataset
	Pairs                   Parts[PairList]
	Triplets                Parts[TripletList]
	// Skipped lists the files that could not be read, with the reasons, if
	// Options.SkipBroken is set.
	Skipped []string
	// PassedOver counts the files in the folders of classes that are not images, such as
	// annotations.
	PassedOver imaging.Skipped
	// Warnings describe probable mistakes in the data, which are used as they are, such
	// as a pair that is listed both as the same and as different, the same file in two
	// classes, or a file for testing that is also for training.
	Warnings []string
}

// Parts are the parts of one data set; a part that it does not have is nil.
type Parts[T any] struct{ Train, Validation, Test *T }

// Options are the options of Open. The zero value reads images unchanged.
type Options struct {
	// Size is the size to which all images are resized. Fields that are zero keep the
	// size of the data; files of different sizes need a height and a width.
	Size imaging.Size
	// Invert inverts the images. Omniglot is always read as white strokes on black and
	// ignores it.
	Invert bool
	// Crop crops the images to their foreground, see imaging.Crop; nil does not crop.
	Crop *imaging.Crop
	// CenterCrop resizes the shorter side of each image to ShorterSide and crops the center
	// to Size, see imaging.Preprocessing, instead of stretching the image. It excludes Crop.
	CenterCrop bool
	// ShorterSide is in pixels; 0 means imaging.DefaultShorterSide. It needs CenterCrop.
	ShorterSide int
	// SkipBroken skips image files that cannot be read, see imaging.Skippable, and lists them
	// in Splits.Skipped, instead of failing at the first. An error that other files would
	// meet as well, such as a disk that fails, is still an error.
	SkipBroken bool
	// Background chooses Omniglot's training alphabets: "background", all 30 (the
	// default), or one of the minimal splits of five, "small1" and "small2". Other data
	// have no such choice, and anything but the default is an error for them.
	Background string
	// Stream reads image files when they are needed, in place of holding all of them in
	// memory: the datasets have their images in From, as Files, and not in Images. It applies
	// to folders of classes and to listed pairs and triplets; the other formats are small.
	// Open decodes each file once, and finds broken ones, in either case.
	Stream bool
	// Memory is the number of bytes of decoded images that Stream keeps in memory, for all
	// parts of the data together. 0 means DefaultMemory. Until the garbage collector frees
	// images that were dropped, a process may need about as much again.
	Memory int64
	// Unlabeled is for losses that need no labels: a folder of images that are not in folders of
	// classes, and folders of any depth, are read as images without classes, in Splits.Train
	// with Labels nil. Of folders train, val and test without classes only train is read. Data
	// of the other formats are read as without it.
	Unlabeled bool
	// OnProgress is called while image files are read, with the number of files read so
	// far and the total. Calls do not overlap. It is not called for formats with one file
	// for all images, such as MNIST's and CIFAR-10's.
	OnProgress func(read, total int)

	cache *cache // of all parts, with Stream
}

// preprocessing brings images of the given size of their own to the one asked
// for.
func (o Options) preprocessing(own imaging.Size) (imaging.Preprocessing, error) {
	if err := own.Validate(); err != nil {
		return imaging.Preprocessing{}, err
	}
	size := o.Size
	if size.Height == 0 && size.Width == 0 {
		size.Height, size.Width = own.Height, own.Width
	}
	if size.Channels == 0 {
		size.Channels = own.Channels
	}
	p := imaging.Preprocessing{Size: size, Invert: o.Invert, Crop: o.Crop}
	switch {
	case o.CenterCrop:
		p.ShorterSide = cmp.Or(o.ShorterSide, imaging.DefaultShorterSide(size))
	case o.ShorterSide != 0:
		return imaging.Preprocessing{}, errors.Errorf("found ShorterSide %d without CenterCrop, which stretches images: set CenterCrop or leave out ShorterSide", o.ShorterSide)
	}
	return p, errors.Wrap(p.Validate(), "bring the images to one size")
}

// formats are tried in this order: the surer the signs, the earlier. Each says
// whether the folder is of its kind.
var formats = []struct {
	open     func(folder, Options) (splits Splits, recognized bool, err error)
	omniglot bool
	classes  bool // folders of classes
}{
	{open: openIDX}, {open: openCIFAR}, {open: openOmniglot, omniglot: true}, {open: openTuples}, {open: openParts, classes: true}, {open: openClasses, classes: true},
}

// It is one line, as all errors are.
const accepted = "a folder of images for each class, at least two, perhaps in folders of groups or in train, val and test; " +
	"or a CSV file with the header a,b,different or anchor,positive,negative, or a folder with it; or the files of " +
	"MNIST (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each perhaps with .gz), " +
	"CIFAR-10 (data_batch_1.bin to data_batch_5.bin and test_batch.bin, or cifar-10-binary.tar.gz) or " +
	"Omniglot (images_background and images_evaluation, as zip files or folders)"

// Open reads a data set. Its format is recognized by what the folder contains:
//
//   - idx files, MNIST's format: Train and Test, or one of them (EMNIST stores its images
//     transposed, and they are read as stored);
//   - CIFAR-10's binary version, perhaps as cifar-10-binary.tar.gz;
//   - Omniglot, as the official zip files or unzipped: the background alphabets
//     are Train, the evaluation alphabets Test;
//   - listed pairs or triplets in a CSV file, see PairList; path may also be the
//     file itself;
//   - folders train (or training), val (valid, validation) and test (testing) of
//     class folders;
//   - class folders: a folder of images for each class, all in Train. They may be in
//     folders of groups: Greek/alpha is the class alpha of the group Greek;
//   - with Options.Unlabeled, any other folder of images, without classes, in Train.
//
// In folders of classes, hidden files and files that are not images (see imaging.IsImage)
// are skipped and counted. If an image cannot be decoded, the error is ErrBroken, with
// its name. For any other folder it is ErrUnrecognized, with what was found.
func Open(path string, o Options) (Splits, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Splits{}, errors.Wrapf(err, "open data set %s", path)
	}
	return open(path, strings.TrimSuffix(filepath.Base(absolute), ".csv"), o)
}

func open(path, name string, o Options) (Splits, error) {
	err := o.checkBackground()
	if err == nil && o.Stream {
		o.cache, err = newCache(o.Memory)
	}
	if err != nil {
		return Splits{}, errors.Wrapf(err, "open data set %s", path)
	}
	dir, err := newFolder(path)
	if err != nil {
		return Splits{}, errors.Wrapf(err, "open data set %s", path)
	}
	// Before anything is read, which may take long; a folder may be of two kinds.
	asked := o.Background != "" && o.Background != defaultBackground
	if asked && !slices.ContainsFunc(dir.names(), isOmniglot) {
		return Splits{}, errors.Wrapf(errNotOmniglot(o.Background), "open data set %s", path)
	}
	for _, format := range formats {
		splits, recognized, err := format.open(dir, o)
		if recognized && err == nil && asked && !format.omniglot {
			err = errNotOmniglot(o.Background)
		}
		if err != nil && format.classes && o.Unlabeled && !errors.Is(err, ErrBroken) && !errors.Is(err, ErrSizes) {
			break // no folders of classes
		}
		if err != nil {
			return Splits{}, errors.Wrapf(err, "open data set %s", path)
		}
		if recognized {
			if err := splits.warnOfCopies(); err != nil {
				return Splits{}, errors.Wrapf(err, "open data set %s", path)
			}
			splits.setName(name)
			return splits, nil
		}
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() && o.Unlabeled {
		splits, err := openUnlabeled(dir, o)
		splits.setName(name)
		return splits, errors.Wrapf(err, "open data set %s", path)
	}
	return Splits{}, errors.Wrapf(ErrUnrecognized, "open data set %s: found %s; expected %s", path, dir.content(), accepted)
}

// content describes an unrecognized folder, the most frequent mistakes first: images that are not in
// folders of classes, and a single class.
func (f folder) content() string {
	images := 0
	for _, name := range f.files {
		if imaging.HasExtension(name) {
			images++
		}
	}
	switch {
	case images > 0 && len(f.folders) == 0:
		return fmt.Sprintf("%d images in the folder itself, which are not sorted into folders of classes", images)
	case len(f.folders) == 1 && len(f.files) == 0:
		return fmt.Sprintf("only one folder, %s", cut(f.folders[0]))
	}
	return listing(f.names())
}

// warnOfCopies adds a warning of files with the same content in different classes, which
// no network can tell apart, and one of those that are both for training and for testing,
// which makes figures too good. The images of other data than files are not compared.
func (s *Splits) warnOfCopies() error {
	type place struct {
		part *Dataset
		i    int
	}
	first := map[uint64]place{} // by digest
	var conflicts, leaks int
	var conflict, leak string // the first of each
	for _, part := range []*Dataset{s.Train, s.Validation, s.Test} {
		if part == nil || part.Labels == nil {
			continue
		}
		digests, err := Digests(part)
		if err != nil {
			return err
		}
		for i, digest := range digests {
			other, found := first[digest]
			if !found {
				first[digest] = place{part, i}
				continue
			}
			class, otherClass := part.Classes[part.Label(i)], other.part.Classes[other.part.Label(other.i)]
			pair := fmt.Sprintf("%s (class %s) and %s (class %s)", other.part.Source(other.i), otherClass, part.Source(i), class)
			if class != otherClass {
				conflict = cmp.Or(conflict, pair)
				conflicts++
			}
			if part != other.part {
				leak = cmp.Or(leak, pair)
				leaks++
			}
		}
	}
	if conflicts > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("files of one class with the content of a file of another: found %d, such as %s: remove one of each", conflicts, conflict))
	}
	if leaks > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("files for validation or testing with the content of a file of another part: found %d, such as %s: remove one of each, or the figures are too good", leaks, leak))
	}
	return nil
}

func errNotOmniglot(background string) error {
	return errors.Wrapf(ErrBackground, "found %s, but this is not Omniglot, and only Omniglot has a choice of alphabets: leave it out", quoted(background))
}

// setName names the data set, and its datasets after it and after their parts.
func (s *Splits) setName(name string) {
	s.Name = name
	datasets := []*Dataset{s.Train, s.Validation, s.Test}
	for _, list := range []*PairList{s.Pairs.Train, s.Pairs.Validation, s.Pairs.Test} {
		if list != nil {
			datasets = append(datasets, list.Dataset)
		}
	}
	for _, list := range []*TripletList{s.Triplets.Train, s.Triplets.Validation, s.Triplets.Test} {
		if list != nil {
			datasets = append(datasets, list.Dataset)
		}
	}
	for _, d := range datasets {
		if d != nil {
			d.Name = name + " " + d.Name
		}
	}
}
