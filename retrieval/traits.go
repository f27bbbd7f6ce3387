package retrieval

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// ErrUnsuitable says that a model is not made for the images.
var ErrUnsuitable = errors.New("the model is not made for such images")

// The limits of Suits.
const (
	// MostColoured is how much of an image may be coloured for a model of greys.
	MostColoured = 0.20
	// MostInk is how much of a drawing may be ink.
	MostInk = 0.40
	// MostHalftone is how much of a drawing may be neither ink nor paper.
	MostHalftone = 0.30
	// PolarityMargin is by how much nearer the images' brightness must be to that
	// of the training images' negatives for black and white to count as exchanged.
	PolarityMargin = 0.25
)

// Suits reports ErrUnsuitable, with what was found and expected, where a model's
// preprocessing says that it is not made for images of these traits. Of each trait
// the median counts, so that a few odd images do not.
//
//   - A model of one channel does not see colours: at most MostColoured may be
//     coloured.
//   - A model that knows the mean of its training images is not asked about what
//     is nearer to their negatives, by PolarityMargin.
//   - A model that cuts to the ink (imaging.Crop) is made for drawings: at most
//     MostInk may be ink and MostHalftone halftones, and not more than half of the
//     images may be without ink.
//
// What it passes may still not suit: that it cannot measure.
func Suits(p imaging.Preprocessing, traits []Traits) error {
	if len(traits) == 0 {
		return nil
	}
	if i := slices.IndexFunc(traits, func(t Traits) bool { return math.IsNaN(t.Brightness) }); i >= 0 {
		return errors.Errorf("the traits of image %d are not measured: it cannot be read, or the preprocessing is not valid", i)
	}
	median := func(of func(Traits) float64) float64 {
		var values []float64
		for _, t := range traits {
			values = append(values, of(t))
		}
		slices.Sort(values)
		return values[(len(values)-1)/2]
	}
	if coloured := median(func(t Traits) float64 { return t.Coloured }); p.Size.Channels == 1 && coloured > MostColoured {
		return errors.Wrapf(ErrUnsuitable, "it sees greys only, and %s of the pixels are coloured, expected at most %s", percent(coloured), percent(MostColoured))
	}
	if len(p.Mean) > 0 {
		trained := stat.Mean(p.Mean, nil)
		found := median(func(t Traits) float64 { return t.Brightness })
		if math.Abs(found-trained) > math.Abs(1-found-trained)+PolarityMargin {
			return errors.Wrapf(ErrUnsuitable, "%s: the mean brightness of what it sees is %.2f, and was %.2f in training: exchange black and white", polarity(trained, p.Invert), found, trained)
		}
	}
	if p.Crop == nil {
		return nil
	}
	ink := median(func(t Traits) float64 { return t.Ink })
	halftone := median(func(t Traits) float64 { return t.Halftone })
	switch {
	case ink == 0:
		return errors.Wrap(ErrUnsuitable, "it cuts to the ink of drawings, and at least half of the images have none: nothing in them passes the middle between black and white")
	case halftone > MostHalftone:
		return errors.Wrapf(ErrUnsuitable, "it cuts to the ink of drawings, and %s of the pixels are neither ink nor paper, as in photographs, expected at most %s", percent(halftone), percent(MostHalftone))
	case ink > MostInk:
		return errors.Wrapf(ErrUnsuitable, "it cuts to the ink of drawings, and %s of the pixels count as ink, expected at most %s", percent(ink), percent(MostInk))
	}
	return nil
}

// Examine measures up to most of the files, evenly spaced. Those that cannot be
// decoded are passed over: Embed tells of them. An error of opening or reading a file
// is Examine's, and so is the context's, when it ends.
func Examine(ctx context.Context, p imaging.Preprocessing, files []string, most int) ([]Traits, error) {
	count := max(0, min(most, len(files)))
	measured := make([]*Traits, count)
	err := parallel.Each(ctx, parallel.MaxOpenFiles, count, func(i int) error {
		img, err := imaging.DecodeFile(files[i*len(files)/count])
		if errors.Is(err, imaging.ErrUndecodable) {
			return nil
		}
		if err != nil {
			return err
		}
		traits := Measure(p, img)
		measured[i] = &traits
		return nil
	})
	var traits []Traits
	for _, t := range measured {
		if t != nil {
			traits = append(traits, *t)
		}
	}
	return traits, err
}

// polarity says what a model is made for, by the brightness of what it sees.
func polarity(brightness float64, inverted bool) string {
	if (brightness < 0.5) == inverted {
		return "it is made for dark ink on light paper, and these images are light on dark"
	}
	return "it is made for light ink on a dark ground, and these images are dark on light"
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

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
