package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/plot"
)

// bins is the number of bins of each histogram.
const bins = 40

// distances plots the histograms of the distances of same-class pairs and of
// different-class pairs, each in percent of the pairs of its kind, and the threshold.
func distances(v *VerificationEvidence) chart {
	c := chart{name: "distances", title: "Histogram of the distances of same-class and of different-class pairs"}
	p := &plot.Chart{
		Title: "Distances by the trained network", X: "distance", Y: "% of the pairs",
		XTicks: plot.Ticks{About: 7}, YTicks: plot.Ticks{About: 5},
	}
	low, high := rangeOf(v.Distances)
	below := plot.Legend{Columns: 3}
	for _, kind := range []struct {
		name      string
		different bool
		color     color.RGBA
	}{{"same", false, blue}, {"different", true, orange}} {
		const opacity = 0.35
		p.Add(plot.Region{Of: outlined(histogram(v, kind.different, low, high), low, high), Color: kind.color, Opacity: opacity, Width: 1.5})
		below.Entries = append(below.Entries, plot.Entry{Name: kind.name, Fill: kind.color, Opacity: opacity})
	}
	if v.Threshold != nil {
		at := min(max(*v.Threshold, low), high) // it was chosen on other pairs, so it may lie outside the range
		line := plot.Stroke{Color: black, Width: 1.5, Dashes: []float64{5, 3}}
		p.Add(plot.Curve{Of: []plot.Point{{X: at, Y: 0}, {X: at, Y: p.High.Y * 1.04}}, Stroke: line})
		below.Entries = append(below.Entries, plot.Entry{Name: "threshold " + distance(*v.Threshold), Line: line})
	}
	p.Low.Y = 0
	c.height = 300 + below.Height()
	c.draw = func(canvas plot.Canvas, b plot.Box) { p.Draw(canvas, below.Below(canvas, b).Inset(2, 4, 8, 2)) }
	return c
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
func outlined(shares [bins]float64, low, high float64) []plot.Point {
	outline := []plot.Point{{X: low, Y: 0}}
	for i, share := range shares {
		left, right := low+(high-low)*float64(i)/bins, low+(high-low)*float64(i+1)/bins
		outline = append(outline, plot.Point{X: left, Y: share}, plot.Point{X: right, Y: share})
	}
	return append(outline, plot.Point{X: high, Y: 0})
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
func roc(v *VerificationEvidence) chart {
	c := chart{name: "roc", title: fmt.Sprintf("ROC on %d pairs: trained, untrained and raw pixels", len(v.Pairs))}
	p := &plot.Chart{
		Title: fmt.Sprintf("ROC on %d pairs", len(v.Pairs)), X: "different pairs accepted, %", Y: "same pairs accepted, %",
		XTicks: plot.Ticks{About: 5}, YTicks: plot.Ticks{About: 5}, Columns: true, Rows: true,
	}
	below := plot.Legend{Columns: 2}
	type curve struct {
		name string
		of   *evaluate.Verification
		line plot.Stroke
	}
	curves := []curve{
		{"raw pixels", v.Pixels, plot.Stroke{Color: gray, Width: 2, Dashes: []float64{2, 2}}},
		{"untrained", v.Untrained, plot.Stroke{Color: orange, Width: 2, Dashes: []float64{7, 3}}},
		{"trained", v.Trained, plot.Stroke{Color: blue, Width: 2.5}},
	}
	if v.Pretrained != nil {
		c.title = fmt.Sprintf("ROC on %d pairs: trained, pretrained, untrained and raw pixels", len(v.Pairs))
		curves = slices.Insert(curves, 2, curve{"pretrained", v.Pretrained, plot.Stroke{Color: black, Width: 2, Dashes: []float64{7, 2, 2, 2}}})
	}
	for _, contender := range curves {
		p.Add(plot.Curve{Of: thinned(contender.of.ROC()), Stroke: contender.line})
		name := fmt.Sprintf("%s, area %.2f %%", contender.name, 100*contender.of.AreaUnderCurve())
		below.Entries = slices.Insert(below.Entries, 0, plot.Entry{Name: name, Line: contender.line}) // the curve drawn last is on top
	}
	chance := plot.Stroke{Color: color.RGBA{170, 170, 170, 255}, Width: 1}
	p.Add(plot.Curve{Of: []plot.Point{{X: 0, Y: 0}, {X: 100, Y: 100}}, Stroke: chance})
	below.Entries = append(below.Entries, plot.Entry{Name: "chance, area 50 %", Line: chance})
	if v.Threshold != nil {
		refused, accepted := mistakes(v)
		p.Add(plot.Dots{Of: []plot.Point{{X: 100 * accepted, Y: 100 * (1 - refused)}}, Radius: 5, Color: blue})
	}
	p.Low, p.High = plot.Point{}, plot.Point{X: 100, Y: 100}
	c.height = chartWidth + below.Height()
	c.draw = func(canvas plot.Canvas, b plot.Box) { p.Draw(canvas, below.Below(canvas, b).Inset(2, 4, 8, 2)) }
	return c
}

// thinned returns the curve in percent without points that are less than a pixel
// from the previous one.
func thinned(curve []evaluate.ROCPoint) []plot.Point {
	const visible = 0.2 // percent, less than a pixel
	var points []plot.Point
	for i, at := range curve {
		point := plot.Point{X: 100 * at.FalseAcceptRate, Y: 100 * at.TrueAcceptRate}
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
