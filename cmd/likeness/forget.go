package main

import (
	"fmt"

	"github.com/likeness-go/likeness/gallery"
)

// forgetCommand removes a class from a gallery.
type forgetCommand struct {
	Class string       `arg:"" placeholder:"CLASS" help:"A class of the gallery."`
	Flags galleryFlags `embed:""`
}

// Help is what --help says beside the flags.
func (forgetCommand) Help() string {
	return `It removes a class with all of its examples. The file does not shrink; what is enrolled later takes the room.

Example:
  likeness forget alice --gallery faces.gallery`
}

// Run forgets.
func (f *forgetCommand) Run(c *console) error {
	g, err := f.Flags.open(c, gallery.Options{})
	if err != nil {
		return err
	}
	examples, err := g.Forget(f.Class)
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "forgot %d examples of %s\n", examples, f.Class)
	return err
}
