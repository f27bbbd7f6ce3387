package datasets

import (
	"archive/zip"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// load reads one image for each of d.Sources in parallel and sets Images, Size
// and Inverted. With o.Stream it sets From in the place of Images: every file is decoded once,
// so that one that is broken is found before a training begins, and its pixels stay in the
// cache only. open opens the file of image i, an io.Seeker for o.Stream. The first file, in order, that
// cannot be read is the error, ErrBroken, or with SkipBroken all such files are
// returned and their images left out. An error that other files would meet as well, see
// imaging.Skippable, is an error by itself, also with SkipBroken.
func (d *Dataset) load(o Options, open func(i int) (io.ReadCloser, error)) (skipped []string, err error) {
	failures := make([]error, len(d.Sources))
	read := func(i int, decode func(r io.Reader) error) error {
		if failures[i] != nil {
			return nil // passed over before
		}
		file, err := open(i)
		if err == nil {
			err = decode(file)
			file.Close()
		}
		switch {
		case err == nil:
			return nil
		case !isBroken(err):
			return err
		case o.SkipBroken:
			failures[i] = err
			return nil
		}
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	own, err := d.ownSize(o, failures, read)
	if err != nil {
		return nil, err
	}
	p, err := o.preprocessing(own)
	if err != nil {
		return nil, err
	}
	d.setPreprocessing(p)
	var files *Files
	if o.Stream {
		references := make([]Reference, len(d.Sources))
		for i, path := range d.Sources {
			references[i] = Reference{Path: path, Class: -1}
		}
		files = newFiles(references, nil, p, o.cache)
		d.From, d.Indices = files, upTo(len(references))
	} else {
		d.Images = make([][]uint8, len(d.Sources))
	}
	err = parallel.EachProgress(context.Background(), parallel.MaxOpenFiles, len(d.Sources), o.OnProgress, func(i int) error {
		return read(i, func(r io.Reader) error {
			if files != nil {
				return files.first(i, r.(io.ReadSeeker))
			}
			img, err := imaging.Decode(r, d.Sources[i])
			if err == nil {
				d.Images[i] = p.Pixels(img)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	var kept []int
	for i, failure := range failures {
		if failure == nil {
			kept = append(kept, i)
		} else {
			skipped = append(skipped, failure.Error())
		}
	}
	if len(kept) == 0 {
		return nil, d.noneRead()
	}
	*d = *d.Subset(kept)
	return skipped, nil
}

// ownSize is the size that all files have, with three channels if any of them
// has colors. It reads the headers only, and nothing when the options say all.
func (d *Dataset) ownSize(o Options, failures []error, read func(i int, decode func(r io.Reader) error) error) (imaging.Size, error) {
	if o.Size.Height != 0 && o.Size.Width != 0 && o.Size.Channels != 0 {
		return o.Size, nil
	}
	sizes := make([]imaging.Size, len(d.Sources))
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, len(d.Sources), func(i int) error {
		return read(i, func(r io.Reader) (err error) {
			sizes[i], err = imaging.DecodeSize(r, d.Sources[i])
			return err
		})
	})
	if err != nil {
		return imaging.Size{}, err
	}
	var own imaging.Size
	first := -1
	for i, size := range sizes {
		if failures[i] != nil {
			continue
		}
		if first < 0 {
			own, first = size, i
		}
		if o.Size.Height == 0 && (size.Height != own.Height || size.Width != own.Width) {
			return own, errors.Wrapf(ErrSizes, "the images differ in size: %s has %s pixels, %s has %s", d.Sources[first], pixels(own), d.Sources[i], pixels(size))
		}
		own.Channels = max(own.Channels, size.Channels)
	}
	if first < 0 {
		return own, d.noneRead()
	}
	return own, nil
}

// isBroken reports whether an error is about one image file alone, see imaging.Skippable, or
// about its entry in an archive.
func isBroken(err error) bool {
	var corrupt flate.CorruptInputError
	return imaging.Skippable(err) || errors.As(err, &corrupt) ||
		errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm)
}

func (d *Dataset) noneRead() error {
	return errors.Wrapf(ErrTooFew, "none of %d files could be read as an image", len(d.Sources))
}

func pixels(size imaging.Size) string { return fmt.Sprintf("%d x %d", size.Height, size.Width) }

// folder is a folder's path and, in order, the names of the folders and the
// files that it contains, and of the hidden files.
type folder struct {
	path                   string
	folders, files, hidden []string
}

// newFolder lists a folder. Hidden entries are left out, links count as what
// they lead to. For the path of a file it is the file's folder with this file
// alone.
func newFolder(path string) (folder, error) {
	info, err := os.Stat(path)
	if err != nil {
		return folder{}, err
	}
	if !info.IsDir() {
		return folder{path: filepath.Dir(path), files: []string{filepath.Base(path)}}, nil
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return folder{}, err
	}
	dir := folder{path: path}
	for _, entry := range list {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || slices.Contains([]string{"__MACOSX", "Thumbs.db", "desktop.ini"}, name) {
			if !entry.IsDir() {
				dir.hidden = append(dir.hidden, name)
			}
			continue
		}
		info, err := os.Stat(dir.join(name))
		if errors.Is(err, fs.ErrNotExist) && imaging.HasExtension(name) {
			dir.files = append(dir.files, name) // a link that leads nowhere: reading the image reports it
			continue
		}
		if err != nil {
			return folder{}, err
		}
		switch {
		case info.IsDir():
			dir.folders = append(dir.folders, name)
		case info.Mode().IsRegular():
			dir.files = append(dir.files, name)
		default:
			return folder{}, errors.Errorf("%s is neither a file nor a folder", dir.join(name))
		}
	}
	return dir, nil
}

// openFile opens a file or what a link to a file leads to. A pipe or a device that in the
// data would block or never end.
func openFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.Errorf("%s is not a file", path)
	}
	return imaging.OpenFile(path) // which says what a link leads to
}

// images returns the paths of the images among the files, see imaging.IsImage. The
// others are counted as passed over.
func (f folder) images(passed *imaging.Skipped) ([]string, error) {
	var images []string
	for _, name := range f.hidden {
		passed.Add(f.join(name))
	}
	for _, name := range f.files {
		path := f.join(name)
		image, err := imaging.IsImage(path)
		if errors.Is(err, fs.ErrNotExist) { // reading it reports it
			image, err = true, nil
		}
		if err != nil {
			return nil, err
		}
		if image {
			images = append(images, path)
		} else {
			passed.Add(path)
		}
	}
	return images, nil
}

func (f folder) join(name string) string { return filepath.Join(f.path, name) }

func (f folder) names() []string { return slices.Concat(f.folders, f.files) }

// CacheFolder returns the folder in which a published data set is stored for all programs
// of a user: likeness/NAME in os.UserCacheDir. It need not exist.
func CacheFolder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrapf(err, "find the cache folder of %s", name)
	}
	return filepath.Join(cache, "likeness", name), nil
}
