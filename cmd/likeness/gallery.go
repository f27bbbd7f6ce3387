package main

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// galleryFlags say which gallery a command is about.
type galleryFlags struct {
	Gallery string `required:"" placeholder:"FILE" help:"The gallery's file."`
	Model   string `placeholder:"MODEL" help:"Where the gallery's model is now, if it is not where it was: a model.safetensors, a run folder or a model of the zoo (${zoo})."`
}

// open opens the gallery, which must be there, with its own model.
func (f galleryFlags) open(c *console, o gallery.Options) (*gallery.Gallery, error) {
	model, name, err := f.load(c)
	if err != nil {
		return nil, err
	}
	o.ModelName = name
	return gallery.Open(f.Gallery, model, o)
}

// load loads the model that is named, or else the one that the gallery says it is
// of; the name is what a gallery keeps.
func (f galleryFlags) load(c *console) (*likeness.Model, string, error) {
	if f.Model != "" {
		return loadNamed(c, f.Model)
	}
	description, err := gallery.Describe(f.Gallery)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", errors.WithMessage(err, "likeness enroll makes a gallery")
	}
	if err != nil {
		return nil, "", err
	}
	if description.ModelName == "" {
		return nil, "", errors.Errorf("gallery %s does not say where its model is (%v): name it with --model", f.Gallery, description.Identity)
	}
	model, name, err := loadNamed(c, description.ModelName)
	return model, name, errors.WithMessagef(err, "the model of gallery %s (--model says where it is now)", f.Gallery)
}

// loadNamed is loadModel for a name that a gallery keeps, too: a path from the
// root, so that it holds from any folder, or zoo/NAME.
func loadNamed(c *console, path string) (*likeness.Model, string, error) {
	if name, found := strings.CutPrefix(path, "zoo/"); found && slices.Contains(zoo.Names(), name) {
		return fromZoo(name)
	}
	model, file, err := loadModel(c, path)
	if err != nil || strings.HasPrefix(file, "zoo/") {
		return model, file, err
	}
	name, err := filepath.Abs(file)
	return model, name, errors.WithStack(err)
}

// sayUndecided tells that nothing is decided, where that is so.
func sayUndecided(c *console, calibrated bool) {
	if !calibrated {
		c.say("no threshold  neither the gallery nor its model has one, so nothing is decided: likeness calibrate finds one")
	}
}
