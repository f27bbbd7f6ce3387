package imaging

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Found is what Find finds.
type Found struct {
	Files   []string // images, in the order of the paths and, in folders, of their names
	Skipped Skipped
}

// ErrNoImages says that a folder has no images in it or its folders.
var ErrNoImages = errors.New("holds no images")

// Find returns the paths of files, and for a folder the images in it and its folders;
// see IsImage. Files that are no images are passed over, and so are hidden ones;
// hidden folders are not entered, nor are links to folders. A folder without images is
// ErrNoImages; a pipe or a device that is named as an image, which would be waited for,
// is an error, too.
func Find(paths ...string) (Found, error) {
	var found Found
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return Found{}, errors.Wrap(explained(err), "find images")
		}
		if !info.IsDir() {
			found.Files = append(found.Files, path)
			continue
		}
		inside := Found{}
		root := path + string(filepath.Separator) // a link is followed, too
		err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return explained(err)
			}
			if file == root {
				return nil
			}
			return inside.add(file, entry)
		})
		if err != nil {
			return Found{}, errors.Wrap(err, "find images")
		}
		if len(inside.Files) == 0 {
			if inside.Skipped.Count > 0 {
				return Found{}, fmt.Errorf("the folder %s %w (%s), only %v", path, ErrNoImages, formatNames(), inside.Skipped)
			}
			return Found{}, fmt.Errorf("the folder %s %w (%s)", path, ErrNoImages, formatNames())
		}
		found.Files = append(found.Files, inside.Files...)
		found.Skipped.Merge(inside.Skipped)
	}
	return found, nil
}

func (f *Found) add(file string, entry fs.DirEntry) error {
	hidden := strings.HasPrefix(entry.Name(), ".")
	if entry.IsDir() {
		if hidden {
			return fs.SkipDir
		}
		return nil
	}
	image, err := false, error(nil)
	if !hidden {
		image, err = IsImage(file)
	}
	if err != nil {
		return err
	}
	switch info, err := os.Stat(file); {
	case image:
		f.Files = append(f.Files, file)
	case err == nil && info.IsDir():
		f.Skipped.add(file, "link to a folder")
	default:
		f.Skipped.Add(file)
	}
	return nil
}

// textExtensions are of files that are no images, whatever their first bytes say: a
// text may begin as a PGM file does.
var textExtensions = []string{".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".html", ".htm", ".yaml", ".yml", ".toml", ".ini", ".log", ".tex", ".py", ".m", ".sh"}

// copySuffixes are of the names that programs give to copies and to parts of files.
var copySuffixes = []string{"~", "_original", ".bak", ".orig", ".old", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp"}

// IsImage says whether the file at a path, or what a link there leads to, is to be
// read as an image. An extension of one of the Formats says yes, whatever the content:
// then a damaged image is found to be one. Otherwise the first bytes decide, as for
// files without an extension; but names of texts (.txt, .csv, …) and of copies
// (photo.jpg~, photo.jpg.bak, …) say no. A pipe or a device that is named as an image
// is an error; what is no file otherwise is no image.
func IsImage(path string) (bool, error) {
	named := HasExtension(path)
	info, err := os.Stat(path)
	switch {
	case err != nil && (named || !errors.Is(err, fs.ErrNotExist)):
		return false, errors.Wrap(explained(err), "find images")
	case err != nil: // a link that leads nowhere
		return false, nil
	case info.IsDir():
		return false, nil
	case named && !info.Mode().IsRegular():
		return false, errors.Errorf("%s is no file", path)
	case named:
		return true, nil
	}
	name := strings.ToLower(filepath.Base(path))
	isSuffix := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
	if !info.Mode().IsRegular() || info.Size() == 0 || slices.ContainsFunc(copySuffixes, isSuffix) || slices.Contains(textExtensions, filepath.Ext(name)) {
		return false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return false, errors.Wrap(explained(err), "find images")
	}
	defer file.Close()
	head := make([]byte, headLength)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return false, errors.Wrapf(err, "find images: read %s", path)
	}
	c := codecOf(head[:n])
	return c != nil && (head[0] != 'P' || netpbmHeader(head[:n])), nil
}

// PassedOver counts files that lie beside images and are none, such as lists of
// annotations and readme files. The zero value is none.
type Skipped struct {
	Count int
	// Kinds counts them by the extension in lower case, such as ".csv", or as "hidden",
	// "without an extension", "link to a folder" or "of another kind".
	Kinds map[string]int
	// First are the paths of the first of them, MostPassedOver at most.
	First []string
}

// MostPassedOver is how many files PassedOver names.
const MaxSkipped = 10

// Add counts a file. A nil p counts nothing.
func (p *Skipped) Add(path string) {
	kind := strings.ToLower(filepath.Ext(path))
	switch {
	case strings.HasPrefix(filepath.Base(path), "."):
		kind = "hidden"
	case kind == "" || kind == ".":
		kind = "without an extension"
	case len(kind) > 16 || strings.ContainsFunc(kind[1:], func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' }):
		kind = "of another kind"
	}
	p.add(path, kind)
}

func (p *Skipped) add(path, kind string) {
	p.Merge(Skipped{1, map[string]int{kind: 1}, []string{path}})
}

// Merge adds those of q. A nil p counts nothing.
func (p *Skipped) Merge(q Skipped) {
	if p == nil {
		return
	}
	p.Count += q.Count
	if p.Kinds == nil && len(q.Kinds) > 0 {
		p.Kinds = map[string]int{}
	}
	for kind, count := range q.Kinds {
		p.Kinds[kind] += count
	}
	p.First = append(p.First, q.First[:min(len(q.First), max(0, MaxSkipped-len(p.First)))]...)
}

// String is such as "43 files that are no images (42 .csv, 1 hidden)".
func (p Skipped) String() string {
	const most = 6 // kinds
	var kinds []string
	for kind := range p.Kinds {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if p.Kinds[a] != p.Kinds[b] {
			return p.Kinds[b] - p.Kinds[a]
		}
		return strings.Compare(a, b)
	})
	others := 0
	for i, kind := range kinds {
		if i >= most {
			others += p.Kinds[kind]
		}
		kinds[i] = fmt.Sprintf("%d %s", p.Kinds[kind], kind)
	}
	if others > 0 {
		kinds = append(kinds[:most], fmt.Sprintf("%d of other kinds", others))
	}
	files := "files that are no images"
	if p.Count == 1 {
		files = "file that is no image"
	}
	return fmt.Sprintf("%d %s (%s)", p.Count, files, strings.Join(kinds, ", "))
}
