package imaging_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"io"
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

// What Prepare refuses gives no pixels, and Normalize writes no more than there is room
// for.
func TestPixelsOfNothing(t *testing.T) {
	valid := imaging.Preprocessing{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}}
	img := image.NewGray(image.Rect(0, 0, 2, 2))
	for name, test := range map[string]struct {
		preprocessing imaging.Preprocessing
		img           image.Image
	}{
		"zero": {}, "no image": {valid, nil}, "a nil image": {valid, (*image.RGBA)(nil)}, "an empty image": {valid, image.NewGray(image.Rectangle{})},
		"no size":            {imaging.Preprocessing{}, img},
		"two channels":       {imaging.Preprocessing{Size: imaging.Size{Height: 2, Width: 2, Channels: 2}}, img},
		"a crop of no width": {imaging.Preprocessing{Size: valid.Size, Crop: &imaging.Crop{}}, img},
	} {
		if found := test.preprocessing.Pixels(test.img); found != nil {
			t.Errorf("%s: found %v, expected nil", name, found)
		}
		if found, err := test.preprocessing.Prepare(test.img); found != nil || err == nil {
			t.Errorf("%s: Prepare: found %v, %v, expected an error", name, found, err)
		}
	}
	dst := []float32{7, 7}
	valid.Normalize(dst[:1], []uint8{255, 255, 255, 255})
	if dst[0] != 1 || dst[1] != 7 {
		t.Errorf("found %v, expected [1 7]", dst)
	}
	imaging.Preprocessing{Size: valid.Size, Mean: []float64{}, StdDev: []float64{1, 1}}.Normalize(dst, []uint8{0, 0})
	if dst[0] != 1 {
		t.Errorf("not valid: found %v, expected nothing written", dst)
	}
	if found := valid.Size.Image(make([]uint8, 3)); found != nil {
		t.Errorf("3 bytes of 4: found %v", found)
	}
	over := imaging.Skipped{First: make([]string, imaging.MaxSkipped+1)}
	if over.Add("a.txt"); over.Count != 1 {
		t.Errorf("found %v", over)
	}
	for name, r := range map[string]io.Reader{"nil": nil, "a nil *bytes.Reader": (*bytes.Reader)(nil)} {
		if _, err := imaging.Decode(r, "a.png"); err == nil || !strings.Contains(err.Error(), "read image a.png: the reader ") || errors.Is(err, imaging.ErrUndecodable) {
			t.Errorf("%s: found %v", name, err)
		}
		if _, err := imaging.DecodeSize(r, "a.png"); err == nil || !strings.Contains(err.Error(), "read image a.png: the reader ") {
			t.Errorf("%s: found %v", name, err)
		}
	}
}
