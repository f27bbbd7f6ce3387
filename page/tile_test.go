package page

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
)

// An image comes through the page as it is.
func TestInlinePictures(t *testing.T) {
	for _, test := range []struct {
		size   imaging.Size
		pixels []uint8
		want   []color.Color // row by row
	}{
		{imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{0, 200}, []color.Color{color.Gray{}, color.Gray{Y: 200}}},
		{imaging.Size{Height: 2, Width: 1, Channels: 3}, []uint8{1, 2, 3, 250, 0, 9}, []color.Color{color.RGBA{1, 2, 3, 255}, color.RGBA{250, 0, 9, 255}}},
	} {
		uri := string(inline(test.size.Image(test.pixels)))
		content, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(uri, "data:image/png;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			found := color.RGBAModel.Convert(img.At(i%test.size.Width, i/test.size.Width))
			if diff := cmp.Diff(color.RGBAModel.Convert(want), found); diff != "" {
				t.Errorf("%v, pixel %d (-want +found):\n%s", test.size, i, diff)
			}
		}
	}
}

func TestShrink(t *testing.T) {
	for _, test := range []struct{ width, height, most, wantWidth, wantHeight int }{
		{10, 20, 20, 10, 20}, {100, 50, 20, 20, 10}, {1000, 1, 20, 20, 1}, {30, 60, 20, 10, 20},
	} {
		bounds := shrink(image.NewGray(image.Rect(0, 0, test.width, test.height)), test.most).Bounds()
		if bounds.Dx() != test.wantWidth || bounds.Dy() != test.wantHeight {
			t.Errorf("%d×%d to %d: found %v, expected %d×%d", test.width, test.height, test.most, bounds, test.wantWidth, test.wantHeight)
		}
	}
}

// White ink on black and black ink on white are drawings, greys and colours are
// not.
func TestInkOf(t *testing.T) {
	for name, test := range map[string]struct {
		channels int
		pixels   []uint8
		drawing  bool
		ink      [2]uint8 // of black and of white
	}{
		"white on black": {1, []uint8{0, 0, 0, 255}, true, [2]uint8{0, 255}},
		"black on white": {1, []uint8{255, 255, 255, 0}, true, [2]uint8{255, 0}},
		"greys":          {1, []uint8{0, 100, 120, 255}, false, [2]uint8{}},
		"colours":        {3, make([]uint8, 12), false, [2]uint8{}},
	} {
		d := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: test.channels}, Images: [][]uint8{test.pixels}}
		ink := inkOf(d)
		if (ink != nil) != test.drawing {
			t.Errorf("%s: it is a drawing: %v", name, ink != nil)
			continue
		}
		if ink != nil && [2]uint8{ink(0), ink(255)} != test.ink {
			t.Errorf("%s: black is ink of %d, white of %d", name, ink(0), ink(255))
		}
	}
}

// A tile is ink in its colour on nothing, or an image in a frame of its colour.
func TestTiles(t *testing.T) {
	red := color.RGBA{200, 0, 0, 255}
	drawing := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Images: [][]uint8{{0, 255, 0, 0}}}
	photo := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Images: [][]uint8{{90, 110, 130, 150}}}
	tile := tiles(drawing, []color.RGBA{red})[0]
	if _, _, _, alpha := tile.At(0, 0).RGBA(); alpha != 0 || color.RGBAModel.Convert(tile.At(1, 0)) != color.Color(red) {
		t.Errorf("paper is %v and ink %v", tile.At(0, 0), tile.At(1, 0))
	}
	tile = tiles(photo, []color.RGBA{red})[0]
	if color.RGBAModel.Convert(tile.At(0, 0)) != color.Color(red) || color.GrayModel.Convert(tile.At(frame, frame)) != color.Color(color.Gray{Y: 90}) {
		t.Errorf("the frame is %v and the image %v", tile.At(0, 0), tile.At(frame, frame))
	}
}

// Of twelve classes the ten with the most images have colours of their own, in
// the order of the classes.
func TestClassColours(t *testing.T) {
	d := &datasets.Dataset{}
	for class := range 12 {
		d.Classes = append(d.Classes, strconv.Itoa(class))
		images := 2
		if class == 1 || class == 5 {
			images = 1
		}
		for range images {
			d.Images, d.Labels = append(d.Images, nil), append(d.Labels, class)
		}
	}
	colours, meaning := classColours(d)
	var names []string
	for _, entry := range meaning {
		names = append(names, entry.name)
	}
	if diff := cmp.Diff([]string{"0", "2", "3", "4", "6", "7", "8", "9", "10", "11", "others"}, names); diff != "" {
		t.Errorf("legend (-want +found):\n%s", diff)
	}
	for i, class := range d.Labels {
		want := map[int]color.RGBA{0: plot.Colors[0], 1: others, 2: plot.Colors[1], 5: others, 11: plot.Colors[9]}[class]
		if want != (color.RGBA{}) && colours[i] != want {
			t.Errorf("class %d has the colour %v, expected %v", class, colours[i], want)
		}
	}
	d.Labels = nil
	if colours, meaning = classColours(d); meaning != nil || colours[0] != classless || colours[len(colours)-1] != classless {
		t.Errorf("without labels found the legend %v and the colour %v", meaning, colours[0])
	}
}
