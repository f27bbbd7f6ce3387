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

// foundModel is a model with how it was found.
type foundModel struct {
	model  *likeness.Model
	name   string // what a gallery keeps: a path from the root, or zoo/NAME
	chosen string // why it was taken; empty where the user named it
}

// say names the model that the user did not name.
func (f foundModel) say(c *console) {
	if f.chosen != "" {
		c.say("model        %s, %s", f.name, f.chosen)
	}
}

// open opens the gallery, which must be there, with its own model, and says which that
// is.
func (f galleryFlags) open(c *console, o gallery.Options) (*gallery.Gallery, foundModel, error) {
	model, err := f.load(c)
	if err != nil {
		return nil, foundModel{}, err
	}
	o.ModelName = model.name
	g, err := gallery.Open(f.Gallery, model.model, o)
	return g, model, err
}

// load loads the model that is named, or else the gallery's own.
func (f galleryFlags) load(c *console) (foundModel, error) {
	if f.Model != "" {
		return loadNamed(c, f.Model)
	}
	description, err := gallery.Describe(f.Gallery)
	if errors.Is(err, fs.ErrNotExist) {
		return foundModel{}, errors.WithMessage(err, "likeness enroll makes a gallery")
	}
	if err != nil {
		return foundModel{}, err
	}
	return galleryModel(c, f.Gallery, description)
}

// galleryModel loads the model that a gallery says it is of. That it is that model
// still, gallery.Open finds out by its checksum.
func galleryModel(c *console, path string, description gallery.Description) (foundModel, error) {
	if description.ModelName == "" {
		return foundModel{}, errors.Errorf("gallery %s does not say where its model is (%v): name it with --model", path, description.Identity)
	}
	model, err := loadNamed(c, description.ModelName)
	model.chosen = "the gallery's own"
	return model, errors.WithMessagef(err, "the model of gallery %s (--model says where it is now)", path)
}

// newGalleryModel is the model of a new gallery for which none is named; see defaultModel.
func newGalleryModel(c *console, images []string) (foundModel, error) {
	model, name, err := defaultModel(c, images)
	if err != nil {
		return foundModel{}, err
	}
	return foundModel{model, name, "the zoo's default (--model names another)"}, nil
}

// loadNamed loads a model by a name that a user gives or a gallery keeps.
func loadNamed(c *console, path string) (foundModel, error) {
	if name, ofZoo := strings.CutPrefix(path, "zoo/"); ofZoo && slices.Contains(zoo.Names(), name) {
		model, name, err := fromZoo(name)
		return foundModel{model: model, name: name}, err
	}
	model, file, err := loadModel(c, path)
	if err != nil || strings.HasPrefix(file, "zoo/") {
		return foundModel{model: model, name: file}, err
	}
	name, err := filepath.Abs(file)
	return foundModel{model: model, name: name}, errors.WithStack(err)
}

// classNamed is the class that a name on the command line means: the class of exactly
// this name or, in a gallery that is older than the rules for names, the one that
// likeness classes prints so.
func classNamed(g *gallery.Gallery, name string) (string, error) {
	var printed []string
	for _, class := range g.Classes() {
		switch {
		case class.Name == name:
			return name, nil
		case printable(class.Name) == name:
			printed = append(printed, class.Name)
		}
	}
	switch len(printed) {
	case 0:
		return name, nil // which the gallery says more of
	case 1:
		return printed[0], nil
	}
	return "", errors.Errorf("class: found %d classes that are printed as %s, expected one: give its exact bytes, such as $'%s' in bash", len(printed), name, name)
}

// sayUndecided tells that nothing is decided, where that is so.
func sayUndecided(c *console, calibrated bool) {
	if !calibrated {
		c.say("no threshold  neither the gallery nor its model has one, so nothing is decided: likeness calibrate finds one")
	}
}
