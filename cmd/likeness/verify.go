package main

import (
	"fmt"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/imaging"
)

// verifyCommand says whether an image is of a class.
type verifyCommand struct {
	Class string       `arg:"" placeholder:"CLASS" help:"A class of the gallery."`
	Image string       `arg:"" placeholder:"IMAGE" help:"An image that is said to be of it."`
	Flags galleryFlags `embed:""`
	JSON  bool         `name:"json" help:"Print JSON."`
}

// Help is what --help says beside the flags.
func (verifyCommand) Help() string {
	return `It compares the image with the examples of this class alone and prints the distance and, where there is a threshold, whether that is near enough.

Example:
  likeness verify alice photo.jpg --gallery faces.gallery`
}

// verified is what verify says as JSON.
type verified struct {
	Image      string   `json:"image"`
	ImageBytes string   `json:"image_base64,omitempty"` // see pathBytes
	Class      string   `json:"class"`
	Distance   float64  `json:"distance"`
	Threshold  *float64 `json:"threshold"` // null if there is none
	Same       *bool    `json:"same"`      // null if nothing is decided
}

// Run verifies.
func (v *verifyCommand) Run(c *console) error {
	img, err := imaging.DecodeFile(v.Image)
	if err != nil {
		return err
	}
	g, model, err := v.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	class, err := classNamed(g, v.Class)
	if err != nil {
		return err
	}
	found, err := g.Verify(class, img)
	if err != nil {
		return err
	}
	model.say(c)
	sayUndecided(c, found.Calibrated)
	if v.JSON {
		answer := verified{Image: v.Image, ImageBytes: pathBytes(v.Image), Class: class, Distance: found.Distance}
		if found.Calibrated {
			answer.Threshold, answer.Same = &found.Threshold, &found.Same
		}
		return c.printJSON(answer)
	}
	text := "no threshold"
	switch {
	case found.Calibrated && found.Same:
		text = fmt.Sprintf("threshold %.4f  %s", found.Threshold, class)
	case found.Calibrated:
		text = fmt.Sprintf("threshold %.4f  not %s", found.Threshold, class)
	}
	c.print("distance %.4f  %s", found.Distance, text)
	return nil
}
