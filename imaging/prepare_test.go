package imaging_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"reflect"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/imaging"
)

// ofEveryType are images of all types of package image, whose bounds do not begin
// at the origin, and parts of them.
func ofEveryType() []image.Image {
	bounds := image.Rect(3, 5, 12, 10)
	all := []image.Image{
		image.NewAlpha(bounds), image.NewAlpha16(bounds), image.NewCMYK(bounds), image.NewGray(bounds), image.NewGray16(bounds),
		image.NewNRGBA(bounds), image.NewNRGBA64(bounds), image.NewPaletted(bounds, palette.Plan9), image.NewRGBA(bounds), image.NewRGBA64(bounds),
	}
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		all = append(all, image.NewYCbCr(bounds, ratio), image.NewNYCbCrA(bounds, ratio))
	}
	for _, img := range all {
		all = append(all, img.(interface {
			SubImage(image.Rectangle) image.Image
		}).SubImage(image.Rect(5, 6, 12, 10)))
	}
	return all
}

// An image of package image that is whole is prepared as Pixels does it, and one
// whose memory is shorter than its bounds need is refused, even where the slice
// could be grown over what lies behind it.
func TestPrepareChecksTheMemory(t *testing.T) {
	p := imaging.Preprocessing{Size: imaging.Size{Height: 4, Width: 6, Channels: 3}}
	for _, img := range ofEveryType() {
		found, err := p.Prepare(img)
		if err != nil || !bytes.Equal(found, p.Pixels(img)) {
			t.Errorf("%T %v: found %v, %v", img, img.Bounds(), found, err)
		}
		for _, name := range []string{"Pix", "Y", "Cb", "Cr", "A"} {
			field := reflect.ValueOf(img).Elem().FieldByName(name)
			if !field.IsValid() {
				continue
			}
			whole := field.Bytes()
			field.SetBytes(whole[:len(whole)-1]) // with the capacity for the last
			if found, err := p.Prepare(img); err == nil || !strings.Contains(err.Error(), name+" has") {
				t.Errorf("%T %v without the last byte of %s: found %v, %v", img, img.Bounds(), name, found, err)
			}
			field.SetBytes(nil)
			if found, err := p.Prepare(img); err == nil || !strings.Contains(err.Error(), name+" has 0 bytes") {
				t.Errorf("%T %v without %s: found %v, %v", img, img.Bounds(), name, found, err)
			}
			field.SetBytes(whole)
		}
	}
}

// foreign is an image of a caller's own.
type foreign struct {
	bounds image.Rectangle
	at     func(x, y int) color.Color
}

func (foreign) ColorModel() color.Model   { return color.GrayModel }
func (f foreign) Bounds() image.Rectangle { return f.bounds }
func (f foreign) At(x, y int) color.Color { return f.at(x, y) }

func TestPrepareRefuses(t *testing.T) {
	bounds := image.Rect(0, 0, 9, 9)
	strange := image.NewGray(bounds)
	strange.Stride = -9
	wide := image.NewGray(bounds)
	wide.Stride = 1 << 60
	for want, img := range map[string]image.Image{
		"has no pixels: it is nil":                nil,
		"has no pixels: its bounds are":           image.NewRGBA(image.Rect(4, 4, 4, 9)),
		"that panics while it is read":            (*image.RGBA)(nil),
		"panics while it is read, expected":       foreign{bounds, nil},
		"no luck":                                 foreign{bounds, func(int, int) color.Color { panic("no luck") }},
		"nil pointer":                             foreign{bounds, func(int, int) color.Color { return nil }},
		"has the bounds":                          foreign{image.Rect(0, 0, imaging.MaxSide, imaging.MaxSide), nil},
		"and at most 65536 along one side":        foreign{image.Rect(0, 0, 1, imaging.MaxSide+1), nil},
		"has the bounds (-9223372036854775808,0)": foreign{image.Rectangle{image.Pt(-1<<63, 0), image.Pt(1<<63-1, 1)}, nil},
		"begin -9 bytes apart":                    strange,
		"begin 1152921504606846976 bytes":         wide,
	} {
		for _, channels := range []int{1, 3} {
			p := imaging.Preprocessing{Size: imaging.Size{Height: 4, Width: 6, Channels: channels}, Crop: &imaging.Crop{Margin: 1}}
			if pixels, err := p.Prepare(img); pixels != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d channels: found %v, %v, expected %q", channels, pixels, err, want)
			}
		}
	}
	if err := imaging.Check(foreign{image.Rect(0, 0, 1<<20, 1<<20), nil}); !errors.Is(err, imaging.ErrTooLarge) {
		t.Errorf("found %v, expected ErrTooLarge", err)
	}
	own := foreign{bounds, func(x, y int) color.Color { return color.Gray{Y: uint8(x * y)} }}
	copied := image.NewGray(bounds)
	draw.Draw(copied, bounds, own, image.Point{}, draw.Src)
	p := imaging.Preprocessing{Size: imaging.Size{Height: 9, Width: 9, Channels: 1}}
	if found, err := p.Prepare(own); err != nil || !bytes.Equal(found, copied.Pix) {
		t.Errorf("an image of the caller's own: found %v, %v", found, err)
	}
}
