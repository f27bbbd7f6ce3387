package imaging

import (
	"image"
	"math"

	"github.com/pkg/errors"
)

// Preprocessing says how an image becomes the input of a network. It is part of
// a trained model and is stored with it.
type Preprocessing struct {
	Size Size `toml:"size" json:"size"`
	// Invert exchanges black and white, for a network that was trained on white
	// ink and is to read black ink on white paper.
	Invert bool `toml:"invert" json:"invert"`
	// Crop cuts to the ink first, for drawings that lie anywhere on the paper; nil
	// takes the whole image.
	Crop *Crop `toml:"crop" json:"crop,omitempty"`
	// Mean and Deviation, one value a channel on the scale of 0 to 1, are
	// subtracted and divided by. Empty means 0 and 1.
	Mean   []float64 `toml:"mean" json:"mean,omitempty"`
	StdDev []float64 `toml:"deviation" json:"deviation,omitempty"`
}

// Validate reports what is wrong: the size or the crop (see there), a mean or a
// deviation that does not have one finite value a channel, or a deviation that
// is not positive.
func (p Preprocessing) Validate() error {
	if err := p.Size.Validate(); err != nil {
		return errors.Wrap(err, "preprocessing")
	}
	if p.Crop != nil {
		if err := p.Crop.Validate(); err != nil {
			return errors.Wrap(err, "preprocessing")
		}
	}
	for _, field := range []struct {
		name   string
		values []float64
	}{{"mean", p.Mean}, {"deviation", p.StdDev}} {
		if len(field.values) != 0 && len(field.values) != p.Size.Channels {
			return errors.Errorf("preprocessing: %s has %d values, expected none or one for each of the %d channels",
				field.name, len(field.values), p.Size.Channels)
		}
		for _, v := range field.values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return errors.Errorf("preprocessing: %s is %v, expected finite values", field.name, field.values)
			}
		}
	}
	for _, v := range p.StdDev {
		if v <= 0 {
			return errors.Errorf("preprocessing: deviation is %v, expected positive values", p.StdDev)
		}
	}
	return nil
}

// Pixels returns the image as (height, width, channels) bytes from 0, black, to
// 255. Colours become greys (as color.GrayModel does) where the size has one
// channel, what is transparent shows white paper, other sizes are stretched to
// Size by area averaging (bilinear where they grow), and Invert is applied, or,
// with Crop, Invert is applied and the square around the ink is brought to Size.
// Without Crop the bytes of an opaque image that has the right size come through
// as they are.
//
// It returns nil where the preprocessing is not valid, or where the image has no pixels
// or panics while it is read; Prepare says why.
func (p Preprocessing) Pixels(img image.Image) []uint8 {
	pixels, err := p.read(img)
	if err != nil {
		return nil
	}
	return pixels
}

// read is Pixels with an error where there is none. Its text follows "the image".
func (p Preprocessing) read(img image.Image) (pixels []uint8, err error) {
	if err := p.Validate(); err != nil {
		return nil, errors.Wrap(err, "cannot be brought to the input of the network")
	}
	defer unreadable(&err, img)
	if img == nil || img.Bounds().Empty() {
		return nil, errors.New("has no pixels")
	}
	return p.pixels(img), nil
}

func (p Preprocessing) pixels(img image.Image) []uint8 {
	if p.Size.Channels == 1 {
		img = grey(img)
	} else {
		img = onPaper(img)
	}
	if p.Crop != nil {
		own := Size{Height: img.Bounds().Dy(), Width: img.Bounds().Dx(), Channels: p.Size.Channels}
		return p.Crop.apply(p.polarised(bytesOf(img, p.Size.Channels)), own, p.Size)
	}
	return p.polarised(bytesOf(resize(img, p.Size.Width, p.Size.Height), p.Size.Channels))
}

// polarised inverts the pixels where Invert says so.
func (p Preprocessing) polarised(pixels []uint8) []uint8 {
	if p.Invert {
		for i := range pixels {
			pixels[i] = 255 - pixels[i]
		}
	}
	return pixels
}

// Normalize writes (v/255 − mean)/deviation for each byte v of pixels, the
// (height, width, channels) values of one or more images, to dst, which has the
// same length. Of a shorter one it writes what there is room for, and nothing where the
// preprocessing is not valid.
func (p Preprocessing) Normalize(dst []float32, pixels []uint8) {
	if p.Validate() != nil {
		return
	}
	channels := p.Size.Channels
	pixels = pixels[:min(len(pixels), len(dst))]
	for channel := range channels {
		mean, deviation := 0.0, 1.0
		if len(p.Mean) > 0 {
			mean = p.Mean[channel]
		}
		if len(p.StdDev) > 0 {
			deviation = p.StdDev[channel]
		}
		var values [256]float32 // of each byte: divisions take longer than an image does
		for v := range values {
			values[v] = float32((float64(v)/255 - mean) / deviation)
		}
		for i := channel; i < len(pixels); i += channels {
			dst[i] = values[pixels[i]]
		}
	}
}
