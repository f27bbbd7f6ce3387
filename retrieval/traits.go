package retrieval

import (
	"image"
	"math"

	"github.com/likeness-go/likeness/imaging"
)

// Traits are what is measured of an image to tell whether a model is made for it.
// All are 0 to 1.
type Traits struct {
	// Coloured is the share of pixels whose chroma, the largest of red, green and
	// blue less the smallest, is 40 of 255 or more. Yellowed paper has less.
	Coloured float64
	// Ink is the share of pixels that are ink to imaging.Crop: brighter than half
	// after the model's Invert.
	Ink float64
	// Halftone is the share of pixels between a quarter and three quarters of full
	// brightness: neither ink nor paper.
	Halftone float64
	// Brightness is the mean of what the network sees, before it is normalised.
	Brightness float64
}

const (
	colouredChroma = 40
	inkLevel       = 128 // imaging.Crop's
	darkHalftone   = 64
	lightHalftone  = 192
)

// Measure measures an image as a model's preprocessing takes it. Where the
// preprocessing is not valid or the image cannot be read (imaging.Check), all
// traits are NaN, which Suits refuses.
func Measure(p imaging.Preprocessing, img image.Image) (t Traits) {
	unknown := Traits{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	defer func() {
		if recover() != nil { // of an image of the user's own
			t = unknown
		}
	}()
	if p.Validate() != nil || imaging.Check(img) != nil {
		return unknown
	}
	// At its own size: shrunk, thin strokes are ink no more.
	height, width := img.Bounds().Dy(), img.Bounds().Dx()
	colours, err := imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 3}}.Prepare(img)
	if err != nil {
		return unknown
	}
	greys, err := imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 1}, Invert: p.Invert}.Prepare(img)
	if err != nil {
		return unknown
	}
	seen, err := p.Prepare(img)
	if err != nil {
		return unknown
	}
	var coloured, ink, halftone, light int
	for i := 0; i < len(colours); i += 3 {
		red, green, blue := colours[i], colours[i+1], colours[i+2]
		if max(red, green, blue)-min(red, green, blue) >= colouredChroma {
			coloured++
		}
	}
	for _, v := range greys {
		if v >= inkLevel {
			ink++
		}
		if v >= darkHalftone && v < lightHalftone {
			halftone++
		}
	}
	for _, v := range seen {
		light += int(v)
	}
	all := float64(height * width)
	return Traits{
		Coloured: float64(coloured) / all, Ink: float64(ink) / all, Halftone: float64(halftone) / all,
		Brightness: float64(light) / 255 / float64(len(seen)),
	}
}
