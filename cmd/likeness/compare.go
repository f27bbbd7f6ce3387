package main

import (
	"fmt"
	"image"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
)

// compareCommand compares two images.
type compareCommand struct {
	A     string `arg:"" placeholder:"A.png" help:"An image."`
	B     string `arg:"" placeholder:"B.png" help:"Another."`
	Model string `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: omniglot of the zoo, if it suits the images."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Help is what --help says beside the flags.
func (compareCommand) Help() string {
	return `It prints the distance of two images and, where the model has one, the threshold up to which two count as the same.

Example:
  likeness compare a.png b.png --model runs/mnist-contrastive-20250101-120000

Without --model it uses the one that comes with the program, which was trained on handwritten characters (dark ink on light paper, cut to the ink), and refuses images of another kind.`
}

// answer is what compare says as JSON.
type answer struct {
	A         string   `json:"a"`
	B         string   `json:"b"`
	ABytes    string   `json:"a_base64,omitempty"` // see pathBytes
	BBytes    string   `json:"b_base64,omitempty"`
	Model     string   `json:"model"`
	Distance  float64  `json:"distance"`
	Threshold *float64 `json:"threshold"` // null if the model has none
	Same      *bool    `json:"same"`      // null if the model has no threshold
}

// Run compares.
func (k *compareCommand) Run(c *console) error {
	model, file, err := loadModel(c, k.Model)
	if err != nil {
		return err
	}
	a, err := imaging.DecodeFile(k.A)
	if err != nil {
		return err
	}
	b, err := imaging.DecodeFile(k.B)
	if err != nil {
		return err
	}
	if k.Model == "" {
		for _, img := range []image.Image{a, b} { // each must suit by itself
			if err := suits(model, []retrieval.Traits{retrieval.MeasureImage(model.Preprocessing, img)}); err != nil {
				return err
			}
		}
	}
	comparison, err := model.Compare(a, b)
	if err != nil {
		return err
	}
	if k.JSON {
		found := answer{A: k.A, B: k.B, ABytes: pathBytes(k.A), BBytes: pathBytes(k.B), Model: file, Distance: comparison.Distance}
		if comparison.Calibrated {
			found.Threshold, found.Same = &comparison.Threshold, &comparison.Same
		}
		return c.printJSON(found)
	}
	text := "no threshold"
	switch {
	case comparison.Calibrated && comparison.Same:
		text = fmt.Sprintf("threshold %.4f  same", comparison.Threshold)
	case comparison.Calibrated:
		text = fmt.Sprintf("threshold %.4f  different", comparison.Threshold)
	}
	_, err = fmt.Fprintf(c.out, "distance %.4f  %s\n", comparison.Distance, text)
	return err
}
