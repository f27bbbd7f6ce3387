package imaging_test

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
)

// ink draws rectangles of black ink on white paper.
func ink(height, width int, rectangles ...image.Rectangle) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, r := range rectangles {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				img.Pix[y*img.Stride+x] = 0
			}
		}
	}
	return img
}

// cropped reads black ink on white paper.
func cropped(side int, crop imaging.Crop) imaging.Preprocessing {
	p := gray(side, side)
	p.Invert, p.Crop = true, &crop
	return p
}

// Two by two pixels of ink, somewhere, are the middle of twice as large a square.
func TestCropFindsTheInk(t *testing.T) {
	want := []uint8{
		0, 0, 0, 0,
		0, 255, 255, 0,
		0, 255, 255, 0,
		0, 0, 0, 0}
	for _, at := range []image.Point{{0, 0}, {3, 1}, {8, 4}, {4, 6}} { // at edges and corners, too
		img := ink(8, 10, image.Rectangle{at, at.Add(image.Pt(2, 2))})
		if diff := cmp.Diff(want, cropped(4, imaging.Crop{Margin: 2}).Pixels(img)); diff != "" {
			t.Errorf("ink at %v: %s", at, diff)
		}
	}
}

// A square that begins between pixels takes half of each; a shrunk one averages.
func TestCropAveragesAreas(t *testing.T) {
	// Ink of 3 × 1 in a square of 3 × 3: centered on row 1.5 of the paper.
	img := ink(5, 5, image.Rect(1, 1, 4, 2))
	if diff := cmp.Diff([]uint8{0, 0, 0, 255, 255, 255, 0, 0, 0}, cropped(3, imaging.Crop{Margin: 1}).Pixels(img)); diff != "" {
		t.Error(diff)
	}
	// Of 2 × 1: the square's rows begin at 0.5, and the ink is half of each.
	img = ink(3, 4, image.Rect(1, 1, 3, 2))
	if diff := cmp.Diff([]uint8{128, 128, 128, 128}, cropped(2, imaging.Crop{Margin: 1}).Pixels(img)); diff != "" {
		t.Error(diff)
	}
	// Of 4 × 4, of which a quarter is white, as one pixel.
	img = ink(6, 6, image.Rect(1, 1, 5, 3), image.Rect(1, 3, 3, 5))
	if diff := cmp.Diff([]uint8{191}, cropped(1, imaging.Crop{Margin: 1}).Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

// A dot counts as a part of the paper, and a paper without ink is taken whole.
func TestCropOfLittleInk(t *testing.T) {
	dot := ink(8, 8, image.Rect(3, 3, 5, 5))
	got := cropped(4, imaging.Crop{Margin: 1, MinSide: 0.5}).Pixels(dot)
	if diff := cmp.Diff([]uint8{0, 0, 0, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 0}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(make([]uint8, 16), cropped(4, imaging.Crop{Margin: 1}).Pixels(ink(5, 9))); diff != "" {
		t.Error(diff)
	}
}

// Colors are cut together.
func TestCropKeepsColors(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 5, 5)) // nothing is there: white paper
	for y := range 5 {
		for x := range 5 {
			copy(img.Pix[4*(5*y+x):], []uint8{0, 0, 0, 255})
		}
	}
	copy(img.Pix[4*(5*2+3):], []uint8{200, 30, 0, 255})
	p := colored(1, 1)
	p.Crop = &imaging.Crop{Margin: 1}
	if diff := cmp.Diff([]uint8{200, 30, 0}, p.Pixels(img)); diff != "" {
		t.Error(diff)
	}
}

func TestCropValidate(t *testing.T) {
	for want, crop := range map[string]imaging.Crop{
		"margin is 0.5, expected 1 to 16": {Margin: 0.5},
		"least is 2, expected 0 to 1":     {Margin: 1, MinSide: 2},
	} {
		if err := cropped(4, crop).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want one that says %s", err, want)
		}
	}
	if err := cropped(4, imaging.Crop{Margin: 1.15, MinSide: 0.4}).Validate(); err != nil {
		t.Error(err)
	}
}

