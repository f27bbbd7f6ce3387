package imaging

import (
	"fmt"
	"image"
	"math"

	"github.com/pkg/errors"
)

// Size is the shape of a network's input: height × width pixels of one channel
// (gray) or three (red, green, blue).
type Size struct {
	Height   int `toml:"height" json:"height"`
	Width    int `toml:"width" json:"width"`
	Channels int `toml:"channels" json:"channels"`
}

// Len returns the number of values of one image, height × width × channels.
func (s Size) Len() int { return s.Height * s.Width * s.Channels }

// String formats the size as height x width x channels, such as "28x28x1".
func (s Size) String() string { return fmt.Sprintf("%dx%dx%d", s.Height, s.Width, s.Channels) }

// Validate returns an error unless a size has at least one pixel, at most MaxPixels, and
// one or three channels.
func (s Size) Validate() error {
	if err := checkPixels(s.Width, s.Height); err != nil {
		return errors.Wrapf(err, "size %v", s)
	}
	if s.Channels != 1 && s.Channels != 3 {
		return errors.Errorf("size %v: found %d channels, expected 1 (gray) or 3 (color)", s, s.Channels)
	}
	return nil
}

// Preprocessing describes how an image is converted to the input of a network. It is
// part of a trained model and is stored with it.
type Preprocessing struct {
	Size Size `toml:"size" json:"size"`
	// Invert inverts the image: for a network that was trained on white strokes on black,
	// and images of black strokes on white paper.
	Invert bool `toml:"invert" json:"invert"`
	// Crop crops the image to its foreground, for drawings at any position; nil uses the
	// whole image.
	Crop *Crop `toml:"crop" json:"crop,omitempty"`
	// ScaledJPEG decodes JPEG images that are at least twice as wide and as high as Size, or
	// of which the shorter side is at least twice as long as ShorterSide, at a half, a
	// quarter or an eighth of their size, by transforms of so many coefficients (DCT
	// scaling). This is up to three times as fast, and changes pixels a little. It is not used
	// with Crop.
	ScaledJPEG bool `toml:"scaled_jpeg,omitempty" json:"scaled_jpeg,omitempty"`
	// ShorterSide, unless it is 0, is the length in pixels to which the shorter side of the
	// image is resized, with the aspect ratio kept; the center of the result is cropped to
	// Size. It is at least the longer side of Size and at most MaxSide, and excludes Crop. 0
	// stretches the whole image to Size.
	ShorterSide int `toml:"shorter_side,omitzero" json:"shorter_side,omitempty"`
	// Mean and StdDev are the mean and standard deviation for normalization, one value
	// for each channel on the scale of 0 to 1. Empty stands for 0 and 1.
	Mean   []float64 `toml:"mean" json:"mean,omitempty"`
	StdDev []float64 `toml:"deviation" json:"deviation,omitempty"`
}

// DefaultShorterSide returns the usual Preprocessing.ShorterSide for a size: its longer
// side divided by 0.875, rounded to the nearest integer, which is 256 for 224 × 224 pixels
// as in the evaluation of networks on ImageNet.
func DefaultShorterSide(s Size) int {
	return int(math.Round(float64(max(s.Height, s.Width)) / 0.875))
}

