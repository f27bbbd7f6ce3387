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

// Found is the result of Find.
type Found struct {
	Files   []string // images, in the order of the paths and, in folders, of their names
	Skipped Skipped
}

// ErrNoImages is the error if neither a folder nor its subfolders contain images.
var ErrNoImages = errors.New("contains no images")

// Find returns the paths of files, and for a folder those of the images in it and its
// subfolders; see IsImage. Files that are not images and hidden files are skipped; hidden
// folders and links to folders are not entered. A link that leads nowhere and has the name of
// an image is a path, so that it is reported when it is decoded. For a folder without images
// the error is ErrNoImages. A pipe or device with the name of an image, which reading would wait for,
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
				return errors.Wrap(explained(err), "find images")
			}
			if file == root {
				return nil
			}
			return inside.add(file, entry)
		})
		if err != nil {
			return Found{}, errors.WithStack(err)
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
		if errors.Is(err, fs.ErrNotExist) { // a link that leads nowhere, or a file that was deleted meanwhile
			image, err = true, nil
		}
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

// textExtensions are extensions of files that are not images, whatever their first bytes
// are: a text may begin as a PGM file does.
var textExtensions = []string{".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".html", ".htm", ".yaml", ".yml", ".toml", ".ini", ".log", ".tex", ".py", ".m", ".sh"}

// copySuffixes end the names that programs give to copies and to incomplete files.
var copySuffixes = []string{"~", "_original", ".bak", ".orig", ".old", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp"}

// IsImage reports whether the file at a path, or the target of a link, should be read as
// an image. It is true for the extensions of the Formats, whatever the content, so that
// a damaged image is reported when it is decoded. Otherwise the first bytes decide,
// except that texts (.txt, .csv, …) and copies (photo.jpg~, photo.jpg.bak, …) are not
// images. A pipe or device with the name of an image is an error.
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
		return false, errors.Errorf("find images: %s is not a regular file", path)
	case named:
		return true, nil
	}
	name := strings.ToLower(filepath.Base(path))
	isSuffix := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
	if !info.Mode().IsRegular() || info.Size() == 0 || slices.ContainsFunc(copySuffixes, isSuffix) || slices.Contains(textExtensions, filepath.Ext(name)) {
		return false, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return false, nil // nothing says that it is an image
	}
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

// Skipped counts files that are not images, such as annotations and readme files. The
// zero value counts none.
type Skipped struct {
	Count int
	// Kinds counts them by the extension in lower case, such as ".csv", or as "hidden",
	// "without an extension", "link to a folder" or "of another kind".
	Kinds map[string]int
	// First are the paths of the first of them, at most MaxSkipped.
	First []string
}

// MaxSkipped is the largest number of files that Skipped names.
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

// Merge adds the counts of q. A nil p counts nothing.
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

// String is a text such as "43 files that are not images (42 .csv, 1 hidden)".
func (p Skipped) String() string {
	const maxKinds = 6
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
		if i >= maxKinds {
			others += p.Kinds[kind]
		}
		kinds[i] = fmt.Sprintf("%d %s", p.Kinds[kind], kind)
	}
	if others > 0 {
		kinds = append(kinds[:maxKinds], fmt.Sprintf("%d of other kinds", others))
	}
	files := "files that are not images"
	if p.Count == 1 {
		files = "file that is not an image"
	}
	return fmt.Sprintf("%d %s (%s)", p.Count, files, strings.Join(kinds, ", "))
}
