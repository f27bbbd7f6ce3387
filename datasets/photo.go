package datasets

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Photo is the random augmentation of photographs, for images of three channels or one. Its
// operations are applied in the order of the fields, with a Distortion between HorizontalFlip and
// Jitter. Parameters are drawn from the distributions of the transforms of the same names in
// torchvision, and applied as there; see the functions of package imaging. The zero value changes
// nothing.
type Photo struct {
	Crop           RandomResizedCrop `toml:"crop"`
	HorizontalFlip float64           `toml:"horizontal_flip"` // probability of mirroring left and right
	Jitter         ColorJitter       `toml:"jitter"`
	Grayscale      float64           `toml:"grayscale"` // probability of replacing colors by their gray levels
	Blur           GaussianBlur      `toml:"blur"`
	Erasing        RandomErasing     `toml:"erasing"`
}

// Validate returns an error for a field outside its range, and for an operation that is set but
// has the probability 0.
func (p Photo) Validate() error {
	if err := within("photo",
		bound{"horizontal_flip", p.HorizontalFlip, 0, 1, "0 to 1"},
		bound{"grayscale", p.Grayscale, 0, 1, "0 to 1"},
	); err != nil {
		return err
	}
	for _, part := range []struct {
		name        string
		probability float64
		set         bool
		value       interface{ Validate() error }
	}{
		{"random resized crop", 1, true, p.Crop},
		{"color jitter", p.Jitter.Probability, p.Jitter != ColorJitter{}, p.Jitter},
		{"Gaussian blur", p.Blur.Probability, p.Blur != GaussianBlur{}, p.Blur},
		{"random erasing", p.Erasing.Probability, p.Erasing != RandomErasing{}, p.Erasing},
	} {
		if err := part.value.Validate(); err != nil {
			return err
		}
		if part.set && part.probability == 0 {
			return errors.Errorf("%s: found the probability 0, with which it has no effect: set Probability, such as 0.5", part.name)
		}
	}
	return nil
}

// RandomResizedCrop crops a rectangle and resizes it to the size of the network's input
// (torchvision's RandomResizedCrop, with bilinear interpolation and antialiasing; Szegedy et al.
// 2015, "Going Deeper with Convolutions", section 6). The area, as a fraction of that of the
// image, is drawn uniformly from ScaleMin to ScaleMax, and the aspect ratio, width / height,
// uniformly in its logarithm from RatioMin to RatioMax, until the rectangle fits into the image;
// its position is uniform. After ten attempts it is the largest rectangle at the center whose
// aspect ratio is in the range. If both ratios are 0 they are 3/4 and 4/3. The zero value does
// not crop.
type RandomResizedCrop struct {
	ScaleMin float64 `toml:"scale_min"`
	ScaleMax float64 `toml:"scale_max"`
	RatioMin float64 `toml:"ratio_min"`
	RatioMax float64 `toml:"ratio_max"`
}

// Validate returns an error for scales that are not above 0, at most 1 and in order, and for
// ratios that are not above 0 and in order.
func (c RandomResizedCrop) Validate() error {
	const name = "random resized crop"
	if err := checkRange(name, "scale", c.ScaleMin, c.ScaleMax, 1, "0 in both for no crop"); err != nil {
		return err
	}
	return checkRange(name, "ratio", c.RatioMin, c.RatioMax, maxRatio, "0 in both for 3/4 and 4/3")
}

// maxRatio bounds aspect ratios.
const maxRatio = 1 << 10

// checkRange checks two ends of a range, which are above 0, or both 0.
func checkRange(owner, field string, least, most, highest float64, zero string) error {
	expected := fmt.Sprintf("above 0 and at most %v, or %s", highest, zero)
	if err := within(owner,
		bound{field + "_min", least, 0, highest, expected},
		bound{field + "_max", most, 0, highest, expected},
	); err != nil {
		return err
	}
	if least > most || least == 0 && most > 0 {
		return errors.Errorf("%s: %s_min is %v and %s_max %v, expected both above 0 and in this order, or %s", owner, field, least, field, most, zero)
	}
	return nil
}

