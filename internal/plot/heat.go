package plot

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
)

// HeatMap is an image with a value at each of its positions.
type HeatMap struct {
	Title string
	Image image.Image
	// Value is the value at a position in pixels from the upper left corner of the image, and
	// whether there is one.
	Value func(x, y float64) (value float64, known bool)
}

// HeatMapSide is the largest width and height of an image with a heat map in pixels.
const HeatMapSide = 420

// viridis is the color map of that name, at equal steps from 0 to 1: its lightness grows evenly,
// so it is read in gray and without color vision, too (Stéfan van der Walt & Nathaniel Smith 2015,
// CC0).
var viridis = [...][3]float64{
	{68, 1, 84}, {72, 24, 106}, {71, 45, 123}, {66, 64, 134}, {59, 82, 139}, {51, 99, 141}, {44, 114, 142}, {38, 130, 142}, {33, 145, 140},
	{31, 160, 136}, {40, 174, 128}, {63, 188, 115}, {94, 201, 98}, {132, 212, 75}, {173, 220, 48}, {216, 226, 25}, {253, 231, 37},
}

// viridisAt is the color of a value, of which 0 and less is the darkest and 1 and more the
// lightest.
func viridisAt(value float64) [3]float64 {
	at := min(max(value, 0), 1) * float64(len(viridis)-1)
	if math.IsNaN(at) {
		at = 0
	}
	first := min(int(at), len(viridis)-2)
	var c [3]float64
	for i := range c {
		c[i] = viridis[first][i] + (at-float64(first))*(viridis[first+1][i]-viridis[first][i])
	}
	return c
}

// DrawHeatMaps draws images side by side, above as they are and below in gray with their values as
// colors from 0 to limit, and a line around the values of more than half the limit. Where there is
// no value the image is pale. Below is the scale with labels at its ends, and the notes.
func DrawHeatMaps(title string, maps []HeatMap, limit float64, low, high string, notes ...string) (*image.RGBA, error) {
	if len(maps) == 0 || !(limit > 0) || math.IsInf(limit, 1) {
		return nil, errors.Errorf("draw heat maps: found %d maps and the limit %v, expected at least one map and a finite limit above 0", len(maps), limit)
	}
	text, err := newLettering()
	if err != nil {
		return nil, errors.Wrap(err, "draw heat maps")
	}
	sizes, height := make([]image.Point, len(maps)), 0
	for i, m := range maps {
		if m.Image == nil || m.Image.Bounds().Empty() || m.Value == nil {
			return nil, errors.Errorf("draw heat maps: map %d has no pixels or no values, expected both", i)
		}
		sizes[i] = fitted(m.Image.Bounds().Size(), HeatMapSide)
		height = max(height, sizes[i].Y)
	}
	width := Gap + len(maps)*(HeatMapSide+Gap)
	const scaleHeight = 18
	scaleTop := Gap + TitleHeight + LineHeight + 2*(height+Gap)
	notesTop := scaleTop + scaleHeight + LineHeight + Gap
	canvas := image.NewRGBA(image.Rect(0, 0, width, notesTop+len(notes)*LineHeight+Gap))
	draw.Draw(canvas, canvas.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	text.title(canvas, Gap, Gap, width-2*Gap, title)
	for i, m := range maps {
		left, top := Gap+i*(HeatMapSide+Gap), Gap+TitleHeight
		text.caption(canvas, left, top, HeatMapSide, m.Title)
		at := image.Pt(left, top+LineHeight).Add(image.Pt((HeatMapSide-sizes[i].X)/2, (height-sizes[i].Y)/2))
		scaled := image.NewRGBA(image.Rectangle{Max: sizes[i]})
		draw.Draw(scaled, scaled.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
		xdraw.CatmullRom.Scale(scaled, scaled.Rect, m.Image, m.Image.Bounds(), draw.Over, nil)
		draw.Draw(canvas, image.Rectangle{at, at.Add(sizes[i])}, scaled, image.Point{}, draw.Src)
		m.color(scaled, limit)
		at.Y += height + Gap
		draw.Draw(canvas, image.Rectangle{at, at.Add(sizes[i])}, scaled, image.Point{}, draw.Src)
	}
	for x := range width - 2*Gap {
		c := viridisAt(float64(x) / float64(width-2*Gap-1))
		for y := range scaleHeight {
			canvas.SetRGBA(Gap+x, scaleTop+y, rgba(c))
		}
	}
	for y := range scaleHeight { // where the lines of the maps are
		canvas.SetRGBA(width/2, scaleTop+y, paper)
		canvas.SetRGBA(width/2+1, scaleTop+y, paper)
	}
	text.caption(canvas, Gap, scaleTop+scaleHeight, width/2, low)
	text.captionAtRight(canvas, width-Gap, scaleTop+scaleHeight, width/2, high)
	for i, note := range notes {
		text.caption(canvas, Gap, notesTop+i*LineHeight, width-2*Gap, note)
	}
	return canvas, nil
}

// fitted is the size of an image whose longer side is scaled to a length.
func fitted(size image.Point, length int) image.Point {
	longer := max(size.X, size.Y)
	return image.Pt(max(1, size.X*length/longer), max(1, size.Y*length/longer))
}

// color draws the values over an image that is scaled.
func (m HeatMap) color(scaled *image.RGBA, limit float64) {
	// The share of the color. The rest is the image in a middle range of gray, so that its
	// lightness does not look like that of a value.
	const heat = 0.65
	size, whole := scaled.Rect.Size(), m.Image.Bounds().Size()
	values := make([]float64, size.X*size.Y)
	known := make([]bool, len(values))
	for i := range values {
		x, y := float64(i%size.X)+0.5, float64(i/size.X)+0.5
		values[i], known[i] = m.Value(x*float64(whole.X)/float64(size.X), y*float64(whole.Y)/float64(size.Y))
	}
	above := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < size.X && y < size.Y && known[y*size.X+x] && values[y*size.X+x] > limit/2
	}
	for i := range values {
		x, y := i%size.X, i/size.X
		pixel := scaled.RGBAAt(x, y)
		gray := 20 + 0.65*(0.299*float64(pixel.R)+0.587*float64(pixel.G)+0.114*float64(pixel.B))
		c := [3]float64{255, 255, 255}
		if known[i] {
			c = viridisAt(values[i] / limit)
		}
		for k := range c {
			c[k] = heat*c[k] + (1-heat)*gray
		}
		if above(x, y) && !(above(x-2, y) && above(x+2, y) && above(x, y-2) && above(x, y+2)) {
			c = [3]float64{255, 255, 255}
		}
		scaled.SetRGBA(x, y, rgba(c))
	}
}

func rgba(c [3]float64) color.RGBA {
	return color.RGBA{uint8(c[0] + 0.5), uint8(c[1] + 0.5), uint8(c[2] + 0.5), 255}
}
