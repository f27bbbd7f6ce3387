package retrieval

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// ErrUnsuitable is the error for images that are out of the domain of a model.
var ErrUnsuitable = errors.New("the model was not trained for such images")

// The limits of CheckTraits.
const (
	// MaxColored is the maximum share of colored pixels for a grayscale model.
	MaxColored = 0.20
	// MaxInk is the maximum share of ink pixels for a model of drawings.
	MaxInk = 0.40
	// MaxHalftone is the maximum share of halftone pixels for a model of drawings.
	MaxHalftone = 0.30
	// PolarityMargin is the minimum difference between the distances of the images'
	// brightness from that of the training images and from that of their negatives, for
	// the images to be considered inverted.
	PolarityMargin = 0.25
)

// CheckTraits returns an error that wraps ErrUnsuitable if images with these traits are
// out of the domain of a model, as far as its preprocessing shows. It uses the median of
// each trait, so that a few outliers have no influence.
//
//   - A grayscale model ignores color: at most MaxColored of the pixels may be colored.
//   - A model with the mean of its training images rejects images whose brightness is
//     nearer to that of their negatives, by PolarityMargin.
//   - A model that crops to the foreground (imaging.Crop) is made for drawings: at most
//     MaxInk of the pixels may be ink and MaxHalftone halftones, and at most half of the
//     images may be without ink.
//
// Images that pass may still be out of the domain in ways that traits do not measure.
func CheckTraits(p imaging.Preprocessing, traits []Traits) error {
	if len(traits) == 0 {
		return nil
	}
	if i := slices.IndexFunc(traits, func(t Traits) bool { return math.IsNaN(t.Brightness) }); i >= 0 {
		return errors.Errorf("the traits of image %d are NaN: the image could not be read or the preprocessing is not valid", i)
	}
	median := func(of func(Traits) float64) float64 {
		var values []float64
		for _, t := range traits {
			values = append(values, of(t))
		}
		slices.Sort(values)
		return values[(len(values)-1)/2]
	}
	if colored := median(func(t Traits) float64 { return t.Colored }); p.Size.Channels == 1 && colored > MaxColored {
		return errors.Wrapf(ErrUnsuitable, "the model is for grayscale images, and %s of the pixels are colored, expected at most %s", percent(colored), percent(MaxColored))
	}
	if len(p.Mean) > 0 {
		trained := stat.Mean(p.Mean, nil)
		found := median(func(t Traits) float64 { return t.Brightness })
		if math.Abs(found-trained) > math.Abs(1-found-trained)+PolarityMargin {
			return errors.Wrapf(ErrUnsuitable, "%s: their mean brightness after preprocessing is %.2f, and that of the training images was %.2f: invert the images", polarity(trained, p.Invert), found, trained)
		}
	}
	if p.Crop == nil {
		return nil
	}
	ink := median(func(t Traits) float64 { return t.Ink })
	halftone := median(func(t Traits) float64 { return t.Halftone })
	switch {
	case ink == 0:
		return errors.Wrap(ErrUnsuitable, "the model is for drawings and crops them to the ink, and at least half of the images have no ink: no pixel is beyond the middle between black and white")
	case halftone > MaxHalftone:
		return errors.Wrapf(ErrUnsuitable, "the model is for drawings and crops them to the ink, and %s of the pixels are neither ink nor paper, as in photographs, expected at most %s", percent(halftone), percent(MaxHalftone))
	case ink > MaxInk:
		return errors.Wrapf(ErrUnsuitable, "the model is for drawings and crops them to the ink, and %s of the pixels are ink, expected at most %s", percent(ink), percent(MaxInk))
	}
	return nil
}

