package imaging

import (
	"image"

	"github.com/pkg/errors"
)

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
