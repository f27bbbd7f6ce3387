package main

import "github.com/likeness-go/likeness/gallery"

// classesCommand lists what a gallery knows.
type classesCommand struct {
	Flags galleryFlags `embed:""`
}

// Help is what --help says beside the flags.
func (classesCommand) Help() string {
	return `It prints the number of examples and the name of each class, and, beside that, the gallery's model, rule and threshold. Characters that would break a line are printed as escapes such as \n or \u202e; likeness forget and verify take a name in this form, too.

Example:
  likeness classes --gallery faces.gallery`
}

// Run lists.
func (k *classesCommand) Run(c *console) error {
	g, model, err := k.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	identity, err := g.Model().Identity()
	if err != nil {
		return err
	}
	c.say("model        %s: %v", model.name, identity)
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
		c.print("%6d  %s", class.Examples, class.Name)
	}
	return nil
}
