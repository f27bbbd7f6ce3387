package main

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// enrollCommand adds examples to a gallery.
type enrollCommand struct {
	Class   string        `arg:"" optional:"" placeholder:"CLASS" help:"What the images are of."`
	Images  []string      `arg:"" optional:"" placeholder:"IMAGE" help:"Images, or folders of images."`
	Folder  string        `placeholder:"DIR" help:"Enroll a folder of images for each class, in place of CLASS and IMAGE."`
	Gallery string        `required:"" placeholder:"FILE" help:"The gallery's file, which is made if it is not there."`
	Model   string        `placeholder:"MODEL" help:"The model of a new gallery, which it keeps: a model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: omniglot of the zoo, if it suits the images. A gallery that is there has its own."`
	Rule    string        `placeholder:"RULE" help:"How a new gallery compares an image with a class: nearest (to its nearest example, default) or prototype (to the mean of its examples)."`
	Wait    time.Duration `default:"1m" placeholder:"TIME" help:"How long to wait while another process has the gallery open, such as 30s or 5m. [1m]"`
}

// Help is what --help says beside the flags.
func (enrollCommand) Help() string {
	return `A gallery knows classes from one or a few images of each. It is one file that keeps their embeddings, not the images; an image is enrolled for good when the command says so, whatever happens then. An image that cannot be read stops the command, and nothing is enrolled; files of folders that are no images are passed over and listed. One that is enrolled twice counts twice.

Examples:
  likeness enroll alice alice1.jpg alice2.jpg --gallery faces.gallery --model runs/faces
  likeness enroll --folder people --gallery faces.gallery
  likeness identify photo.jpg --gallery faces.gallery

A gallery keeps to the model that it was made with: embeddings of two models cannot be compared.

The name of a class is UTF-8 without control characters, line separators and characters that change the direction of text, and neither begins nor ends with white space.`
}

// Run enrols.
func (e *enrollCommand) Run(c *console) error {
	if (e.Class == "") == (e.Folder == "") {
		return errors.New("expected either a class and its images or --folder DIR with a folder of images for each class")
	}
	if e.Folder == "" && len(e.Images) == 0 {
		return errors.Errorf("class %q: expected an image or more, such as likeness enroll %s a.png --gallery %s", e.Class, e.Class, e.Gallery)
	}
	if e.Wait < 0 {
		return errors.Errorf("--wait: found %v, expected 0 or more", e.Wait)
	}
	var found imaging.Found
	var err error
	if e.Folder == "" {
		found.Files, err = imageFiles(c, e.Images)
	} else {
		if found, err = imaging.Find(e.Folder); errors.Is(err, imaging.ErrNoImages) {
			err = errors.WithMessage(err, "--folder: expected a subfolder of images for each class")
		}
	}
	if err != nil {
		return err
	}
	shown := newCounter(c.err, unit{what: "images"})
	defer shown.close()
	g, created, err := e.open(c, found.Files, gallery.Options{Rule: gallery.Rule(e.Rule), OnProgress: shown.of})
	if err != nil {
		return err
	}
	said, err := e.enroll(c, g, found)
	if err != nil && created {
		_, _ = g.Discard() // if nobody has enrolled in it meanwhile
	}
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	c.print("%s", said)
	return nil
}

func (e *enrollCommand) enroll(c *console, g *gallery.Gallery, found imaging.Found) (string, error) {
	said := fmt.Sprintf("enrolled %d examples of %s", len(found.Files), e.Class)
	if e.Folder == "" {
		if err := g.EnrollFiles(c, e.Class, found.Files...); err != nil {
			return "", err
		}
	} else {
		classes, examples, err := g.EnrollFound(c, e.Folder, found)
		if err != nil {
			return "", err
		}
		said = fmt.Sprintf("enrolled %d examples of %d classes", examples, classes)
		sayPassedOver(c, found.Skipped)
	}
	_, calibrated := g.Calibration()
	sayUndecided(c, calibrated || g.Model().Threshold != nil)
	return fmt.Sprintf("%s; %s holds %d of %d", said, e.Gallery, g.Len(), len(g.Classes())), nil
}

// open opens the gallery with its own model, or makes it. While another process has it
// open it waits, and says so if that takes longer. The files are images for which the
// model of a new gallery must suit.
func (e *enrollCommand) open(c *console, files []string, options gallery.Options) (g *gallery.Gallery, created bool, err error) {
	for again := true; ; again = false {
		model, fresh, err := e.model(c, files)
		if err != nil {
			return nil, false, err
		}
		options.ModelName = model.name
		err = e.patiently(c, func(timeout time.Duration) (err error) {
			options.Timeout = timeout
			g, created, err = gallery.OpenOrCreate(c, e.Gallery, model.model, options)
			return err
		})
		if again && fresh && errors.Is(err, gallery.ErrModel) {
			continue // another process made it meanwhile, with a model that is its own
		}
		if err != nil {
			return nil, false, err
		}
		model.say(c)
		return g, created, nil
	}
}

// model loads the model that is named, or the gallery's own or, where the gallery is
// not there yet, one for the images; fresh says the last.
func (e *enrollCommand) model(c *console, files []string) (model foundModel, fresh bool, err error) {
	if e.Model != "" {
		model, err = loadNamed(c, e.Model)
		return model, false, err
	}
	var description gallery.Description
	err = e.patiently(c, func(timeout time.Duration) (err error) {
		description, err = gallery.DescribeWithin(c, e.Gallery, timeout)
		return err
	})
	switch {
	case err == nil:
		model, err = galleryModel(c, e.Gallery, description)
		return model, false, err
	case !errors.Is(err, fs.ErrNotExist):
		return foundModel{}, false, err
	}
	model, err = newGalleryModel(c, files)
	return model, true, err
}

// patiently opens something of the gallery, first without much waiting for other
// processes.
func (e *enrollCommand) patiently(c *console, open func(timeout time.Duration) error) error {
	const quiet = time.Second
	err := open(min(e.Wait, quiet))
	if errors.Is(err, gallery.ErrLocked) && e.Wait > quiet {
		c.say("waiting      up to %v: another process has %s open", e.Wait, e.Gallery)
		err = open(e.Wait)
	}
	if errors.Is(err, gallery.ErrLocked) {
		err = errors.WithMessage(err, "--wait waits longer")
	}
	return err
}
