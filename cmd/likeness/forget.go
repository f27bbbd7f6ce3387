package main

import "github.com/likeness-go/likeness/gallery"

// forgetCommand removes a class from a gallery.
type forgetCommand struct {
	Class string       `arg:"" placeholder:"CLASS" help:"A class of the gallery."`
	Flags galleryFlags `embed:""`
}

// Help is what --help says beside the flags.
func (forgetCommand) Help() string {
	return `It removes a class with all of its examples. The file does not shrink; what is enrolled later takes the room. A class whose name holds characters that would break a line is named as likeness classes prints it, or by its exact bytes.

Example:
  likeness forget alice --gallery faces.gallery`
}

// Run forgets.
func (f *forgetCommand) Run(c *console) error {
	g, model, err := f.Flags.open(c, gallery.Options{})
	if err != nil {
		return err
	}
	var examples int
	class, err := classNamed(g, f.Class)
	if err == nil {
		examples, err = g.Forget(class)
	}
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	model.say(c)
	c.print("forgot %d examples of %s", examples, class)
	return nil
}
