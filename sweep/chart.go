package sweep

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/plot"
)

// Size of the chart in points.
const (
	chartWidth  = 560.
	chartHeight = 340.
)

var (
	bestColor    = color.RGBA{214, 90, 10, 255}
	trialColor   = color.RGBA{31, 119, 180, 255}
	stoppedColor = color.RGBA{120, 120, 120, 255}
)

// drawChart draws the validation of each trial after each epoch over its steps: gray for those that
// were stopped, blue for those of the last rung and orange for the best one. Vertical lines are the
// ends of the rungs. Trials that failed before their first validation are not in it.
func (f Folder) drawChart(r *Result) error {
	title := fmt.Sprintf("%d trials", len(r.Trials))
	p := &plot.Chart{Title: title, X: "steps", Y: r.Measure, XTicks: plot.Ticks{About: 6, Whole: true}, YTicks: plot.Ticks{About: 6}, Rows: true}
	below := plot.Legend{Columns: 4}
	named := map[string]bool{}
	for i := len(r.Trials) - 1; i >= 0; i-- { // the best is drawn over the others
		trial := r.Trials[i]
		if len(trial.Curve) == 0 {
			continue
		}
		var points []plot.Point
		for _, point := range trial.Curve {
			points = append(points, plot.Point{X: float64(point.Steps), Y: point.Validation})
		}
		name, line := "stopped", plot.Stroke{Color: stoppedColor, Width: 1}
		switch {
		case trial.Failed != "":
			name = "failed"
			line.Dashes = []float64{3, 3}
		case i == 0:
			name = fmt.Sprintf("best (trial %d)", trial.Number)
			line.Color, line.Width = bestColor, 2.5
		case trial.Epochs == r.Rungs[len(r.Rungs)-1].Epochs:
			name = "finished"
			line.Color, line.Width = trialColor, 1.5
		}
		p.Add(plot.Curve{Of: points, Stroke: line}, plot.Dots{Of: points, Radius: 2.5, Color: line.Color})
		if !named[name] {
			named[name] = true
			below.Entries = append(below.Entries, plot.Entry{Name: name, Line: line})
		}
	}
	if len(named) == 0 { // all trials failed before a validation
		p.High = plot.Point{X: 1, Y: 1}
	}
	if p.Low.Y == p.High.Y {
		p.Low.Y, p.High.Y = p.Low.Y-0.5, p.High.Y+0.5
	}
	margin := (p.High.Y - p.Low.Y) / 20
	p.Low.Y, p.High.Y = p.Low.Y-margin, p.High.Y+margin
	r.drawRungs(p)
	p.Low.X, p.High.X = 0, 1.03*p.High.X
	height := chartHeight + below.Height()
	draw := func(c plot.Canvas) {
		p.Draw(c, below.Below(c, plot.Box{Right: chartWidth, Bottom: height}).Inset(2, 4, 12, 2))
	}
	path := strings.TrimSuffix(f.Chart(), filepath.Ext(f.Chart()))
	err := atomicfile.WriteFile(path+".svg", func(w io.Writer) error {
		_, err := io.WriteString(w, plot.SVG(chartWidth, height, title, draw))
		return err
	})
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path+".png", func(w io.Writer) error { return plot.PNG(w, chartWidth, height, draw) })
}

// drawRungs draws a line at the end of each rung but the last.
func (r *Result) drawRungs(p *plot.Chart) {
	perEpoch := 0.0
	for _, trial := range r.Trials {
		if trial.Epochs > 0 && trial.Steps > 0 && len(trial.Curve) == trial.Epochs {
			perEpoch = float64(trial.Steps) / float64(trial.Epochs)
			break
		}
	}
	if perEpoch == 0 {
		return
	}
	line := plot.Stroke{Color: color.RGBA{120, 120, 120, 255}, Width: 1, Dashes: []float64{2, 3}}
	for _, rung := range r.Rungs[:len(r.Rungs)-1] {
		x := float64(rung.Epochs) * perEpoch
		p.Add(plot.Curve{Of: []plot.Point{{X: x, Y: p.Low.Y}, {X: x, Y: p.High.Y}}, Stroke: line})
	}
}
