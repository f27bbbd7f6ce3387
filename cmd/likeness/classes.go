package main

import (
	"fmt"

	"github.com/likeness-go/likeness/gallery"
)

// classesCommand lists what a gallery knows.
type classesCommand struct {
	Flags galleryFlags `embed:""`
}

// Help is what --help says beside the flags.
func (classesCommand) Help() string {
	return `It prints the number of examples and the name of each class, and, beside that, the gallery's model, rule and threshold.

Example:
  likeness classes --gallery faces.gallery`
}

// Run lists.
func (k *classesCommand) Run(c *console) error {
	g, err := k.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	identity, err := g.Model().Identity()
	if err != nil {
		return err
	}
	c.say("model        %v", identity)
	c.say("rule         %s", g.Rule())
	calibration, calibrated := g.Calibration()
	switch {
	case calibrated:
		c.say("calibration  %v", calibration)
	case g.Model().Threshold != nil:
		c.say("threshold    %.4f, the model's own", *g.Model().Threshold)
	default:
		sayUndecided(c, false)
	}
	for _, class := range g.Classes() {
		if _, err := fmt.Fprintf(c.out, "%6d  %s\n", class.Examples, class.Name); err != nil {
			return err
		}
	}
	return nil
}
