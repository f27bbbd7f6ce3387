package plot

import (
	"bytes"
	"encoding/xml"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/random"
)

func TestRoundTicks(t *testing.T) {
	for _, test := range []struct {
		ticks     Ticks
		low, high float64
		want      []string
	}{
		{Ticks{About: 5}, 0, 100, []string{"0", "20", "40", "60", "80", "100"}},
		{Ticks{About: 4}, -0.02, 0.41, []string{"0", "0.2", "0.4"}},
		{Ticks{About: 4}, 0.81, 0.92, []string{"0.85", "0.90"}},
		{Ticks{About: 4}, -1e-10, 9e-10, []string{"0", "5e-10"}},
		{Ticks{About: 4}, 0, 3e-3, []string{"0", "0.001", "0.002", "0.003"}},
		{Ticks{About: 2}, 0, 400_000, []string{"0", "2e+05", "4e+05"}},
		{Ticks{About: 8, Whole: true}, 0.8, 2.2, []string{"1", "2"}},
		{Ticks{About: 8, Whole: true}, 0.8, 7.2, []string{"1", "2", "3", "4", "5", "6", "7"}},
		{Ticks{About: 8, Whole: true}, 0.8, 100.2, []string{"20", "40", "60", "80", "100"}},
	} {
		var found []string
		for _, tick := range test.ticks.Between(test.low, test.high) {
			found = append(found, tick.Label)
			if tick.Value < test.low || tick.Value > test.high {
				t.Errorf("%v to %v: there is a tick at %v", test.low, test.high, tick.Value)
			}
		}
		if diff := cmp.Diff(test.want, found); diff != "" {
			t.Errorf("%v to %v (-want +found):\n%s", test.low, test.high, diff)
		}
	}
}

// A long name is shortened with an ellipsis, and control characters become spaces.
func TestFit(t *testing.T) {
	for name, whole := range map[string]bool{"short": true, strings.Repeat("long ", 50): false, "猫": true, strings.Repeat("猫", 100): false, "": true} {
		found := Fit(name, smallSize, 150)
		if (found == name) != whole || strings.HasSuffix(found, "…") == whole || Width(found, smallSize) > 150 {
			t.Errorf("%q became %q, %v wide", name, found, Width(found, smallSize))
		}
	}
	if found := Fit("a\nb\tc\x00", smallSize, 150); found != "a b c " {
		t.Errorf("control characters became %q", found)
	}
}

// Tiles change no pixel of a line by more than rounding, wherever it crosses their edges and those of
// the picture.
func TestLineInTiles(t *testing.T) {
	blank := func() *raster {
		r := &raster{RGBA: image.NewRGBA(image.Rect(0, 0, 300, 200))}
		for i := range r.Pix {
			r.Pix[i] = 255
		}
		return r
	}
	for trial := range 20 {
		chance := random.New(1, "lines", trial)
		var polygons [][]Point
		boxes := []image.Rectangle{}
		for range 1 + chance.IntN(12) {
			center := Point{chance.Float64()*360 - 30, chance.Float64()*260 - 30}
			radius := 1 + chance.Float64()*60
			polygons = append(polygons, circle(center, radius))
			boxes = append(boxes, image.Rect(-1000, -1000, 1000, 1000))
		}
		inTiles, whole := blank(), blank()
		inTiles.fill(polygons, color.RGBA{10, 100, 200, 255}, 0.8)
		whole.fillTile(whole.Rect, polygons, boxes, image.NewUniform(color.NRGBA{10, 100, 200, 204}))
		covered := 0
		for i := range whole.Pix {
			if difference := int(whole.Pix[i]) - int(inTiles.Pix[i]); max(difference, -difference) > 2 {
				t.Fatalf("trial %d: at %d, %d found %d in tiles, expected %d", trial, i%whole.Stride/4, i/whole.Stride, inTiles.Pix[i], whole.Pix[i])
			}
			if whole.Pix[i] != 255 {
				covered++
			}
		}
		if trial == 0 && covered == 0 {
			t.Error("nothing was drawn")
		}
	}
}

