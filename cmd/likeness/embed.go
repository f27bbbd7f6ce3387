package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// embedCommand turns images into vectors.
type embedCommand struct {
	Images []string `arg:"" placeholder:"IMAGE" help:"Images, or folders of images."`
	Model  string   `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: omniglot of the zoo, if it suits the images."`
	Out    string   `required:"" placeholder:"FILE" help:"FILE.npy for NumPy or FILE.csv."`
}

// Help is what --help says beside the flags.
func (embedCommand) Help() string {
	return `One vector an image, in the order of the arguments; the images of a folder, and of those in it, come in the order of their names. A .npy file is an array of float32 of the shape (images, features), for numpy.load. A .csv file has the header file,e0,e1,… and so names the images.

Example:
  likeness embed photos more/a.png --out embeddings.csv`
}

// Run embeds.
func (e *embedCommand) Run(c *console) error {
	write, known := map[string]func(io.Writer, []string, [][]float32) error{".npy": writeNpy, ".csv": writeCSV}[filepath.Ext(e.Out)]
	if !known {
		return errors.Errorf("out: found %q, expected a file that ends in .npy or .csv", e.Out)
	}
	files, err := imageFiles(e.Images)
	if err != nil {
		return err
	}
	model, _, err := loadModel(c, e.Model, files...)
	if err != nil {
		return err
	}
	collection, err := embedFiles(c, model, files, false)
	if err != nil {
		return err
	}
	vectors := make([][]float32, len(files))
	for i := range vectors {
		vectors[i] = collection.Embeddings.Row(i)
	}
	if err := atomicfile.WriteFile(e.Out, func(w io.Writer) error { return write(w, files, vectors) }); err != nil {
		return err
	}
	c.say("wrote %d vectors of %d features to %s", len(vectors), len(vectors[0]), e.Out)
	return nil
}

var errInterrupted = errors.New("interrupted: nothing is written")

// embedFiles reads and embeds, and shows how far it is where that takes long.
func embedFiles(c *console, model *likeness.Model, files []string, skipBroken bool) (*retrieval.Collection, error) {
	shown := newCounter(c.err, unit{what: "images"})
	collection, err := retrieval.Embed(c, model, files, retrieval.Options{
		SkipBroken: skipBroken,
		OnProgress: shown.of,
	})
	shown.close()
	if err != nil && c.Err() != nil {
		return nil, errInterrupted
	}
	return collection, err
}

// imageFiles are the paths, and for a folder the images in it and its folders,
// without hidden ones.
func imageFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, errors.Wrap(err, "find images")
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		before := len(files)
		root := path + string(filepath.Separator) // a link is followed, too
		err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			hidden := file != root && strings.HasPrefix(entry.Name(), ".")
			switch {
			case entry.IsDir() && hidden:
				return fs.SkipDir
			case !entry.IsDir() && !hidden && imaging.HasExtension(file):
				// A pipe would be waited for. A link that leads nowhere is told of when it
				// is read.
				if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
					return errors.Errorf("%s is no file", file)
				}
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return nil, errors.Wrap(err, "find images")
		}
		if len(files) == before {
			return nil, errors.Errorf("the folder %s holds no images", path)
		}
	}
	return files, nil
}
