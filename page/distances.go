package page

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/likeness-go/likeness/report"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bins of the histograms.
const bins = 40

// distances draws the histograms of the distances of pairs of one class and of
// two, each in percent of its own pairs, and the threshold.
func distances(v *report.Verified) (chart, error) {
	c := chart{name: "distances", title: "Distances of pairs of one class and of pairs of two"}
	p := newPlot("Distances by the trained network", "distance", "% of the pairs")
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 7}, roundTicks{about: 5}
	low, high := rangeOf(v.Distances)
	below := legend{columns: 3}
	for _, kind := range []struct {
		name      string
		different bool
		colour    color.RGBA
	}{{"same", false, blue}, {"different", true, orange}} {
		outline := outlined(histogram(v, kind.different, low, high), low, high)
		area, err := plotter.NewPolygon(outline)
		if err != nil {
			return c, err
		}
		fill := color.NRGBA{kind.colour.R, kind.colour.G, kind.colour.B, 90}
		area.Color, area.LineStyle = fill, draw.LineStyle{Color: kind.colour, Width: 1.5}
		p.Add(area)
		below.entries = append(below.entries, entry{name: kind.name, fill: fill})
	}
	if v.Threshold != nil {
		at := min(max(*v.Threshold, low), high) // it was chosen on other pairs
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

// rangeOf is where the distances lie; never empty.
func rangeOf(distances []float64) (low, high float64) {
	low, high = slices.Min(distances), slices.Max(distances)
	if low == high {
		room := max(math.Abs(low), 1)
		return low - room, high + room
	}
	return low, high
}

// histogram is the share in percent of the pairs of a kind that each bin has.
func histogram(v *report.Verified, different bool, low, high float64) (shares [bins]float64) {
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

// outlined goes along the tops of the bins, and back along the axis.
func outlined(shares [bins]float64, low, high float64) plotter.XYs {
	outline := plotter.XYs{{X: low, Y: 0}}
	for i, share := range shares {
		left, right := low+(high-low)*float64(i)/bins, low+(high-low)*float64(i+1)/bins
		outline = append(outline, plotter.XY{X: left, Y: share}, plotter.XY{X: right, Y: share})
	}
	return append(outline, plotter.XY{X: high, Y: 0})
}

// distance writes a distance with the digits that matter.
func distance(d float64) string {
	switch size := math.Abs(d); {
	case size >= 1000:
		return fmt.Sprintf("%.4g", d)
	case size >= 0.1 || d == 0:
		return fmt.Sprintf("%.3f", d)
	}
	return fmt.Sprintf("%.3g", d)
}