// Validate returns an error for an invalid size or crop, a ShorterSide outside its range or
// together with Crop, a mean or standard deviation that does not have one finite value for
// each channel, or a standard deviation that is not positive.
func (p Preprocessing) Validate() error {
	if err := p.Size.Validate(); err != nil {
		return errors.Wrap(err, "preprocessing")
	}
	if p.Crop != nil {
		if err := p.Crop.Validate(); err != nil {
			return errors.Wrap(err, "preprocessing")
		}
		if p.ScaledJPEG {
			return errors.New("preprocessing: found both cropping to the foreground and scaled decoding of JPEG images, expected one of them")
		}
	}
	if err := p.checkShorterSide(); err != nil {
		return errors.Wrap(err, "preprocessing")
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

// checkShorterSide is the part of Validate about ShorterSide.
func (p Preprocessing) checkShorterSide() error {
	switch least := max(p.Size.Height, p.Size.Width); {
	case p.ShorterSide == 0:
		return nil
	case p.ShorterSide < least || p.ShorterSide > MaxSide:
		return errors.Errorf("the shorter side is %d pixels, expected %d to %d for the size %v, or 0 to stretch images to the size", p.ShorterSide, least, MaxSide, p.Size)
	case p.Crop != nil:
		return errors.New("found a shorter side and a crop to the foreground, expected at most one of them")
	}
	return nil
}

// Pixels returns the image as (height, width, channels) bytes from 0, black, to
// 255, white. If the size has one channel, colors are converted to gray levels (as
// color.GrayModel does). Transparent pixels show white. Images of other sizes are
// scaled to Size by area averaging, or bilinearly if they are smaller, and inverted if
// Invert is set; with Crop they are inverted first, and the square around the ink is
// scaled to Size. Without Crop and ShorterSide the bytes of an opaque image of the right
// size are not changed.
//
// With ShorterSide s the sizes and the position of the crop are those of torchvision's
// Resize(s) and CenterCrop: an image of short × long pixels is resized to s × ⌊s·long/short⌋,
// and the crop of h rows begins at row (rows − h)/2, rounded to the nearest integer and
// halves to the even one, and likewise for columns. The weights of the pixels are those of
// area averaging as without ShorterSide, where torchvision has a triangle of twice the width.
//
// The result is nil if the preprocessing is not valid, or if the image has no pixels or
// panics while it is read; Prepare returns the reason as an error.
func (p Preprocessing) Pixels(img image.Image) []uint8 {
	pixels, err := p.read(img)
	if err != nil {
		return nil
	}
	return pixels
}

// read is Pixels with an error. The text of the error continues "the image".
func (p Preprocessing) read(img image.Image) (pixels []uint8, err error) {
	if err := p.Validate(); err != nil {
		return nil, errors.Wrap(err, "cannot be converted to the input of the network")
	}
	defer unreadable(&err, img)
	if img == nil || img.Bounds().Empty() {
		return nil, errors.New("has no pixels")
	}
	return p.pixels(img), nil
}

func (p Preprocessing) pixels(img image.Image) []uint8 {
	if p.ShorterSide > 0 {
		return p.inverted(centerCrop(img, p.ShorterSide, p.Size))
	}
	if p.Size.Channels == 1 {
		img = gray(img)
	} else {
		img = onPaper(img)
	}
	if p.Crop != nil {
		own := Size{Height: img.Bounds().Dy(), Width: img.Bounds().Dx(), Channels: p.Size.Channels}
		return p.Crop.apply(p.inverted(bytesOf(img, p.Size.Channels)), own, p.Size)
	}
	return p.inverted(bytesOf(resize(img, p.Size.Width, p.Size.Height), p.Size.Channels))
}

// inverted inverts the pixels if Invert is set.
func (p Preprocessing) inverted(pixels []uint8) []uint8 {
	if p.Invert {
		for i := range pixels {
			pixels[i] = 255 - pixels[i]
		}
	}
	return pixels
}

// Normalize writes (v/255 − mean)/deviation for each byte v of pixels, the
// (height, width, channels) values of one or more images, to dst. If the lengths
// differ it writes as many values as the shorter has, and none if the preprocessing is
// not valid.
func (p Preprocessing) Normalize(dst []float32, pixels []uint8) {
	if p.Validate() != nil {
		return
	}
	channels := p.Size.Channels
	pixels = pixels[:min(len(pixels), len(dst))]
	dst = dst[:len(pixels)]
	values := make([][256]float32, channels) // of each byte, because dividing every pixel takes longer
	for channel := range values {
		mean, deviation := 0.0, 1.0
		if len(p.Mean) > 0 {
			mean = p.Mean[channel]
		}
		if len(p.StdDev) > 0 {
			deviation = p.StdDev[channel]
		}
		for v := range values[channel] {
			values[channel][v] = float32((float64(v)/255 - mean) / deviation)
		}
	}
	if channels == 3 { // one pass over memory, by arrays because their indices need no checks
		red, green, blue := &values[0], &values[1], &values[2]
		for len(pixels) >= 12 && len(dst) >= 12 {
			to, from := (*[12]float32)(dst), (*[12]uint8)(pixels)
			to[0], to[1], to[2] = red[from[0]], green[from[1]], blue[from[2]]
			to[3], to[4], to[5] = red[from[3]], green[from[4]], blue[from[5]]
			to[6], to[7], to[8] = red[from[6]], green[from[7]], blue[from[8]]
			to[9], to[10], to[11] = red[from[9]], green[from[10]], blue[from[11]]
			dst, pixels = dst[12:], pixels[12:]
		}
	}
	for channel := range values {
		for i := channel; i < len(pixels); i += channels {
			dst[i] = values[channel][pixels[i]]
		}
	}
}

// Check returns an error for an image that cannot be read: it is nil or has no pixels,
// it is larger than Decode accepts (ErrTooLarge), or it is of a type of package image
// whose memory is shorter than its bounds require. An image of another type may still
// fail when its pixels are read; see Prepare. The text of an error continues "the
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
		return errors.Wrapf(ErrTooLarge, "has the bounds %v, expected at most %d pixels and at most %d along one side", bounds, MaxPixels, MaxSide)
	}
	for _, plane := range planes(img) {
		if err := plane.check(); err != nil {
			return errors.Wrapf(err, "is a broken %T with the bounds %v", img, bounds)
		}
	}
	return nil
}

// Prepare is Pixels with an error, for images of any type, including user-defined ones.
// It is an error if Check returns one, if the image panics while it is read, or if the
// preprocessing is not valid. The text of an error continues "the image".
func (p Preprocessing) Prepare(img image.Image) (pixels []uint8, err error) {
	if err := Check(img); err != nil {
		return nil, err
	}
	return p.read(img)
}

// unreadable converts a panic while an image is read to an error.
func unreadable(err *error, img image.Image) {
	if r := recover(); r != nil {
		*err = errors.Errorf("is a %T that panics while it is read, expected one that can be read within its bounds: %v", img, r)
	}
}

// plane is memory of an image: a number of rows of equal length that begin stride bytes
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

// planes returns the memory of an image of package image; none for other types. Reading
// beyond the length of a slice may succeed: the memory between length and capacity
// would be read as pixels.
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

// Image makes an image of (height, width, channels) bytes, as Preprocessing.Pixels
// returns them; a gray image shares their memory. It is nil if the size is not valid or
// there are fewer bytes than the size has.
func (s Size) Image(pixels []uint8) image.Image {
	if s.Validate() != nil || len(pixels) < s.Len() {
		return nil
	}
	bounds := image.Rect(0, 0, s.Width, s.Height)
	if s.Channels == 1 {
		return &image.Gray{Pix: pixels, Stride: s.Width, Rect: bounds}
	}
	colors := image.NewNRGBA(bounds)
	for i := range s.Height * s.Width {
		copy(colors.Pix[4*i:], pixels[3*i:3*i+3])
		colors.Pix[4*i+3] = 255
	}
	return colors
}
