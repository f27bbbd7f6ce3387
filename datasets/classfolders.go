package datasets

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// partNames are the folders that hold a part of the data, in small letters.
var partNames = map[string]string{
	"train": "train", "training": "train",
	"val": "validation", "valid": "validation", "validation": "validation",
	"test": "test", "testing": "test",
}

// openParts reads folders such as train and test, each of class folders. They may
// have different classes.
func openParts(dir folder, o Options) (Splits, bool, error) {
	named := map[string]string{} // part → folder
	var others []string
	for _, name := range dir.folders {
		part, known := partNames[strings.ToLower(name)]
		if !known {
			others = append(others, name)
			continue
		}
		if named[part] != "" {
			return Splits{}, true, errors.Errorf("found both %s and %s, expected one folder of %s images", named[part], name, part)
		}
		named[part] = name
	}
	// A class may be called "test"; only with train, or with nothing else, is it a
	// part.
	if len(named) == 0 || named["train"] == "" && len(others) > 0 {
		return Splits{}, false, nil
	}
	if len(others) > 0 {
		return Splits{}, true, errors.Errorf("found %s beside %s, expected only folders called train, val and test", listing(others), named["train"])
	}
	var splits Splits
	if _, err := dir.images(&splits.PassedOver); err != nil {
		return Splits{}, true, err
	}
	var first *Dataset
	for _, part := range []struct {
		name string
		into **Dataset
	}{{"train", &splits.Train}, {"validation", &splits.Validation}, {"test", &splits.Test}} {
		if named[part.name] == "" {
			continue
		}
		d, err := splits.readClasses(dir.join(named[part.name]), o)
		if err != nil {
			return Splits{}, true, err
		}
		if first == nil {
			first = d
		}
		if d.Size != first.Size {
			return Splits{}, true, errors.Wrapf(ErrSizes, "the images of %s have size %v, those before it %v", named[part.name], d.Size, first.Size)
		}
		d.Name = part.name
		*part.into = d
	}
	return splits, true, nil
}

// openClasses reads a folder of images for each class.
func openClasses(dir folder, o Options) (splits Splits, recognized bool, err error) {
	if len(dir.folders) < 2 {
		return Splits{}, false, nil
	}
	if splits.Train, err = splits.readClasses(dir.path, o); err != nil {
		return Splits{}, true, err
	}
	splits.Train.Name = "train"
	return splits, true, nil
}

// readClasses reads the images of a folder's sub-folders, each a class that is called
// after it. One that holds folders in place of images is a group of classes such as
// "Greek/alpha". A class may have a single image, though it then yields no pair of its
// own, but not none. Other files are skipped.
func (s *Splits) readClasses(path string, o Options) (*Dataset, error) {
	dir, err := newFolder(path)
	if err != nil {
		return nil, err
	}
	stray, err := dir.images(&s.PassedOver)
	if err != nil {
		return nil, err
	}
	if len(stray) > 0 { // it was meant to have a class
		return nil, errors.Errorf("the image %s lies outside the folders of the classes", stray[0])
	}
	if len(dir.folders) == 0 {
		return nil, errors.Wrapf(ErrTooFew, "%s has no class folders", path)
	}
	d := &Dataset{Labels: []int{}}
	for _, name := range dir.folders {
		inside, err := newFolder(dir.join(name))
		if err != nil {
			return nil, err
		}
		images, err := inside.images(&s.PassedOver)
		if err != nil {
			return nil, err
		}
		if len(inside.folders) == 0 {
			d.addClass(name, images)
			continue
		}
		if len(images) > 0 {
			return nil, errors.Errorf("%s holds the folder %s beside the image %s, expected images of a class or folders of classes", inside.path, inside.folders[0], filepath.Base(images[0]))
		}
		for _, class := range inside.folders {
			innermost, err := newFolder(inside.join(class))
			if err != nil {
				return nil, err
			}
			if len(innermost.folders) > 0 {
				return nil, errors.Errorf("the class folder %s holds the folder %s, expected images only", innermost.path, innermost.folders[0])
			}
			if images, err = innermost.images(&s.PassedOver); err != nil {
				return nil, err
			}
			d.addClass(name+"/"+class, images)
		}
	}
	if err := s.checkEmptyClass(d, path); err != nil {
		return nil, err
	}
	skipped, err := d.load(o, func(i int) (io.ReadCloser, error) { return imaging.OpenFile(d.Sources[i]) })
	if err != nil {
		return nil, err
	}
	s.Skipped = append(s.Skipped, skipped...)
	return d, s.checkEmptyClass(d, path)
}

// openUnlabeled reads the images of a folder and its subfolders without classes, or those of
// the folder train in it.
func openUnlabeled(dir folder, o Options) (splits Splits, err error) {
	path := dir.path
	for _, name := range dir.folders {
		if partNames[strings.ToLower(name)] == "train" {
			path = dir.join(name)
		}
	}
	found, err := imaging.Find(path)
	if err != nil {
		return Splits{}, err
	}
	d := &Dataset{Sources: found.Files}
	skipped, err := d.load(o, func(i int) (io.ReadCloser, error) { return imaging.OpenFile(d.Sources[i]) })
	if err != nil {
		return Splits{}, err
	}
	d.Name = "train"
	return Splits{Train: d, Skipped: skipped, PassedOver: found.Skipped}, nil
}

// addClass adds a class of image files, to be read.
func (d *Dataset) addClass(class string, files []string) {
	for range files {
		d.Labels = append(d.Labels, len(d.Classes))
	}
	d.Sources = append(d.Sources, files...)
	d.Classes = append(d.Classes, class)
}

func (s *Splits) checkEmptyClass(d *Dataset, path string) error {
	empty := difference(d.Classes, d.present())
	if len(empty) == 0 {
		return nil
	}
	err := errors.Wrapf(ErrTooFew, "%s has class folders without images: %s; fill or remove them", path, listing(empty))
	if s.PassedOver.Count > 0 {
		err = errors.WithMessagef(err, "passed over %v", s.PassedOver)
	}
	return err
}
