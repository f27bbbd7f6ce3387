package sheet_test

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/sheet"
	"github.com/pkg/errors"
)

var (
	red   = color.RGBA{255, 0, 0, 255}
	blue  = color.RGBA{0, 0, 255, 255}
	grey  = color.RGBA{200, 200, 200, 255}
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

func cells(files ...string) []sheet.Cell {
	var all []sheet.Cell
	for _, file := range files {
		all = append(all, sheet.Cell{File: file, Captions: [sheet.CaptionLines]string{file, "0.1234"}})
	}
	return all
}

func repeated(n int, file string) []sheet.Cell {
	return cells(strings.Split(strings.Repeat(file+" ", n), " ")[:n]...)
}

// A row of three and one of ten, which takes two lines: the sheet is as large as
// that, and every image is where it belongs.
func TestDraw(t *testing.T) {
	picture, err := sheet.Draw([]sheet.Row{
		{Title: "first", Cells: cells("red", "wide", "clear")},
		{Title: "second", Cells: append(repeated(9, "small"), cells("wide")...)},
	}, open)
	if err != nil {
		t.Fatal(err)
	}
	line := sheet.Side + sheet.CaptionLines*sheet.LineHeight + sheet.Gap
	column := sheet.Side + sheet.Gap
	if want := image.Rect(0, 0, sheet.Gap+8*column, sheet.Gap+2*sheet.TitleHeight+3*line); picture.Rect != want {
		t.Errorf("the sheet is %v, expected %v", picture.Rect, want)
	}
	first := image.Pt(sheet.Gap, sheet.Gap+sheet.TitleHeight)
	second := first.Add(image.Pt(0, line+sheet.TitleHeight))
	middle := image.Pt(sheet.Side/2, sheet.Side/2)
	for _, test := range []struct {
		what string
		at   image.Point
		want color.RGBA
	}{
		{"the red square", first.Add(middle), red},
		{"the frame's corner", first, grey},
		{"the opposite corner of the last frame", second.Add(image.Pt(column+sheet.Side-1, line+sheet.Side-1)), grey},
		{"its corner", first.Add(image.Pt(2, 2)), red},
		{"the wide image's middle", first.Add(image.Pt(column, 0)).Add(middle), blue},
		{"above the wide image", first.Add(image.Pt(column+sheet.Side/2, sheet.Side/4)), white},
		{"left in the wide image", first.Add(image.Pt(column+2, sheet.Side/2)), blue},
		{"what is clear", first.Add(image.Pt(2*column, 0)).Add(middle), white},
		{"no fourth image", first.Add(image.Pt(3*column, 0)).Add(middle), white},
		{"the small image, enlarged", second.Add(middle), red},
		{"the eighth", second.Add(image.Pt(7*column, 0)).Add(middle), red},
		{"the ninth, on the second line", second.Add(image.Pt(0, line)).Add(middle), red},
		{"the tenth", second.Add(image.Pt(column, line)).Add(middle), blue},
		{"between two cells", second.Add(image.Pt(sheet.Side+sheet.Gap/2, 10)), white},
	} {
		if got := picture.RGBAAt(test.at.X, test.at.Y); got != test.want {
			t.Errorf("%s, at %v: found %v, expected %v", test.what, test.at, got, test.want)
		}
	}
}

// There is writing in the title and under each image, and it keeps to its cell.
func TestCaptions(t *testing.T) {
	long := strings.Repeat("a long name ", 30) + "1.png"
	picture, err := sheet.Draw([]sheet.Row{{Title: "Group 1", Cells: []sheet.Cell{
		{File: "red", Captions: [sheet.CaptionLines]string{long, "0.1234 from b.png"}}, {File: "red"},
	}}}, open)
	if err != nil {
		t.Fatal(err)
	}
	top := sheet.Gap + sheet.TitleHeight + sheet.Side
	for what, test := range map[string]struct {
		area    image.Rectangle
		written bool
	}{
		"the title":            {image.Rect(sheet.Gap, sheet.Gap, sheet.Gap+60, sheet.Gap+sheet.TitleHeight), true},
		"the first caption":    {image.Rect(sheet.Gap, top, sheet.Gap+sheet.Side, top+sheet.LineHeight), true},
		"the second caption":   {image.Rect(sheet.Gap, top+sheet.LineHeight, sheet.Gap+sheet.Side, top+2*sheet.LineHeight), true},
		"between the captions": {image.Rect(sheet.Gap+sheet.Side+1, top, 2*sheet.Gap+sheet.Side, top+3*sheet.LineHeight), false},
		"no third caption":     {image.Rect(sheet.Gap, top+2*sheet.LineHeight, sheet.Gap+sheet.Side, top+3*sheet.LineHeight), false},
		"no captions":          {image.Rect(2*sheet.Gap+sheet.Side, top, 2*(sheet.Gap+sheet.Side), top+2*sheet.LineHeight), false},
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

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := sheet.Write(path, []sheet.Row{{Cells: cells("red")}}, open); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config, err := png.DecodeConfig(file)
	if err != nil || config.Width != 2*sheet.Gap+sheet.Side {
		t.Errorf("found a PNG %d pixels wide, %v", config.Width, err)
	}
}

func TestDrawRefuses(t *testing.T) {
	for want, rows := range map[string][]sheet.Row{
		"found 0 images":    {{Title: "nothing"}},
		"found 1001 images": {{Cells: repeated(1001, "small")}},
		"gone is missing":   {{Cells: cells("red", "gone")}},
	} {
		if _, err := sheet.Draw(rows, open); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "sheet.png")
	if err := sheet.Write(path, []sheet.Row{{Cells: cells("gone")}}, open); err == nil {
		t.Error("a sheet of a missing image was written")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failed sheet leaves a file behind")
	}
}