// Each pixel of half the size is the mean of four; a small image stays as it is.
func TestShrink(t *testing.T) {
	own := imaging.Size{Height: 4, Width: 2, Channels: 1}
	pixels := []uint8{10, 20, 30, 40, 0, 0, 255, 1}
	got, size, err := imaging.Shrink(pixels, own, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := (imaging.Size{Height: 2, Width: 2, Channels: 1}); size != want {
		t.Errorf("the size is %v, expected %v", size, want)
	}
	// Rows are halved, columns remain.
	if want := []uint8{20, 30, 128, 1}; !slices.Equal(got, want) {
		t.Errorf("found %v, expected %v", got, want)
	}
	if got, size, err := imaging.Shrink(pixels, own, 4); err != nil || size != own || !slices.Equal(got, pixels) {
		t.Errorf("a small image became %v of %v", got, size)
	}
	color := imaging.Size{Height: 2, Width: 2, Channels: 3}
	got, size, err = imaging.Shrink([]uint8{0, 10, 20, 40, 50, 60, 80, 90, 100, 120, 130, 140}, color, 1)
	if want := []uint8{60, 70, 80}; err != nil || size.Len() != 3 || !slices.Equal(got, want) {
		t.Errorf("found %v of %v, expected %v", got, size, want)
	}
	if _, _, err := imaging.Shrink(pixels[1:], own, 2); err == nil {
		t.Error("a missing pixel is no error")
	}
	if _, _, err := imaging.Shrink(pixels, own, 0); err == nil {
		t.Error("a side of 0 is no error")
	}
}

// The input of the network is the area of the image, stretched: a bright pixel of the image is
// found in the input where Area says.
func TestArea(t *testing.T) {
	size := imaging.Size{Height: 40, Width: 40, Channels: 1}
	for name, test := range map[string]struct {
		preprocessing imaging.Preprocessing
		width, height int
		want          imaging.Area
	}{
		"stretched":     {imaging.Preprocessing{Size: size}, 160, 80, imaging.Area{Right: 160, Bottom: 80}},
		"center, wide":  {imaging.Preprocessing{Size: size, ShorterSide: 50}, 200, 100, imaging.Area{Left: 60, Top: 10, Right: 140, Bottom: 90}},
		"center, tall":  {imaging.Preprocessing{Size: size, ShorterSide: 40}, 100, 300, imaging.Area{Top: 100, Right: 100, Bottom: 200}},
		"center, small": {imaging.Preprocessing{Size: size, ShorterSide: 80}, 20, 20, imaging.Area{Left: 5, Top: 5, Right: 15, Bottom: 15}},
		// The foreground is the square of 20 pixels at (70, 40); its side times 2 around (80, 50).
		"foreground": {imaging.Preprocessing{Size: size, Crop: &imaging.Crop{Margin: 2}}, 160, 100, imaging.Area{Left: 60, Top: 30, Right: 100, Bottom: 70}},
	} {
		img := image.NewGray(image.Rect(7, 9, 7+test.width, 9+test.height))
		side := min(test.width, test.height) / 5
		left, top := test.width/2-side/2, test.height/2-side/2
		for y := range side {
			for x := range side {
				img.SetGray(7+left+x, 9+top+y, color.Gray{Y: 255})
			}
		}
		area, err := test.preprocessing.Area(img)
		if err != nil || area != test.want {
			t.Errorf("%s: found %v, %v, expected %v", name, area, err, test.want)
			continue
		}
		pixels, err := test.preprocessing.Prepare(img)
		if err != nil {
			t.Fatal(err)
		}
		var sum, atX, atY float64 // the center of the bright square in the input
		for i, v := range pixels {
			sum += float64(v)
			atX += float64(v) * (float64(i%size.Width) + 0.5)
			atY += float64(v) * (float64(i/size.Width) + 0.5)
		}
		x := area.Left + atX/sum*(area.Right-area.Left)/float64(size.Width)
		y := area.Top + atY/sum*(area.Bottom-area.Top)/float64(size.Height)
		if wantX, wantY := float64(left)+float64(side)/2, float64(top)+float64(side)/2; math.Abs(x-wantX) > 0.01 || math.Abs(y-wantY) > 0.01 {
			t.Errorf("%s: the square is at (%.3f, %.3f), expected (%.3f, %.3f)", name, x, y, wantX, wantY)
		}
	}
	if _, err := (imaging.Preprocessing{Size: size}).Area(nil); err == nil || !strings.Contains(err.Error(), "has no pixels") {
		t.Errorf("no image: found %v", err)
	}
	if _, err := (imaging.Preprocessing{}).Area(image.NewGray(image.Rect(0, 0, 4, 4))); err == nil {
		t.Error("no size: found no error")
	}
}
