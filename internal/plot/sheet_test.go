package plot_test

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/plot"
	"github.com/pkg/errors"
)

var (
	red   = color.RGBA{255, 0, 0, 255}
	blue  = color.RGBA{0, 0, 255, 255}
	gray  = color.RGBA{200, 200, 200, 255}
	white = color.RGBA{255, 255, 255, 255}
)

func plain(width, height int, c color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, c)
		}
	}
	return img
}

// open gives plain images: red squares, wide blue ones, small ones.
func open(file string) (image.Image, error) {
	switch file {
	case "red":
		return plain(400, 400, red), nil
	case "wide":
		return plain(300, 100, blue), nil
	case "small":
		return plain(2, 2, red), nil
	case "clear":
		return plain(10, 10, color.RGBA{}), nil
	}
	return nil, errors.Errorf("%s is missing", file)
}

func cells(files ...string) []plot.Cell {
	var all []plot.Cell
	for _, file := range files {
		all = append(all, plot.Cell{File: file, Captions: [plot.CaptionLines]string{file, "0.1234"}})
	}
	return all
}

func repeated(n int, file string) []plot.Cell {
	return cells(strings.Split(strings.Repeat(file+" ", n), " ")[:n]...)
}

// A row of three and one of ten, which takes two lines: the sheet is as large as
// that, and every image is where it belongs.
func TestDrawSheet(t *testing.T) {
	picture, err := plot.DrawSheet([]plot.Row{
		{Title: "first", Cells: cells("red", "wide", "clear")},
		{Title: "second", Cells: append(repeated(9, "small"), cells("wide")...)},
	}, open)
	if err != nil {
		t.Fatal(err)
	}
	line := plot.Side + plot.CaptionLines*plot.LineHeight + plot.Gap
	column := plot.Side + plot.Gap
	if want := image.Rect(0, 0, plot.Gap+8*column, plot.Gap+2*plot.TitleHeight+3*line); picture.Rect != want {
		t.Errorf("the sheet is %v, expected %v", picture.Rect, want)
	}
	first := image.Pt(plot.Gap, plot.Gap+plot.TitleHeight)
	second := first.Add(image.Pt(0, line+plot.TitleHeight))
	middle := image.Pt(plot.Side/2, plot.Side/2)
	for _, test := range []struct {
		what string
		at   image.Point
		want color.RGBA
	}{
		{"the red square", first.Add(middle), red},
		{"the frame's corner", first, gray},
		{"the opposite corner of the last frame", second.Add(image.Pt(column+plot.Side-1, line+plot.Side-1)), gray},
		{"its corner", first.Add(image.Pt(2, 2)), red},
		{"the wide image's middle", first.Add(image.Pt(column, 0)).Add(middle), blue},
		{"above the wide image", first.Add(image.Pt(column+plot.Side/2, plot.Side/4)), white},
		{"left in the wide image", first.Add(image.Pt(column+2, plot.Side/2)), blue},
		{"what is clear", first.Add(image.Pt(2*column, 0)).Add(middle), white},
		{"no fourth image", first.Add(image.Pt(3*column, 0)).Add(middle), white},
		{"the small image, enlarged", second.Add(middle), red},
		{"the eighth", second.Add(image.Pt(7*column, 0)).Add(middle), red},
		{"the ninth, on the second line", second.Add(image.Pt(0, line)).Add(middle), red},
		{"the tenth", second.Add(image.Pt(column, line)).Add(middle), blue},
		{"between two cells", second.Add(image.Pt(plot.Side+plot.Gap/2, 10)), white},
	} {
		if got := picture.RGBAAt(test.at.X, test.at.Y); got != test.want {
			t.Errorf("%s, at %v: found %v, expected %v", test.what, test.at, got, test.want)
		}
	}
}

// There is writing in the title and under each image, and it keeps to its cell.
func TestCaptions(t *testing.T) {
	long := strings.Repeat("a long name ", 30) + "1.png"
	picture, err := plot.DrawSheet([]plot.Row{{Title: "Group 1", Cells: []plot.Cell{
		{File: "red", Captions: [plot.CaptionLines]string{long, "0.1234 from b.png"}}, {File: "red"},
	}}}, open)
	if err != nil {
		t.Fatal(err)
	}
	top := plot.Gap + plot.TitleHeight + plot.Side
	for what, test := range map[string]struct {
		area    image.Rectangle
		written bool
	}{
		"the title":            {image.Rect(plot.Gap, plot.Gap, plot.Gap+60, plot.Gap+plot.TitleHeight), true},
		"the first caption":    {image.Rect(plot.Gap, top, plot.Gap+plot.Side, top+plot.LineHeight), true},
		"the second caption":   {image.Rect(plot.Gap, top+plot.LineHeight, plot.Gap+plot.Side, top+2*plot.LineHeight), true},
		"between the captions": {image.Rect(plot.Gap+plot.Side+1, top, 2*plot.Gap+plot.Side, top+3*plot.LineHeight), false},
		"no third caption":     {image.Rect(plot.Gap, top+2*plot.LineHeight, plot.Gap+plot.Side, top+3*plot.LineHeight), false},
		"no captions":          {image.Rect(2*plot.Gap+plot.Side, top, 2*(plot.Gap+plot.Side), top+2*plot.LineHeight), false},
	} {
		dark := 0
		for y := test.area.Min.Y; y < test.area.Max.Y; y++ {
			for x := test.area.Min.X; x < test.area.Max.X; x++ {
				if picture.RGBAAt(x, y).G < 128 {
					dark++
				}
			}
		}
		if (dark > 20) != test.written || !test.written && dark > 0 {
			t.Errorf("%s: found %d dark pixels", what, dark)
		}
	}
}

func TestWriteSheet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := plot.WriteSheet(path, []plot.Row{{Cells: cells("red")}}, open); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config, err := png.DecodeConfig(file)
	if err != nil || config.Width != 2*plot.Gap+plot.Side {
		t.Errorf("found a PNG %d pixels wide, %v", config.Width, err)
	}
}

func TestDrawRefuses(t *testing.T) {
	for want, rows := range map[string][]plot.Row{
		"found 0 images":    {{Title: "nothing"}},
		"found 1001 images": {{Cells: repeated(1001, "small")}},
		"gone is missing":   {{Cells: cells("red", "gone")}},
	} {
		if _, err := plot.DrawSheet(rows, open); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := plot.WriteSheet(path, []plot.Row{{Cells: cells("gone")}}, open); err == nil {
		t.Error("a sheet of a missing image was written")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failed sheet leaves a file behind")
	}
}
