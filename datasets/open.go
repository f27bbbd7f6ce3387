package datasets

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// ErrUnrecognized says that a folder holds none of the formats that Open reads.
var ErrUnrecognized = errors.New("not a data set of a known format")

// Splits is what a data folder holds; what it does not have is nil. Either the
// images are labeled and in Train, Validation and Test, or they come with listed
// tuples and are in Pairs or Triplets.
type Splits struct {
	Name                    string
	Train, Validation, Test *Dataset
	Pairs                   Parts[PairList]
	Triplets                Parts[TripletList]
	// Skipped are the files that could not be decoded, with the reasons, when
	// Options.SkipBroken asked for this.
	Skipped []string
	// PassedOver counts the files beside the images of classes that are no images, such
	// as annotations.
	PassedOver imaging.Skipped
	// Warnings say what is suspicious about the data though they are used as they are,
	// such as pairs that are listed as the same and as different.
	Warnings []string
}

// Parts are up to three parts of one data set, nil where it does not have them.
type Parts[T any] struct{ Train, Validation, Test *T }

// Options says how Open reads images. The zero value reads them as they are.
type Options struct {
	// Size is what all images are brought to. Where it has zeros the data's own
	// size stands; folders of files of different sizes need a height and a width.
	Size imaging.Size
	// Invert exchanges black and white. Omniglot is always read as white ink on
	// black, whatever Invert says.
	Invert bool
	// Crop cuts the images to their ink, see imaging.Crop; nil leaves them whole.
	Crop *imaging.Crop
	// SkipBroken passes over image files that cannot be decoded, and lists them in
	// Splits.Skipped, in place of failing at the first. A file that the operating system
	// does not let be read is an error all the same.
	SkipBroken bool
	// Background chooses Omniglot's training alphabets: "background", all 30 (the
	// default), or one of the minimal splits of five, "small1" and "small2". Other data
	// have no such choice, and anything but the default is an error for them.
	Background string
	// OnProgress is called while image files are read, with how many of total are
	// read so far. Calls come one at a time. Formats of one file for all images, such
	// as MNIST's and CIFAR-10's, are read without it.
	OnProgress func(read, total int)
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
	return p, errors.Wrap(p.Validate(), "bring the images to one size")
}

// formats are tried in this order: the surer the signs, the earlier. Each says
// whether the folder is of its kind.
var formats = []struct {
	open     func(folder, Options) (splits Splits, recognized bool, err error)
	omniglot bool
}{
	{open: openIDX}, {open: openCIFAR}, {open: openOmniglot, omniglot: true}, {open: openTuples}, {open: openParts}, {open: openClasses},
}

const accepted = `a folder with one of
  - train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each perhaps with .gz (MNIST)
  - data_batch_1.bin to data_batch_5.bin and test_batch.bin (CIFAR-10), or cifar-10-binary.tar.gz
  - images_background and images_evaluation, as zip files or folders (Omniglot)
  - a CSV file with the header a,b,different or anchor,positive,negative
  - folders train, val and test of class folders
  - a folder of images for each class, at least two, perhaps in folders of groups
or a CSV file itself`

// Open reads a data set. Its format is recognized by what the folder contains:
//
//   - idx files, MNIST's format: Train and Test, or what there is of them (EMNIST
//     stores its images transposed, and they are read as stored);
//   - CIFAR-10's binary version, perhaps as cifar-10-binary.tar.gz;
//   - Omniglot, as the official zip files or unzipped: the background alphabets
//     are Train, the evaluation alphabets Test;
//   - listed pairs or triplets in a CSV file, see PairList; path may also be the
//     file itself;
//   - folders train (or training), val (valid, validation) and test (testing) of
//     class folders;
//   - class folders: a folder of images for each class, all in Train. They may
//     stand in folders of groups: Greek/alpha is the class alpha of the group Greek.
//
// In folders of classes, files that are not images are passed over and counted, see
// imaging.IsImage, and so are hidden ones. An image that cannot be decoded is
// ErrBroken, with its name. Anything else is ErrUnrecognized, with what was found.
func Open(path string, o Options) (Splits, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Splits{}, errors.Wrapf(err, "open data set %s", path)
	}
	return open(path, strings.TrimSuffix(filepath.Base(absolute), ".csv"), o)
}

func open(path, name string, o Options) (Splits, error) {
	if err := o.checkBackground(); err != nil {
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
		if err != nil {
			return Splits{}, errors.Wrapf(err, "open data set %s", path)
		}
		if recognized {
			splits.setName(name)
			return splits, nil
		}
	}
	return Splits{}, errors.Wrapf(ErrUnrecognized, "open data set %s: found %s; expected %s", path, listing(dir.names()), accepted)
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
