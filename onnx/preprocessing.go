package onnx

import (
	"fmt"

	"github.com/likeness-go/likeness/imaging"
)

// preprocess draws what Preprocessing does to prepared pixels of 0 to 255,
// inversion and normalisation, as one factor and one summand for each channel:
//
//	(v/255 − mean)/deviation = v·1/(255·deviation) − mean/deviation
//	((255 − v)/255 − mean)/deviation = −v·1/(255·deviation) + (1 − mean)/deviation
func (d *drawing) preprocess(p imaging.Preprocessing, x value) value {
	channels := p.Size.Channels
	factors, summands := make([]float32, channels), make([]float32, channels)
	for c := range channels {
		mean, deviation := 0.0, 1.0
		if len(p.Mean) > 0 {
			mean = p.Mean[c]
		}
		if len(p.StdDev) > 0 {
			deviation = p.StdDev[c]
		}
		factor, summand := 1/(255*deviation), -mean/deviation
		if p.Invert {
			factor, summand = -factor, (1-mean)/deviation
		}
		factors[c], summands[c] = float32(factor), float32(summand)
	}
	shape := []int{channels, 1, 1}
	x = d.node("Mul", "preprocessing_scaled", x, []string{d.constant("preprocessing.factor", shape, factors)})
	return d.node("Add", "preprocessing", x, []string{d.constant("preprocessing.summand", shape, summands)})
}

// describeInput says what the images must be.
func describeInput(p imaging.Preprocessing) string {
	colours := "grey"
	if p.Size.Channels == 3 {
		colours = "red, green, blue"
	}
	text := fmt.Sprintf("Images of %d × %d pixels as (batch, channels, height, width), %s: float32 from 0, black, to 255. ", p.Size.Height, p.Size.Width, colours)
	if p.Invert {
		text += "The model exchanges black and white itself. "
	}
	text += "The model normalises them itself."
	if crop := describeCrop(p); crop != "" {
		text += " " + crop
	}
	return text
}

// describeCrop says how images must be cut to the ink before they are given to
// the model, which sees them before inversion; empty if they need not be.
func describeCrop(p imaging.Preprocessing) string {
	if p.Crop == nil {
		return ""
	}
	ink, outside := "128 or brighter in any channel", "black, 0"
	if p.Invert {
		ink, outside = "127 or darker in any channel", "white, 255"
	}
	return fmt.Sprintf("Images must be cut to the ink before: ink is what is %s. Cut the square whose centre is that of the ink's bounding box "+
		"and whose side is %v times the larger of the box's width and height, where these count as at least %v of the larger side of the image; "+
		"what lies outside the image is %s. Bring it to %d × %d pixels by area averaging. An image without ink is cut to the square of its larger side around its middle.",
		ink, p.Crop.Margin, p.Crop.MinSide, outside, p.Size.Height, p.Size.Width)
}
