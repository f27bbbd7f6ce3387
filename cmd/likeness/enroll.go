package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// enrollCommand adds examples to a gallery.
type enrollCommand struct {
	Class   string        `arg:"" optional:"" placeholder:"CLASS" help:"Class of the images."`
	Images  []string      `arg:"" optional:"" placeholder:"IMAGE" help:"Images or folders of images."`
	Folder  string        `placeholder:"DIR" help:"Enroll all classes of a folder with one folder of images per class, instead of CLASS and IMAGE."`
	Gallery string        `required:"" placeholder:"GALLERY" help:"Gallery: a file or a PostgreSQL URI, such as postgres://USER@HOST/DATABASE. It is created if it does not exist."`
	Model   string        `placeholder:"MODEL" help:"Model of a new gallery: a model file, a run folder or the name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings. An existing gallery keeps its model."`
	Rule    string        `placeholder:"RULE" help:"Distance between an image and a class in a new gallery: nearest (to the nearest example, the default) or prototype (to the mean of the examples)."`
	Wait    time.Duration `default:"1m" placeholder:"TIME" help:"Maximum time to wait while another process has the gallery open, such as 30s or 5m. [1m]"`
	skipFlag
	cacheFlags
}

// Help returns the text of --help before the flags.
func (enrollCommand) Help() string {
	return `A gallery recognizes classes from one or a few example images each. It is one file with the embeddings of the examples, not the images, or tables in PostgreSQL for several processes: see docs/galleries.md. Examples are stored durably when the command reports them. If an image cannot be read, nothing is enrolled, unless --skip-broken is given; other files in folders are ignored and listed. An image that is enrolled twice counts twice.

Examples:
  likeness enroll alice alice1.jpg alice2.jpg --gallery faces.gallery --model runs/faces
  likeness enroll --folder people --gallery faces.gallery
  likeness identify photo.jpg --gallery faces.gallery

A gallery always uses the model that it was created with, because embeddings of different models cannot be compared.

The name of a class is UTF-8 without control characters, line separators and characters that change the direction of text, and neither begins nor ends with white space.

` + cacheHelp
}

// Run enrolls.
func (e *enrollCommand) Run(c *console) error {
	if (e.Class == "") == (e.Folder == "") {
		return errors.New("expected either a class and its images or --folder DIR with a folder of images for each class")
	}
	if e.Folder == "" && len(e.Images) == 0 {
		return errors.Errorf("class %q: expected an image or more, such as likeness enroll %s a.png --gallery %s", e.Class, e.Class, gallery.HidePasswords(e.Gallery))
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
	if err := e.open(c); err != nil {
		return err
	}
	defer closeCache(c)
	shown := newCounter(c.err, unit{what: "images"})
	defer shown.close()
	g, created, err := e.openGallery(c, found.Files, gallery.Options{Rule: gallery.Rule(e.Rule), SkipBroken: e.SkipBroken, OnProgress: shown.of, Cache: c.kept})
	if err != nil {
		return err
	}
	said, err := e.enroll(c, g, found)
	if err != nil && created {
		_, _ = g.Discard() // unless examples have been enrolled in it meanwhile
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
	var said string
	if e.Folder == "" {
		if err := g.EnrollFiles(c, e.Class, found.Files...); err != nil {
			return "", skippable(err, e.SkipBroken)
		}
		said = fmt.Sprintf("enrolled %s of %s", count(len(found.Files)-len(g.Skipped()), "example", "examples"), e.Class)
		e.sayFolders(c, found.Files)
	} else {
		classes, examples, err := g.EnrollFound(c, e.Folder, found)
		if err != nil {
			return "", skippable(err, e.SkipBroken)
		}
		said = fmt.Sprintf("enrolled %s of %s", count(examples, "example", "examples"), count(classes, "class", "classes"))
		sayIgnored(c, found.Skipped)
	}
	saySkipped(c, g.Skipped())
	if cached := g.Cached(); cached > 0 {
		c.say("cache        %d of %d embeddings from the cache", cached, len(found.Files))
	}
	request := g.Request(c, "")
	_, calibrated, err := request.Calibration()
	if err != nil {
		return "", err
	}
	classes, err := request.Classes()
	if err != nil {
		return "", err
	}
	examples := 0
	for _, class := range classes {
		examples += class.Examples
	}
	sayUndecided(c, calibrated || g.Model().Threshold != nil)
	if err := sayStale(c, g, false); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; %s holds %s of %s", said, g.Path(), count(examples, "example", "examples"), count(len(classes), "class", "classes")), nil
}

// sayFolders warns of a folder whose images are in several subfolders, all of which became
// examples of one class: probably each subfolder is a class.
func (e *enrollCommand) sayFolders(c *console, files []string) {
	for _, path := range e.Images {
		var subfolders []string
		for _, file := range files {
			inside, err := filepath.Rel(path, filepath.Dir(file))
			if err != nil || inside == "." || !filepath.IsLocal(inside) {
				continue
			}
			if name := strings.Split(inside, string(filepath.Separator))[0]; !slices.Contains(subfolders, name) {
				subfolders = append(subfolders, name)
			}
		}
		if len(subfolders) > 1 {
			c.say("warning: %s has %d subfolders with images, such as %s, and all of their images are now examples of the class %s: if each subfolder is a class, remove this one with likeness forget %s --gallery %s and enroll with --folder %s",
				path, len(subfolders), subfolders[0], e.Class, e.Class, e.Gallery, path)
		}
	}
}

// openGallery opens the gallery with its own model, or makes it. While another process has it
// open it waits, and says so if that takes longer. The files are images for which the
// model of a new gallery must suit.
func (e *enrollCommand) openGallery(c *console, files []string, options gallery.Options) (g *gallery.Gallery, created bool, err error) {
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
		c.say("waiting      up to %v: another process has %s open", e.Wait, gallery.HidePasswords(e.Gallery))
		err = open(e.Wait)
	}
	if errors.Is(err, gallery.ErrLocked) {
		err = errors.WithMessage(err, "--wait waits longer")
	}
	return err
}
