package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bins is the number of bins of each histogram.
const bins = 40

// distances plots the histograms of the distances of same-class pairs and of
// different-class pairs, each in percent of the pairs of its kind, and the threshold.
func distances(v *VerificationEvidence) (chart, error) {
	c := chart{name: "distances", title: "Histogram of the distances of same-class and of different-class pairs"}
	p := newPlot("Distances by the trained network", "distance", "% of the pairs")
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 7}, roundTicks{about: 5}
	low, high := rangeOf(v.Distances)
	below := legend{columns: 3}
	for _, kind := range []struct {
		name      string
		different bool
		color     color.RGBA
	}{{"same", false, blue}, {"different", true, orange}} {
		outline := outlined(histogram(v, kind.different, low, high), low, high)
		area, err := plotter.NewPolygon(outline)
		if err != nil {
			return c, err
		}
		fill := color.NRGBA{kind.color.R, kind.color.G, kind.color.B, 90}
		area.Color, area.LineStyle = fill, draw.LineStyle{Color: kind.color, Width: 1.5}
		p.Add(area)
		below.entries = append(below.entries, entry{name: kind.name, fill: fill})
	}
	if v.Threshold != nil {
		at := min(max(*v.Threshold, low), high) // it was chosen on other pairs, so it may lie outside the range
		line, err := plotter.NewLine(plotter.XYs{{X: at, Y: 0}, {X: at, Y: p.Y.Max * 1.04}})
		if err != nil {
			return c, err
		}
		line.LineStyle = draw.LineStyle{Color: color.Black, Width: 1.5, Dashes: []vg.Length{5, 3}}
		p.Add(line)
		below.entries = append(below.entries, entry{name: "threshold " + distance(*v.Threshold), line: line.LineStyle})
	}
	p.Y.Min = 0
	c.height = 300 + below.height()
	c.draw = func(canvas draw.Canvas) { p.Draw(draw.Crop(below.below(canvas), 2, -8, 2, -4)) }
	return c, nil
}

// rangeOf is the range of the distances, widened if it is a single value.
func rangeOf(distances []float64) (low, high float64) {
	low, high = slices.Min(distances), slices.Max(distances)
	if low == high {
		margin := max(math.Abs(low), 1)
		return low - margin, high + margin
	}
	return low, high
}

// histogram returns for each bin the percentage of the pairs of one kind in it.
func histogram(v *VerificationEvidence, different bool, low, high float64) (shares [bins]float64) {
	pairs := 0.0
	for i, pair := range v.Pairs {
		if pair.Different == different {
			bin := int(bins * ((v.Distances[i] - low) / (high - low)))
			shares[min(bin, bins-1)]++
			pairs++
		}
	}
	for i := range shares {
		shares[i] *= 100 / pairs
	}
	return shares
}

// outlined is the outline of a histogram, which begins and ends on the axis.
func outlined(shares [bins]float64, low, high float64) plotter.XYs {
	outline := plotter.XYs{{X: low, Y: 0}}
	for i, share := range shares {
		left, right := low+(high-low)*float64(i)/bins, low+(high-low)*float64(i+1)/bins
		outline = append(outline, plotter.XY{X: left, Y: share}, plotter.XY{X: right, Y: share})
	}
	return append(outline, plotter.XY{X: high, Y: 0})
}

// distance formats a distance with about three significant digits.
func distance(d float64) string {
	switch size := math.Abs(d); {
	case size >= 1000:
		return fmt.Sprintf("%.4g", d)
	case size >= 0.1 || d == 0:
		return fmt.Sprintf("%.3f", d)
	}
	return fmt.Sprintf("%.3g", d)
}

// roc plots the receiver operating characteristic (ROC) curves of all
// contenders, and the threshold as a point on the trained network's curve.
func roc(v *VerificationEvidence) (chart, error) {
	c := chart{name: "roc", title: fmt.Sprintf("ROC on %d pairs: trained, untrained and raw pixels", len(v.Pairs))}
	p := newPlot(fmt.Sprintf("ROC on %d pairs", len(v.Pairs)), "different pairs accepted, %", "same pairs accepted, %")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 100
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 5}, roundTicks{about: 5}
	p.Add(plotter.NewGrid())
	below := legend{columns: 2}
	type curve struct {
		name string
		of   *evaluate.Verification
		line draw.LineStyle
	}
	curves := []curve{
		{"raw pixels", v.Pixels, draw.LineStyle{Color: gray, Width: 2, Dashes: []vg.Length{2, 2}}},
		{"untrained", v.Untrained, draw.LineStyle{Color: orange, Width: 2, Dashes: []vg.Length{7, 3}}},
		{"trained", v.Trained, draw.LineStyle{Color: blue, Width: 2.5}},
	}
	if v.Pretrained != nil {
		c.title = fmt.Sprintf("ROC on %d pairs: trained, pretrained, untrained and raw pixels", len(v.Pairs))
		curves = slices.Insert(curves, 2, curve{"pretrained", v.Pretrained, draw.LineStyle{Color: color.Black, Width: 2, Dashes: []vg.Length{7, 2, 2, 2}}})
	}
	for _, contender := range curves {
		line, err := plotter.NewLine(thinned(contender.of.ROC()))
		if err != nil {
			return c, err
		}
		line.LineStyle = contender.line
		p.Add(line)
		name := fmt.Sprintf("%s, area %.2f %%", contender.name, 100*contender.of.AreaUnderCurve())
		below.entries = slices.Insert(below.entries, 0, entry{name: name, line: line.LineStyle}) // the curve drawn last is on top
	}
	chance, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 100, Y: 100}})
	if err != nil {
		return c, err
	}
	chance.LineStyle = draw.LineStyle{Color: color.Gray{Y: 170}, Width: 1}
	p.Add(chance)
	below.entries = append(below.entries, entry{name: "chance, area 50 %", line: chance.LineStyle})
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

// thinned returns the curve in percent without points that are less than a pixel
// from the previous one.
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

// mistakes returns the false reject rate and the false accept rate at the threshold.
func mistakes(v *VerificationEvidence) (refused, accepted float64) {
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