// attempts are those of torchvision to draw a rectangle that fits.
const attempts = 10

// draw draws the rectangle of an image of a size; the whole image for the zero value.
func (c RandomResizedCrop) draw(size imaging.Size, r *rand.Rand) image.Rectangle {
	height, width := size.Height, size.Width
	if c.ScaleMax == 0 {
		return image.Rect(0, 0, width, height)
	}
	least, most := c.RatioMin, c.RatioMax
	if most == 0 {
		least, most = 3./4, 4./3
	}
	for range attempts {
		w, h := drawSides(size, c.ScaleMin, c.ScaleMax, least, most, r)
		if 0 < w && w <= width && 0 < h && h <= height {
			return place(h, w, size, r)
		}
	}
	h, w := height, width
	switch ratio := float64(width) / float64(height); {
	case ratio < least:
		h = max(1, int(math.RoundToEven(float64(w)/least)))
	case ratio > most:
		w = max(1, int(math.RoundToEven(float64(h)*most)))
	}
	top, left := (height-h)/2, (width-w)/2
	return image.Rect(left, top, left+w, top+h)
}

// drawSides draws the two sides of a rectangle by its area, as a fraction of that of an image,
// and by the ratio of the first side to the second.
func drawSides(size imaging.Size, scaleMin, scaleMax, ratioMin, ratioMax float64, r *rand.Rand) (first, second int) {
	area := float64(size.Height*size.Width) * uniform(scaleMin, scaleMax, r)
	ratio := math.Exp(uniform(math.Log(ratioMin), math.Log(ratioMax), r))
	return int(math.RoundToEven(math.Sqrt(area * ratio))), int(math.RoundToEven(math.Sqrt(area / ratio)))
}

// place draws the position of a rectangle in an image.
func place(height, width int, size imaging.Size, r *rand.Rand) image.Rectangle {
	top, left := r.IntN(size.Height-height+1), r.IntN(size.Width-width+1)
	return image.Rect(left, top, left+width, top+height)
}

func uniform(least, most float64, r *rand.Rand) float64 {
	return least + float64((most-least)*r.Float64())
}

// ColorJitter changes the brightness, contrast, saturation and hue, in random order, with
// Probability (torchvision's ColorJitter, within RandomApply). The factors of the first three are
// drawn uniformly from 1 − x to 1 + x, but not below 0, where x is the field; the shift of the
// hue, whose whole circle is 1, is drawn from −Hue to Hue. On gray images only brightness and
// contrast have an effect. The zero value changes nothing.
type ColorJitter struct {
	Brightness  float64 `toml:"brightness"`
	Contrast    float64 `toml:"contrast"`
	Saturation  float64 `toml:"saturation"`
	Hue         float64 `toml:"hue"` // at most 0.5
	Probability float64 `toml:"probability"`
}

// Validate returns an error for a field outside its range.
func (j ColorJitter) Validate() error {
	return within("color jitter",
		bound{"brightness", j.Brightness, 0, 255, "0 to 255"},
		bound{"contrast", j.Contrast, 0, 255, "0 to 255"},
		bound{"saturation", j.Saturation, 0, 255, "0 to 255"},
		bound{"hue", j.Hue, 0, 0.5, "0 to 0.5"},
		bound{"probability", j.Probability, 0, 1, "0 to 1"},
	)
}

// The four changes of ColorJitter.
const (
	brightness = iota
	contrast
	saturation
	hue
)

// colors are drawn changes of the color: three factors and a shift, in an order.
type colors struct {
	applied bool
	order   [4]int
	values  [4]float64
}