// MeasureFiles measures the traits of at most limit files, evenly spaced. Large JPEG files are
// decoded at a reduced size. Files that cannot be read (imaging.Skippable) are skipped, because
// Embed reports them; if none can be read, it is an error that the first of them does not
// exist or may not be read. Other errors of reading files, and that of the context, are returned.
// The cache, unless it is nil, has the traits that
// earlier calls measured, which are the same bit for bit, and receives the others; files whose
// traits it has are not decoded, and not read if they have not changed.
func MeasureFiles(ctx context.Context, p imaging.Preprocessing, files []string, limit int, kept *cache.Cache) ([]Traits, error) {
	count := max(0, min(limit, len(files)))
	measured, failures := make([]*Traits, count), make([]error, count)
	records := make([][]cache.Record, count)
	computation, err := cache.TraitsOf(p)
	if err != nil {
		kept = nil
	}
	reader := &embedder{options: Options{Cache: kept}}
	// Shares of pixels are nearly the same at a reduced size.
	decoding := imaging.Preprocessing{Size: p.Size, ScaledJPEG: true}
	err = parallel.Each(ctx, parallel.MaxOpenFiles, count, func(i int) error {
		f := &imageFile{path: files[i*len(files)/count]}
		fromCache := func() bool {
			measured[i] = traitsOf(kept.Values(f.hash, computation))
			return measured[i] != nil
		}
		if reader.lookup(f) && fromCache() {
			return nil
		}
		img, err := reader.image(f, decoding, fromCache)
		if imaging.Skippable(err) {
			failures[i] = err
			return nil
		}
		if err != nil {
			return err
		}
		r := cache.Record{Hash: f.hash, Computation: computation}
		if f.source != nil {
			r.Source = *f.source
		}
		if measured[i] == nil {
			traits := MeasureImage(p, img)
			measured[i], r.Values = &traits, traits.values()
		}
		if f.known {
			records[i] = []cache.Record{r}
		}
		return nil
	})
	kept.Store(slices.Concat(records...)...)
	var traits []Traits
	for _, t := range measured {
		if t != nil {
			traits = append(traits, *t)
		}
	}
	for _, failure := range failures {
		if err == nil && len(traits) == 0 && failure != nil && !errors.Is(failure, imaging.ErrUndecodable) {
			err = failure
		}
	}
	return traits, err
}

// polarity describes the model's images and the given ones, by the brightness after preprocessing.
func polarity(brightness float64, inverted bool) string {
	if (brightness < 0.5) == inverted {
		return "the model is for dark ink on light paper, and these images are light on dark"
	}
	return "the model is for light ink on a dark background, and these images are dark on light"
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// Traits are properties of an image that show whether it is in the domain of a model. All
// are from 0 to 1.
type Traits struct {
	// Colored is the share of pixels whose chroma, the maximum of red, green and blue
	// minus their minimum, is at least 40 of 255. Yellowed paper has less.
	Colored float64
	// Ink is the share of pixels that imaging.Crop considers ink: brighter than half after
	// the model's inversion.
	Ink float64
	// Halftone is the share of pixels between a quarter and three quarters of full
	// brightness: neither ink nor paper.
	Halftone float64
	// Brightness is the mean of the network's input before normalization.
	Brightness float64
}

// values are the traits as the cache has them, and traitsOf is the reverse; it is nil for
// anything else.
func (t Traits) values() []float64 { return []float64{t.Colored, t.Ink, t.Halftone, t.Brightness} }

func traitsOf(values []float64) *Traits {
	if len(values) != len(Traits{}.values()) {
		return nil
	}
	return &Traits{values[0], values[1], values[2], values[3]}
}

const (
	coloredChroma = 40
	inkLevel      = 128 // imaging.Crop's
	darkHalftone  = 64
	lightHalftone = 192
)

// MeasureImage measures the traits of an image for a model's preprocessing. If the
// preprocessing is not valid or the image cannot be read (imaging.Check), all traits are
// NaN, which CheckTraits rejects.
func MeasureImage(p imaging.Preprocessing, img image.Image) (t Traits) {
	unknown := Traits{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	defer func() {
		if recover() != nil { // an image of another package may panic
			t = unknown
		}
	}()
	if p.Validate() != nil || imaging.Check(img) != nil {
		return unknown
	}
	// At the original size, because thin strokes become gray when an image is scaled down.
	height, width := img.Bounds().Dy(), img.Bounds().Dx()
	colors, err := imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 3}}.Prepare(img)
	if err != nil {
		return unknown
	}
	grays, err := imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 1}, Invert: p.Invert}.Prepare(img)
	if err != nil {
		return unknown
	}
	seen, err := p.Prepare(img)
	if err != nil {
		return unknown
	}
	var colored, ink, halftone, light int
	for i := 0; i < len(colors); i += 3 {
		red, green, blue := colors[i], colors[i+1], colors[i+2]
		if max(red, green, blue)-min(red, green, blue) >= coloredChroma {
			colored++
		}
	}
	for _, v := range grays {
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
		Colored: float64(colored) / all, Ink: float64(ink) / all, Halftone: float64(halftone) / all,
		Brightness: float64(light) / 255 / float64(len(seen)),
	}
}
