package main

import (
	"github.com/likeness-go/likeness/gallery"
	"github.com/pkg/errors"
)

// calibrateCommand finds a gallery's threshold.
type calibrateCommand struct {
	Flags galleryFlags `embed:""`
	Data  string       `required:"" placeholder:"DIR" help:"Images with classes, as likeness train --data takes them, that the network was not trained on. Of a data set in parts the one for testing is used."`
	Rate  float64      `required:"" placeholder:"RATE" help:"The share of pairs of different classes that may be taken for one, such as 0.001."`
}

// Help is what --help says beside the flags.
func (calibrateCommand) Help() string {
	return `It compares all pairs of the images and finds the distance up to which the share RATE of those of different classes counts as the same; the gallery keeps it, with how it was found, in place of an older one. The images need not be of the gallery's classes, but of their kind, and of classes that the network was not trained on.

A small rate takes many pairs, ten over RATE: 10,000 for 0.001, which 150 images of different classes make.

The rate is that of one comparison. An image of nobody is compared with all examples of a gallery: among 100 of them, up to 100 times the rate is taken for somebody.

Example:
  likeness calibrate --gallery faces.gallery --data strangers --rate 0.001`
}

// Run calibrates.
func (k *calibrateCommand) Run(c *console) error {
	if !(k.Rate > 0 && k.Rate < 1) { // nor NaN
		return errors.Errorf("--rate: found %v, expected a number between 0 and 1, such as 0.001", k.Rate)
	}
	shown := newCounter(c.err, unit{what: "parts of the calibration"})
	defer shown.close()
	g, model, err := k.Flags.open(c, gallery.Options{OnProgress: shown.of})
	if err != nil {
		return err
	}
	calibration, err := g.CalibrateFolder(k.Data, k.Rate)
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	model.say(c)
	c.print("%v", calibration)
	return nil
}
