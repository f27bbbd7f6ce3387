package page

import (
	"fmt"
	"image/color"

	"github.com/likeness-go/likeness/trainer"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// panelHeight is that of one curve.
const panelHeight = 150 * vg.Length(1)

var (
	blue   = color.RGBA{31, 119, 180, 255}
	orange = color.RGBA{214, 90, 10, 255}
	green  = color.RGBA{35, 130, 35, 255}
	grey   = color.RGBA{110, 110, 110, 255}
)

// learningCurves draws loss, validation and learning rate by epoch, one above
// the other. Validation is left out where there was none.
func learningCurves(epochs []trainer.Epoch) (chart, error) {
	c := chart{name: "loss", title: fmt.Sprintf("Loss, validation and learning rate over %d epochs", len(epochs))}
	var panels []*plot.Plot
	for _, curve := range []struct {
		name   string
		colour color.Color
		zero   bool // the axis begins at 0
		value  func(trainer.Epoch) *float64
	}{
		{"loss", blue, false, func(e trainer.Epoch) *float64 { return &e.Cost }},
		{"validation", green, false, func(e trainer.Epoch) *float64 { return e.Validation }},
		{"learning rate", grey, true, func(e trainer.Epoch) *float64 { return &e.Rate }},
	} {
		var points plotter.XYs
		for _, e := range epochs {
			if value := curve.value(e); value != nil {
				points = append(points, plotter.XY{X: float64(e.Epoch), Y: *value})
			}
		}
		if len(points) == 0 {
			continue
		}
		panel, err := newCurve(points, curve.name, curve.colour, curve.zero)
		if err != nil {
			return c, err
		}
		first, last := epochs[0].Epoch, epochs[len(epochs)-1].Epoch
		panel.X.Min, panel.X.Max = float64(first)-0.2, float64(last)+0.2
		panels = append(panels, panel)
	}
	panels[0].Title.Text = "Learning curves"
	panels[len(panels)-1].X.Label.Text = "epoch"
	c.height = panelHeight * vg.Length(len(panels))
	c.draw = func(canvas draw.Canvas) { drawStack(canvas, panels) }
	return c, nil
}

func newCurve(points plotter.XYs, name string, colour color.Color, zero bool) (*plot.Plot, error) {
	p := newPlot("", "", name)
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = colour, 2
	dots.Color, dots.Shape, dots.Radius = colour, draw.CircleGlyph{}, 3
	p.Add(plotter.NewGrid(), line, dots)
	if zero {
		p.Y.Min = min(0, p.Y.Min)
	}
	if p.Y.Min == p.Y.Max { // one epoch, or nothing moved
		p.Y.Min, p.Y.Max = min(0, 2*p.Y.Min), max(0, 2*p.Y.Max)
	}
	room := (p.Y.Max - p.Y.Min) / 20
	p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 8, whole: true}, roundTicks{about: 4}
	return p, nil
}

// drawStack draws plots one above the other, with their axes in one line.
func drawStack(canvas draw.Canvas, panels []*plot.Plot) {
	column := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		column[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: 10, PadTop: 4, PadBottom: 2, PadLeft: 2, PadRight: 8}
	for i, row := range plot.Align(column, tiles, canvas) {
		panels[i].Draw(row[0])
	}
}
