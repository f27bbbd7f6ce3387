package report

import (
	"fmt"
	"html/template"
	"image/color"
	"io"

	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// chart is a chart, for the page and for a PNG file.
type chart struct {
	name   string // of its file, without the extension
	title  string // a description for screen readers
	height float64
	draw   func(plot.Canvas, plot.Box)
}

// chartWidth is that of all charts in points: the width of a phone's screen, so that their text is
// readable there; larger screens scale them up.
const chartWidth = 420.

// on draws the chart on a canvas of its size.
func (c chart) on(canvas plot.Canvas) { c.draw(canvas, plot.Box{Right: chartWidth, Bottom: c.height}) }

// svg renders the chart as an element of the page.
func (c chart) svg() template.HTML {
	return template.HTML(plot.SVG(chartWidth, c.height, c.title, c.on))
}

// png renders the chart as a PNG file.
func (c chart) png(w io.Writer) error {
	return errors.Wrapf(plot.PNG(w, chartWidth, c.height, c.on), "draw %s", c.name)
}

// panelHeight is the height of one learning curve.
const panelHeight = 150.

var (
	black  = color.RGBA{A: 255}
	blue   = color.RGBA{31, 119, 180, 255}
	orange = color.RGBA{214, 90, 10, 255}
	green  = color.RGBA{35, 130, 35, 255}
	gray   = color.RGBA{110, 110, 110, 255}
)

// learningCurves plots the loss, the validation and the learning rate over the
// epochs, one above the other, without the validation if there was none.
func learningCurves(epochs []trainer.Epoch) chart {
	c := chart{name: "loss", title: fmt.Sprintf("Loss, validation and learning rate over %d epochs", len(epochs))}
	var panels []*plot.Chart
	for _, curve := range []struct {
		name  string
		color color.RGBA
		zero  bool // whether the axis begins at 0
		value func(trainer.Epoch) *float64
	}{
		{"loss", blue, false, func(e trainer.Epoch) *float64 { return &e.Loss }},
		{"validation", green, false, func(e trainer.Epoch) *float64 { return e.Validation }},
		{"learning rate", gray, true, func(e trainer.Epoch) *float64 { return &e.LearningRate }},
	} {
		var points []plot.Point
		for _, e := range epochs {
			if value := curve.value(e); value != nil {
				points = append(points, plot.Point{X: float64(e.Epoch), Y: *value})
			}
		}
		if len(points) == 0 {
			continue
		}
		panel := newCurve(points, curve.name, curve.color, curve.zero)
		first, last := epochs[0].Epoch, epochs[len(epochs)-1].Epoch
		panel.Low.X, panel.High.X = float64(first)-0.2, float64(last)+0.2
		panels = append(panels, panel)
	}
	panels[0].Title = "Learning curves"
	panels[len(panels)-1].X = "epoch"
	c.height = panelHeight * float64(len(panels))
	c.draw = func(canvas plot.Canvas, b plot.Box) { plot.Stack(canvas, b.Inset(2, 4, 8, 2), panels, 10) }
	return c
}

func newCurve(points []plot.Point, name string, stroke color.RGBA, zero bool) *plot.Chart {
	p := &plot.Chart{Y: name, XTicks: plot.Ticks{About: 8, Whole: true}, YTicks: plot.Ticks{About: 4}, Columns: true, Rows: true}
	p.Add(plot.Curve{Of: points, Stroke: plot.Stroke{Color: stroke, Width: 2}}, plot.Dots{Of: points, Radius: 3, Color: stroke})
	if zero {
		p.Low.Y = min(0, p.Low.Y)
	}
	if p.Low.Y == p.High.Y { // one epoch, or a constant, such as a validation of 1 throughout
		p.Low.Y, p.High.Y = min(0, p.Low.Y), max(0, p.High.Y)
	}
	if p.Low.Y == p.High.Y { // 0 throughout
		p.Low.Y, p.High.Y = -1, 1
	}
	margin := (p.High.Y - p.Low.Y) / 20
	p.Low.Y, p.High.Y = p.Low.Y-margin, p.High.Y+margin
	return p
}
