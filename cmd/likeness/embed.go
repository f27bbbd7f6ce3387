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
	"github.com/pkg/errors"
)

// embedCommand turns images into vectors.
type embedCommand struct {
	Images []string `arg:"" placeholder:"IMAGE" help:"Images, or folders of images."`
	Model  string   `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: the newest run in runs, or omniglot of the zoo."`
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
	model, _, err := loadModel(c, e.Model)
	if err != nil {
		return err
	}
	files, err := imageFiles(e.Images)
	if err != nil {
		return err
	}
	vectors, err := embedFiles(c, model, files)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(e.Out, func(w io.Writer) error { return write(w, files, vectors) }); err != nil {
		return err
	}
	c.say("wrote %d vectors of %d features to %s", len(vectors), len(vectors[0]), e.Out)
	return nil
}

// embedFiles reads and embeds some images at a time, so that there may be many.
func embedFiles(c *console, model *likeness.Model, files []string) ([][]float32, error) {
	const some = 64
	var vectors [][]float32
	for from := 0; from < len(files); from += some {
		if err := c.Err(); err != nil {
			return nil, errors.New("interrupted: nothing is written")
		}
		var pixels [][]uint8
		for _, file := range files[from:min(from+some, len(files))] {
			img, err := imaging.DecodeFile(file)
			if err != nil {
				return nil, err
			}
			pixels = append(pixels, model.Preprocessing.Pixels(img))
		}
		rows, err := model.EmbedPixels(pixels)
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, rows...)
	}
	return vectors, nil
}

// imageFiles are the paths, and for a folder the images in it and its folders.
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
		err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && imaging.HasExtension(file) && !strings.HasPrefix(entry.Name(), ".") {
				files = append(files, file)
			}
			return err
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
