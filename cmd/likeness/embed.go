package main

import (
	"io"
	"path/filepath"

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
	return `One vector an image, in the order of the arguments; the images of a folder, and of those in it, come in the order of their names. What lies beside them is passed over and listed; a file without an extension is an image if its content is. A .npy file is an array of float32 of the shape (images, features), for numpy.load. A .csv file has the header file,e0,e1,… and so names the images.

Example:
  likeness embed photos more/a.png --out embeddings.csv`
}

// Run embeds.
func (e *embedCommand) Run(c *console) error {
	write, known := map[string]func(io.Writer, []string, [][]float32) error{".npy": writeNpy, ".csv": writeCSV}[filepath.Ext(e.Out)]
	if !known {
		return errors.Errorf("out: found %q, expected a file that ends in .npy or .csv", e.Out)
	}
	files, err := imageFiles(c, e.Images)
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

// imageFiles are the paths, and for a folder the images in it and its folders; see
// imaging.Find. It says what was passed over.
func imageFiles(c *console, paths []string) ([]string, error) {
	found, err := imaging.Find(paths...)
	if err != nil {
		return nil, err
	}
	sayPassedOver(c, found.Skipped)
	return found.Files, nil
}

// sayPassedOver lists the first files of folders that are no images, and counts all.
func sayPassedOver(c *console, passed imaging.Skipped) {
	if passed.Count == 0 {
		return
	}
	c.say("passed over  %v", passed)
	for _, file := range passed.First {
		c.say("             %s", file)
	}
	if more := passed.Count - len(passed.First); more > 0 {
		c.say("             and %d more", more)
	}
}
