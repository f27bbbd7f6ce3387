package datasets

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

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

// openFile opens a file or what a link to a file leads to. A pipe or a device that
// somebody put into the data would be waited for, or never end.
func openFile(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Errorf("%s is no file", path)
	}
	return imaging.OpenFile(path)
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
