package main

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// enrollCommand adds examples to a gallery.
type enrollCommand struct {
	Class   string   `arg:"" optional:"" placeholder:"CLASS" help:"What the images are of."`
	Images  []string `arg:"" optional:"" placeholder:"IMAGE" help:"Images, or folders of images."`
	Folder  string   `placeholder:"DIR" help:"Enrol a folder of images for each class, in place of CLASS and IMAGE."`
	Gallery string   `required:"" placeholder:"FILE" help:"The gallery's file, which is made if it is not there."`
	Model   string   `placeholder:"MODEL" help:"The model of a new gallery, which it keeps: a model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: the newest run in runs, or omniglot of the zoo."`
	Rule    string   `placeholder:"RULE" help:"How a new gallery compares an image with a class: nearest (to its nearest example, usual) or prototype (to the mean of its examples)."`
}

// Help is what --help says beside the flags.
func (enrollCommand) Help() string {
	return `A gallery knows classes from one or a few images of each. It is one file that keeps their embeddings, not the images; an image is enrolled for good when the command says so, whatever happens then. An image that cannot be read stops the command, and nothing is enrolled; files of folders that are no images are passed over and listed. One that is enrolled twice counts twice.

Examples:
  likeness enroll alice alice1.jpg alice2.jpg --gallery faces.gallery --model runs/faces
  likeness enroll --folder people --gallery faces.gallery
  likeness identify photo.jpg --gallery faces.gallery

A gallery keeps to the model that it was made with: embeddings of two models cannot be compared.`
}

// Run enrols.
func (e *enrollCommand) Run(c *console) error {
	if (e.Class == "") == (e.Folder == "") {
		return errors.New("expected either a class and its images or --folder DIR with a folder of images for each class")
	}
	if e.Folder == "" && len(e.Images) == 0 {
		return errors.Errorf("class %q: expected an image or more, such as likeness enroll %s a.png --gallery %s", e.Class, e.Class, e.Gallery)
	}
	files, err := imageFiles(c, e.Images)
	if err != nil {
		return err
	}
	shown := newCounter(c.err, unit{what: "images"})
	defer shown.close()
	g, created, err := e.open(c, gallery.Options{Rule: gallery.Rule(e.Rule), OnProgress: shown.of})
	if err != nil {
		return err
	}
	said, err := e.enroll(c, g, files)
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil && created {
		_ = os.Remove(e.Gallery) // which nothing is in
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, said)
	return err
}

func (e *enrollCommand) enroll(c *console, g *gallery.Gallery, files []string) (string, error) {
	said := fmt.Sprintf("enrolled %d examples of %s", len(files), e.Class)
	if e.Folder == "" {
		if err := g.EnrollFiles(c, e.Class, files...); err != nil {
			return "", err
		}
	} else {
		classes, examples, err := g.EnrollFolder(c, e.Folder)
		if err != nil {
			return "", err
		}
		said = fmt.Sprintf("enrolled %d examples of %d classes", examples, classes)
		if found, err := imaging.Find(e.Folder); err == nil { // the gallery found the same
			sayPassedOver(c, found.PassedOver)
		}
	}
	_, calibrated := g.Calibration()
	sayUndecided(c, calibrated || g.Model().Threshold != nil)
	return fmt.Sprintf("%s; %s holds %d of %d", said, e.Gallery, g.Len(), len(g.Classes())), nil
}

// open opens the gallery, or makes it.
func (e *enrollCommand) open(c *console, options gallery.Options) (g *gallery.Gallery, created bool, err error) {
	if _, err := gallery.Describe(e.Gallery); !errors.Is(err, fs.ErrNotExist) {
		g, err := galleryFlags{e.Gallery, e.Model}.open(c, options)
		return g, false, err
	}
	model, name, err := loadNamed(c, e.Model)
	if err != nil {
		return nil, false, err
	}
	options.ModelName = name
	g, err = gallery.Create(e.Gallery, model, options)
	return g, true, err
}
