package imaging

import (
	"fmt"
	"image"
	"math"

	"github.com/pkg/errors"
)

// Size is the shape of a network's input: height × width pixels of one channel
// (grey) or three (red, green, blue).
type Size struct {
	Height   int `toml:"height" json:"height"`
	Width    int `toml:"width" json:"width"`
	Channels int `toml:"channels" json:"channels"`
}

// Len is the number of values of one image, height × width × channels.
func (s Size) Len() int { return s.Height * s.Width * s.Channels }

// String writes the size as height x width x channels, such as "28x28x1".
func (s Size) String() string { return fmt.Sprintf("%dx%dx%d", s.Height, s.Width, s.Channels) }

// Validate reports what is wrong with a size: it has at least one pixel, at
// most MaxPixels, and one or three channels.
func (s Size) Validate() error {
	if err := checkPixels(s.Width, s.Height); err != nil {
		return errors.Wrapf(err, "size %v", s)
	}
	if s.Channels != 1 && s.Channels != 3 {
		return errors.Errorf("size %v: found %d channels, expected 1 (grey) or 3 (colour)", s, s.Channels)
	}
	return nil
}

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

// Check says why an image cannot be read: it is nil or has no pixels, it is larger
// than Decode accepts (ErrTooLarge), or it is of a type of package image whose
// memory is shorter than its bounds need. An image of another type may fail yet
// when its pixels are read; see Prepare. The text of an error follows "the
// image".
func Check(img image.Image) (err error) {
	defer unreadable(&err, img)
	if img == nil {
		return errors.New("has no pixels: it is nil")
	}
	bounds := img.Bounds()
	if bounds.Empty() {
		return errors.Errorf("has no pixels: its bounds are %v", bounds)
	}
	// A difference that is too large for an int is negative.
	if width, height := bounds.Dx(), bounds.Dy(); width < 0 || height < 0 || width > MaxSide || height > MaxSide || width > MaxPixels/height {
		return errors.Wrapf(ErrTooLarge, "has the bounds %v, at most %d pixels and at most %d along one side are taken", bounds, MaxPixels, MaxSide)
	}
	for _, plane := range planes(img) {
		if err := plane.check(); err != nil {
			return errors.Wrapf(err, "is a broken %T with the bounds %v", img, bounds)
		}
	}
	return nil
}

// Prepare is Pixels for an image of any origin, such as a type of the user's own:
// where Check finds something or the image panics, that is an error. Its text
// follows "the image". A preprocessing that is not valid is an error, too.
func (p Preprocessing) Prepare(img image.Image) (pixels []uint8, err error) {
	if err := Check(img); err != nil {
		return nil, err
	}
	return p.read(img)
}

// unreadable makes an error of a panic while an image is read.
func unreadable(err *error, img image.Image) {
	if r := recover(); r != nil {
		*err = errors.Errorf("is a %T that panics while it is read, expected one that can be read within its bounds: %v", img, r)
	}
}

// plane is memory of an image: so many rows, each of so many bytes, stride bytes
// apart.
type plane struct {
	name        string
	memory      []uint8
	stride      int
	rows, bytes int
}

func (p plane) check() error {
	if p.stride < 0 || p.rows > 1 && p.stride > len(p.memory) || (p.rows-1)*p.stride+p.bytes > len(p.memory) {
		return errors.Errorf("%s has %d bytes, expected %d rows of %d bytes that begin %d bytes apart", p.name, len(p.memory), p.rows, p.bytes, p.stride)
	}
	return nil
}

// planes are the memory of an image of package image; there is none of other
// types. Reading beyond the length of a slice need not panic: what lies between
// length and capacity would be read as pixels.
func planes(img image.Image) []plane {
	bounds := img.Bounds()
	pix := func(memory []uint8, stride, each int) []plane {
		return []plane{{"Pix", memory, stride, bounds.Dy(), each * bounds.Dx()}}
	}
	switch img := img.(type) {
	case *image.Alpha:
		return pix(img.Pix, img.Stride, 1)
	case *image.Alpha16:
		return pix(img.Pix, img.Stride, 2)
	case *image.CMYK:
		return pix(img.Pix, img.Stride, 4)
	case *image.Gray:
		return pix(img.Pix, img.Stride, 1)
	case *image.Gray16:
		return pix(img.Pix, img.Stride, 2)
	case *image.NRGBA:
		return pix(img.Pix, img.Stride, 4)
	case *image.NRGBA64:
		return pix(img.Pix, img.Stride, 8)
	case *image.Paletted:
		return pix(img.Pix, img.Stride, 1)
	case *image.RGBA:
		return pix(img.Pix, img.Stride, 4)
	case *image.RGBA64:
		return pix(img.Pix, img.Stride, 8)
	case *image.YCbCr:
		return yCbCr(img)
	case *image.NYCbCrA:
		return append(yCbCr(&img.YCbCr), plane{"A", img.A, img.AStride, bounds.Dy(), bounds.Dx()})
	}
	return nil
}

// yCbCr are the planes of an image whose colors may have fewer pixels than its
// brightness. The color of the last pixel is the last of its plane.
func yCbCr(img *image.YCbCr) []plane {
	bounds := img.Rect
	all := []plane{{"Y", img.Y, img.YStride, bounds.Dy(), bounds.Dx()}}
	at := img.COffset(bounds.Max.X-1, bounds.Max.Y-1)
	for _, colors := range []plane{{name: "Cb", memory: img.Cb}, {name: "Cr", memory: img.Cr}} {
		colors.stride, colors.rows, colors.bytes = img.CStride, 1, at+1
		if at < 0 {
			colors.stride = -1
		}
		all = append(all, colors)
	}
	return all
}

// Image is the picture of (height, width, channels) bytes of the size, as
// Preprocessing.Pixels gives them; a grey one shares their memory. It is nil where the
// size is not valid or there are fewer bytes than it has.
func (s Size) Image(pixels []uint8) image.Image {
	if s.Validate() != nil || len(pixels) < s.Len() {
		return nil
	}
	bounds := image.Rect(0, 0, s.Width, s.Height)
	if s.Channels == 1 {
		return &image.Gray{Pix: pixels, Stride: s.Width, Rect: bounds}
	}
	colours := image.NewNRGBA(bounds)
	for i := range s.Height * s.Width {
		copy(colours.Pix[4*i:], pixels[3*i:3*i+3])
		colours.Pix[4*i+3] = 255
	}
	return colours
}