// A decoder reads the pixels that were encoded, of images whose width and height differ.
func TestEncodePNG(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {7, 3}, {2, 50}} {
		img, chance := image.NewRGBA(image.Rectangle{Max: size}), random.New(1, "png", size.X)
		for i := range img.Pix {
			if img.Pix[i] = uint8(chance.IntN(256)); i%4 == 3 {
				img.Pix[i] = 255
			}
		}
		var file bytes.Buffer
		if err := encodePNG(&file, img); err != nil {
			t.Fatal(err)
		}
		found, err := png.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(img, found); diff != "" {
			t.Errorf("%v (-encoded +decoded):\n%s", size, diff)
		}
	}
}

// everything is a chart with all kinds of series and texts that need escaping.
func everything() (*Chart, Legend) {
	c := &Chart{Title: "<a> & \"b\"", X: "steps", Y: "loss", XTicks: Ticks{About: 5}, YTicks: Ticks{About: 5}, Columns: true, Rows: true}
	red := color.RGBA{255, 0, 0, 255}
	line := Stroke{Color: color.RGBA{0, 0, 255, 255}, Width: 3}
	c.Add(
		Region{Of: []Point{{0, 0}, {0, 4}, {5, 4}, {5, 0}}, Color: red, Opacity: 1, Width: 1},
		Curve{Of: []Point{{5, 2}, {10, 2}}, Stroke: line},
		Dots{Of: []Point{{7.5, 8}}, Radius: 6, Color: color.RGBA{0, 255, 0, 255}},
	)
	return c, Legend{Columns: 2, Entries: []Entry{{Name: "line", Line: line}, {Name: "area", Fill: red, Opacity: 1}}}
}

// The pixels of a chart are where its data are, and its ranges are those of the data.
func TestChart(t *testing.T) {
	c, legend := everything()
	if c.Low != (Point{0, 0}) || c.High != (Point{10, 8}) {
		t.Errorf("found the ranges %v to %v", c.Low, c.High)
	}
	const width, height = 300, 200
	box := Box{Right: width, Bottom: height}
	left, around := c.Frame()
	plane := Box{left, c.titleHeight(), width, height - legend.Height() - (around - c.titleHeight())}
	var file bytes.Buffer
	if err := PNG(&file, width, height, func(canvas Canvas) { c.Draw(canvas, legend.Below(canvas, box)) }); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&file)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		at   Point
		want color.RGBA
	}{
		"region": {Point{2.5, 1}, color.RGBA{255, 0, 0, 255}},
		"line":   {Point{7.7, 2}, color.RGBA{0, 0, 255, 255}},
		"disk":   {Point{7.5, 8}, color.RGBA{0, 255, 0, 255}},
		"paper":  {Point{3.1, 7.1}, color.RGBA{255, 255, 255, 255}},
	} {
		x := plane.Left + (plane.Right-plane.Left)*test.at.X/10
		y := plane.Bottom - (plane.Bottom-plane.Top)*test.at.Y/8
		if name == "disk" {
			y += 3 // its upper half is beyond the plane
		}
		found := color.RGBAModel.Convert(img.At(int(math.Round(x*dots)), int(math.Round(y*dots)))).(color.RGBA)
		if found != test.want {
			t.Errorf("%s: found the color %v, expected %v", name, found, test.want)
		}
	}
	decoder, texts := xml.NewDecoder(strings.NewReader(SVG(width, height, c.Title, func(canvas Canvas) { c.Draw(canvas, legend.Below(canvas, box)) }))), []string{}
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			texts = append(texts, string(text))
		}
	}
	want := []string{"line", "area", c.Title, "0", "2", "4", "6", "8", "10", "0", "2", "4", "6", "8", "steps", "loss"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("texts of the SVG (-want +found):\n%s", diff)
	}
}

// Dashes have their lengths, also around corners, and begin with a dash.
func TestDashed(t *testing.T) {
	total, gaps := 0.0, 0
	line := []Point{{0, 0}, {10 * dots, 0}, {10 * dots, 11 * dots}} // 21 points long
	all := dashed(line, []float64{4, 2})
	for i, dash := range all {
		length := 0.0
		for j := range dash[1:] {
			length += math.Hypot(dash[j+1].X-dash[j].X, dash[j+1].Y-dash[j].Y) / dots
		}
		if i < len(all)-1 && math.Abs(length-4) > 1e-9 {
			t.Errorf("dash %d: found the length %v, expected 4", i, length)
		}
		total += length
		gaps++
	}
	if all[0][0] != line[0] || gaps != 4 || math.Abs(total-15) > 1e-9 { // 4 + 4 + 4 + 3
		t.Errorf("found %d dashes of %v points, from %v", gaps, total, all[0][0])
	}
}
