package page

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/report"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// roc draws the receiver operating characteristics of the three contenders, and
// the threshold's point on the trained network's.
func roc(v *report.Verified) (chart, error) {
	c := chart{name: "roc", title: fmt.Sprintf("ROC on %d pairs: trained, untrained and raw pixels", len(v.Pairs))}
	p := newPlot(fmt.Sprintf("ROC on %d pairs", len(v.Pairs)), "different pairs accepted, %", "same pairs accepted, %")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 100
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 5}, roundTicks{about: 5}
	p.Add(plotter.NewGrid())
	below := legend{columns: 2}
	for _, contender := range []struct {
		name string
		of   *evaluate.Verification
		line draw.LineStyle
	}{
		{"raw pixels", v.Pixels, draw.LineStyle{Color: grey, Width: 2, Dashes: []vg.Length{2, 2}}},
		{"untrained", v.Untrained, draw.LineStyle{Color: orange, Width: 2, Dashes: []vg.Length{7, 3}}},
		{"trained", v.Trained, draw.LineStyle{Color: blue, Width: 2.5}},
	} {
		line, err := plotter.NewLine(thinned(contender.of.ROC()))
		if err != nil {
			return c, err
		}
		line.LineStyle = contender.line
		p.Add(line)
		name := fmt.Sprintf("%s, area %.2f %%", contender.name, 100*contender.of.AreaUnderCurve())
		below.entries = slices.Insert(below.entries, 0, entry{name: name, line: line.LineStyle}) // the last drawn is on top
	}
	chance, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 100, Y: 100}})
	if err != nil {
		return c, err
	}
	chance.LineStyle = draw.LineStyle{Color: color.Gray{Y: 170}, Width: 1}
	p.Add(chance)
	below.entries = append(below.entries, entry{name: "guessing, area 50 %", line: chance.LineStyle})
	if v.Threshold != nil {
		refused, accepted := mistakes(v)
		point, err := plotter.NewScatter(plotter.XYs{{X: 100 * accepted, Y: 100 * (1 - refused)}})
		if err != nil {
			return c, err
		}
		point.GlyphStyle = draw.GlyphStyle{Color: blue, Radius: 5, Shape: draw.CircleGlyph{}}
		p.Add(point)
	}
	c.height = chartWidth + below.height()
	c.draw = func(canvas draw.Canvas) { p.Draw(draw.Crop(below.below(canvas), 2, -8, 2, -4)) }
	return c, nil
}

// thinned is the curve in percent without points that nobody could tell from
// the one before.
func thinned(curve []evaluate.ROCPoint) plotter.XYs {
	const visible = 0.2 // percent, less than a pixel
	var points plotter.XYs
	for i, at := range curve {
		point := plotter.XY{X: 100 * at.FalseAcceptRate, Y: 100 * at.TrueAcceptRate}
		if last := len(points) - 1; last >= 0 && i < len(curve)-1 &&
			math.Abs(point.X-points[last].X) < visible && math.Abs(point.Y-points[last].Y) < visible {
			continue
		}
		points = append(points, point)
	}
	return points
}

// mistakes are the shares of pairs of one class that the threshold refuses, and
// of pairs of two that it accepts.
func mistakes(v *report.Verified) (refused, accepted float64) {
	var same, different float64
	for i, pair := range v.Pairs {
		near := v.Distances[i] <= *v.Threshold
		switch {
		case pair.Different && near:
			accepted++
		case !pair.Different && !near:
			refused++
		}
		if pair.Different {
			different++
		} else {
			same++
		}
	}
	return refused / same, accepted / different
}
