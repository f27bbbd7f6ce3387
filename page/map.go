package page

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/tsne"
	"github.com/likeness-go/likeness/report"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// mappable says whether there are images enough for a map.
func mappable(s *report.Shown) bool { return s != nil && s.Images.Len() >= tsne.Least }

// principalMap draws the images at their first two principal components.
func principalMap(s *report.Shown, seed uint64) (chart, error) {
	c := chart{name: "map-pca", title: fmt.Sprintf("Map of %d images by the first two principal components of their embeddings", s.Images.Len())}
	places, shares, err := principal(s.Embeddings)
	if err != nil {
		return c, err
	}
	p := newPlot("Principal components (PCA)",
		fmt.Sprintf("first component, %.0f %% of the variance", 100*shares[0]),
		fmt.Sprintf("second component, %.0f %%", 100*shares[1]))
	width := drawMap(&c, p, places, s, seed)
	p.X.Label.Text += ", width " + distance(width) // a collapsed embedding would fill the frame, too
	return c, nil
}

// neighbourMap draws the images where t-SNE puts them.
func neighbourMap(s *report.Shown, seed uint64) (chart, error) {
	c := chart{name: "map-tsne", title: fmt.Sprintf("Map of %d images by t-SNE of their distances", s.Images.Len())}
	places, err := neighbourly(s, seed)
	if err != nil {
		return c, err
	}
	// The axes mean nothing, but both maps are of one size.
	drawMap(&c, newPlot("Neighbourhoods (t-SNE)", "neither axis has a unit", " "), places, s, seed)
	return c, nil
}

// drawMap makes the chart of the plot with the images at their places, on one
// scale along both axes, and returns how wide the images lie.
func drawMap(c *chart, p *plot.Plot, places [][2]float64, s *report.Shown, seed uint64) (width float64) {
	colours, meaning := classColours(s.Images)
	m := &imageMap{places: places, tiles: tiles(s.Images, colours), order: random.New(seed, "map").Perm(len(places))}
	// So that many images cover half of the map and few are not huge.
	m.side = vg.Length(min(30, max(13, 0.75*float64(chartWidth)/math.Sqrt(float64(len(places))))))
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, place := range places {
		for axis, at := range place {
			low[axis], high[axis] = min(low[axis], at), max(high[axis], at)
		}
	}
	width = max(high[0]-low[0], high[1]-low[1])
	radius := width / 2
	if radius == 0 {
		radius = 1 // all in one place
	}
	radius *= 1 + float64(m.side/(chartWidth-2*m.side)) // so that none hangs over the edge
	p.X.Min, p.X.Max = (low[0]+high[0])/2-radius, (low[0]+high[0])/2+radius
	p.Y.Min, p.Y.Max = (low[1]+high[1])/2-radius, (low[1]+high[1])/2+radius
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(nil), plot.ConstantTicks(nil)
	p.X.Padding, p.Y.Padding = 0, 0
	p.X.Width, p.Y.Width = 0, 0
	p.Add(m)
	below := legend{columns: 2, entries: meaning}
	titleHeight := p.Title.TextStyle.Rectangle(p.Title.Text).Size().Y + p.Title.Padding
	c.height = chartWidth + titleHeight + below.height()
	c.draw = func(canvas draw.Canvas) { p.Draw(draw.Crop(below.below(canvas), 2, -2, 2, -2)) }
	return width
}

// imageMap is images at their places within a frame.
type imageMap struct {
	places [][2]float64
	tiles  []image.Image
	order  []int     // in which they are drawn, so that no class covers the others
	side   vg.Length // of a tile, the longer one
}

// Plot implements plot.Plotter.
func (m *imageMap) Plot(c draw.Canvas, p *plot.Plot) {
	c.StrokeLines(draw.LineStyle{Color: color.Gray{Y: 190}, Width: 1}, []vg.Point{
		c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}, c.Min,
	})
	x, y := p.Transforms(&c)
	for _, i := range m.order {
		size := m.tiles[i].Bounds().Size()
		longer := vg.Length(max(size.X, size.Y))
		half := vg.Point{X: m.side * vg.Length(size.X) / longer / 2, Y: m.side * vg.Length(size.Y) / longer / 2}
		middle := vg.Point{X: x(m.places[i][0]), Y: y(m.places[i][1])}
		c.DrawImage(vg.Rectangle{Min: middle.Sub(half), Max: middle.Add(half)}, m.tiles[i])
	}
}
