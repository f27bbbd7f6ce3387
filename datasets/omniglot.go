package datasets

import (
	"archive/zip"
	"cmp"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Omniglot (Lake, Salakhutdinov & Tenenbaum 2015): characters of 50 alphabets,
// each drawn once by the same twenty people, as 105 × 105 pixels of black ink on
// white, in ALPHABET/characterNN/NNNN_DD.png where DD is the drawer.

// omniglotBackgrounds are the choices of training alphabets; Lake's minimal
// splits are five alphabets each.
var omniglotBackgrounds = map[string]string{
	"background": "images_background", "small1": "images_background_small1", "small2": "images_background_small2",
}

const (
	omniglotEvaluation = "images_evaluation"
	defaultBackground  = "background"
)

// checkBackground refuses a choice of alphabets that there is not.
func (o Options) checkBackground() error {
	if _, known := omniglotBackgrounds[o.Background]; !known && o.Background != "" {
		return errors.Wrapf(ErrBackground, "found %s, expected background, small1 or small2", quoted(o.Background))
	}
	return nil
}

var omniglotPath = regexp.MustCompile(`(?:^|/)([^/]+/character\d+)/\d+_(\d+)\.png$`)

// openOmniglot reads the background alphabets that the options choose and the
// evaluation alphabets, each from a zip file or an unzipped folder, or what there
// is of them. Ink becomes 255 and paper 0; a class is called
// "Alphabet/character01".
func openOmniglot(dir folder, o Options) (Splits, bool, error) {
	if !slices.ContainsFunc(dir.names(), isOmniglot) {
		return Splits{}, false, nil
	}
	background := omniglotBackgrounds[cmp.Or(o.Background, defaultBackground)]
	o.Invert = true
	var splits Splits
	for _, part := range []struct {
		into        **Dataset
		title, stem string
	}{{&splits.Train, "train", background}, {&splits.Test, "test", omniglotEvaluation}} {
		d, err := splits.readOmniglot(dir, part.stem, o)
		if err != nil {
			return Splits{}, true, errors.Wrapf(err, "read %s", dir.join(part.stem))
		}
		if d != nil {
			d.Name = part.title
		}
		*part.into = d
	}
	if splits.Train == nil && (o.Background != "" || splits.Test == nil) {
		return Splits{}, true, errors.Errorf("found %s, expected %s.zip or its folder; Options.Background chooses the alphabets", listing(dir.names()), background)
	}
	return splits, true, nil
}

func isOmniglot(name string) bool {
	stem := strings.TrimSuffix(name, ".zip")
	for _, background := range omniglotBackgrounds {
		if stem == background {
			return true
		}
	}
	return stem == omniglotEvaluation
}

// readOmniglot reads the alphabets of one folder or zip file, the folder first;
// nil when there is neither.
func (s *Splits) readOmniglot(dir folder, stem string, o Options) (*Dataset, error) {
	switch {
	case slices.Contains(dir.folders, stem):
		return s.readAlphabets(os.DirFS(dir.join(stem)), stem, o, func(name string) (io.ReadCloser, error) {
			return imaging.OpenFile(filepath.Join(dir.join(stem), filepath.FromSlash(name)))
		})
	case slices.Contains(dir.files, stem+".zip"):
		name := dir.join(stem + ".zip")
		archive, err := zip.OpenReader(name)
		if err != nil {
			return nil, errors.Wrapf(err, "open %s", name)
		}
		defer archive.Close()
		return s.readAlphabets(&archive.Reader, stem+".zip", o, nil)
	}
	return nil, nil
}

// ReadAlphabets reads Omniglot's alphabets from a file system: a *zip.Reader over one of
// the official archives, or an unzipped folder (os.DirFS). All images, in
// ALPHABET/characterNN/NNNN_DD.png, are Train of the result, as Open reads them: ink is
// 255, and a class is called "Alphabet/character01". name is the name of the data set;
// Sources and errors begin with it. Options.Background must be empty, since the archive
// is chosen by the caller.
func ReadAlphabets(files fs.FS, name string, o Options) (splits Splits, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			splits, err = Splits{}, errors.Errorf("read alphabets of %s: the file system panics: %v", name, cause)
		}
	}()
	if files == nil {
		return Splits{}, errors.Errorf("read alphabets of %s: found a nil file system, expected a *zip.Reader or a folder", name)
	}
	if o.Background != "" {
		return Splits{}, errors.Wrapf(ErrBackground, "read alphabets of %s: found Options.Background %s, expected none: it chooses among the archives of a folder", name, quoted(o.Background))
	}
	o.Invert = true
	if splits.Train, err = splits.readAlphabets(files, name, o, nil); err != nil {
		return Splits{}, errors.Wrapf(err, "read alphabets of %s", name)
	}
	splits.Train.Name = "train"
	splits.setName(name)
	return splits, nil
}

// readAlphabets reads all images of a tree, which errors call by its root. Files that
// are not named as images are passed over. A nil open opens files by their file system.
func (s *Splits) readAlphabets(files fs.FS, root string, o Options, open func(name string) (io.ReadCloser, error)) (*Dataset, error) {
	if open == nil {
		open = func(name string) (io.ReadCloser, error) { return files.Open(name) }
	}
	if err := checkNames(files); err != nil {
		return nil, err
	}
	d := &Dataset{Labels: []int{}}
	var paths []string
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && name != "." || entry.Name() == "__MACOSX"
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case hidden:
			s.PassedOver.Add(filepath.Join(root, filepath.FromSlash(name)))
			return nil
		}
		info, err := fs.Stat(files, name) // of what a link leads to
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return errors.Errorf("found %s, which is not a file", cut(name))
		}
		if !imaging.HasExtension(name) {
			s.PassedOver.Add(filepath.Join(root, filepath.FromSlash(name)))
			return nil
		}
		match := omniglotPath.FindStringSubmatch(name)
		if match == nil {
			return errors.Errorf("found the file %s, expected ALPHABET/characterNN/NNNN_DD.png", cut(name))
		}
		drawer, err := strconv.Atoi(match[2])
		if err != nil {
			return errors.Wrapf(err, "the drawer of %s", name)
		}
		if len(d.Classes) == 0 || d.Classes[len(d.Classes)-1] != match[1] {
			d.Classes = append(d.Classes, match[1])
		}
		d.Labels = append(d.Labels, len(d.Classes)-1)
		d.Drawers = append(d.Drawers, drawer)
		d.Sources = append(d.Sources, filepath.Join(root, filepath.FromSlash(name)))
		paths = append(paths, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.Wrap(ErrTooFew, "it has no images")
	}
	o.Stream = false // images may be in an archive, and there are few
	skipped, err := d.load(o, func(i int) (io.ReadCloser, error) { return open(paths[i]) })
	if err != nil {
		return nil, err
	}
	s.Skipped = append(s.Skipped, skipped...)
	return d, d.Validate()
}

// checkNames refuses a zip archive with a name that leads out of it. Other file
// systems have no such names.
func checkNames(files fs.FS) error {
	archive, ok := files.(*zip.Reader)
	if !ok {
		return nil
	}
	if archive == nil {
		return errors.New("found a nil *zip.Reader")
	}
	for _, file := range archive.File {
		if inside := path.Clean(file.Name); !fs.ValidPath(inside) || strings.Contains(file.Name, `\`) {
			return errors.Errorf("found the name %s, which leads out of it", quoted(file.Name))
		}
	}
	return nil
}