func (j ColorJitter) draw(r *rand.Rand) colors {
	c := colors{applied: j.Probability > 0 && r.Float64() < j.Probability}
	if !c.applied {
		return c
	}
	for i := range c.order { // Fisher & Yates's shuffle
		other := r.IntN(i + 1)
		c.order[i], c.order[other] = c.order[other], i
	}
	for i, x := range [3]float64{j.Brightness, j.Contrast, j.Saturation} {
		c.values[i] = uniform(max(0, 1-x), 1+x, r)
	}
	c.values[hue] = uniform(-j.Hue, j.Hue, r)
	return c
}

func (c colors) apply(pixels []uint8, size imaging.Size) error {
	if !c.applied {
		return nil
	}
	for _, change := range c.order {
		value := c.values[change]
		var err error
		switch {
		case change == hue && value != 0:
			err = imaging.AdjustHue(pixels, size, value)
		case change == hue || value == 1:
		case change == brightness:
			err = imaging.AdjustBrightness(pixels, size, value)
		case change == contrast:
			err = imaging.AdjustContrast(pixels, size, value)
		case change == saturation:
			err = imaging.AdjustSaturation(pixels, size, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// GaussianBlur blurs with Probability by a Gaussian whose standard deviation, in pixels, is drawn
// uniformly from SigmaMin to SigmaMax (torchvision's GaussianBlur, within RandomApply). Kernel is
// the number of pixels along each axis that take part, an odd number; 0 is a tenth of the shorter
// side (Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual
// Representations", appendix A). If both sigmas are 0 they are 0.1 and 2. The zero value changes
// nothing.
type GaussianBlur struct {
	Kernel      int     `toml:"kernel"`
	SigmaMin    float64 `toml:"sigma_min"`
	SigmaMax    float64 `toml:"sigma_max"`
	Probability float64 `toml:"probability"`
}

// Validate returns an error for a field outside its range.
func (b GaussianBlur) Validate() error {
	const name = "Gaussian blur"
	if b.Kernel != 0 && (b.Kernel < 1 || b.Kernel > imaging.MaxBlurKernel || b.Kernel%2 == 0) {
		return errors.Errorf("%s: kernel is %d, expected an odd number of 1 to %d, or 0 for a tenth of the image", name, b.Kernel, imaging.MaxBlurKernel)
	}
	if err := checkRange(name, "sigma", b.SigmaMin, b.SigmaMax, 1<<10, "0 in both for 0.1 and 2"); err != nil {
		return err
	}
	return within(name, bound{"probability", b.Probability, 0, 1, "0 to 1"})
}

// draw draws the kernel and sigma, both 0 if it takes no part.
func (b GaussianBlur) draw(size imaging.Size, r *rand.Rand) (kernel int, sigma float64) {
	if b.Probability == 0 || r.Float64() >= b.Probability {
		return 0, 0
	}
	least, most := b.SigmaMin, b.SigmaMax
	if most == 0 {
		least, most = 0.1, 2
	}
	kernel = b.Kernel
	if kernel == 0 {
		kernel = min(max(3, min(size.Height, size.Width)/10|1), imaging.MaxBlurKernel)
	}
	return kernel, uniform(least, most, r)
}

// RandomErasing sets a rectangle of the normalized image to 0, the mean of the training images,
// with Probability (torchvision's RandomErasing; Zhong et al. 2020, "Random Erasing Data
// Augmentation"). The area, as a fraction of that of the image, is drawn uniformly from ScaleMin
// to ScaleMax, and the aspect ratio, height / width, uniformly in its logarithm from RatioMin to
// RatioMax, until the rectangle is smaller than the image on both sides, at most ten times; its
// position is uniform. If both scales are 0 they are 0.02 and 0.33, and if both ratios are 0 they
// are 0.3 and 3.3. The zero value changes nothing.
type RandomErasing struct {
	ScaleMin    float64 `toml:"scale_min"`
	ScaleMax    float64 `toml:"scale_max"`
	RatioMin    float64 `toml:"ratio_min"`
	RatioMax    float64 `toml:"ratio_max"`
	Probability float64 `toml:"probability"`
}

// Validate returns an error for a field outside its range.
func (e RandomErasing) Validate() error {
	const name = "random erasing"
	if err := checkRange(name, "scale", e.ScaleMin, e.ScaleMax, 1, "0 in both for 0.02 and 0.33"); err != nil {
		return err
	}
	if err := checkRange(name, "ratio", e.RatioMin, e.RatioMax, maxRatio, "0 in both for 0.3 and 3.3"); err != nil {
		return err
	}
	return within(name, bound{"probability", e.Probability, 0, 1, "0 to 1"})
}

// draw draws the rectangle, which is empty if it takes no part or if none fits.
func (e RandomErasing) draw(size imaging.Size, r *rand.Rand) image.Rectangle {
	if e.Probability == 0 || r.Float64() >= e.Probability {
		return image.Rectangle{}
	}
	if e.ScaleMax == 0 {
		e.ScaleMin, e.ScaleMax = 0.02, 0.33
	}
	if e.RatioMax == 0 {
		e.RatioMin, e.RatioMax = 0.3, 3.3
	}
	for range attempts {
		h, w := drawSides(size, e.ScaleMin, e.ScaleMax, e.RatioMin, e.RatioMax, r)
		if h < size.Height && w < size.Width {
			return place(h, w, size, r)
		}
	}
	return image.Rectangle{}
}

// erase sets a rectangle of (height, width, channels) values to 0.
func erase(values []float32, size imaging.Size, area image.Rectangle) {
	for y := area.Min.Y; y < area.Max.Y; y++ {
		clear(values[(y*size.Width+area.Min.X)*size.Channels:][:area.Dx()*size.Channels])
	}
}

// drawnPhoto is a Photo that has been drawn.
type drawnPhoto struct {
	crop   image.Rectangle // of the source
	flip   bool
	colors colors
	gray   bool
	kernel int // of the blur; 0 for none
	sigma  float64
	erased image.Rectangle // empty for none
}

// draw draws an augmentation for a source and for the size of the network's input.
func (p Photo) draw(source, input imaging.Size, r *rand.Rand) (d drawnPhoto) {
	d.crop = p.Crop.draw(source, r)
	d.flip = r.Float64() < p.HorizontalFlip
	d.colors = p.Jitter.draw(r)
	d.gray = r.Float64() < p.Grayscale
	d.kernel, d.sigma = p.Blur.draw(input, r)
	d.erased = p.Erasing.draw(input, r)
	return d
}

// read draws an augmentation and writes an image to pixels, cropped and mirrored. spare is as
// long as pixels.
func (p Photo) read(pixels, spare []uint8, images Images, index int, r *rand.Rand) (drawnPhoto, error) {
	input := images.ImageSize()
	source, from, err := spare, input, error(nil)
	crops := p.Crop != RandomResizedCrop{}
	switch larger, ok := images.(Originals); {
	case !crops:
		err = readImage(images, index, pixels)
	case ok:
		if source, from, err = larger.ReadOriginal(index); err == nil {
			err = from.Validate()
		}
		err = errors.WithMessagef(err, "read %s", images.Source(index))
	default:
		err = readImage(images, index, source)
	}
	if err != nil {
		return drawnPhoto{}, err
	}
	d := p.draw(from, input, r)
	if crops {
		if err := imaging.ResizedCrop(pixels, input, source, from, d.crop); err != nil {
			return d, errors.WithMessage(err, images.Source(index))
		}
	}
	if d.flip {
		return d, imaging.FlipHorizontal(pixels, input)
	}
	return d, nil
}

// recolor applies what follows the distortions, except for the erasing.
func (d drawnPhoto) recolor(pixels []uint8, size imaging.Size) error {
	if err := d.colors.apply(pixels, size); err != nil {
		return err
	}
	if d.gray {
		if err := imaging.Grayscale(pixels, size); err != nil {
			return err
		}
	}
	if d.kernel > 0 {
		return imaging.GaussianBlur(pixels, size, d.kernel, d.sigma)
	}
	return nil
}
