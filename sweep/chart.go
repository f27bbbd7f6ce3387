package sweep

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Size of the chart.
const (
	chartWidth  = 560 * vg.Length(1)
	chartHeight = 340 * vg.Length(1)
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
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = fmt.Sprintf("%d trials", len(r.Trials)), "steps", r.Measure
	for _, size := range []*vg.Length{&p.Title.TextStyle.Font.Size, &p.X.Label.TextStyle.Font.Size, &p.Y.Label.TextStyle.Font.Size} {
		*size = 13
	}
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	p.Add(grid)
	named := map[string]bool{}
	lowest, highest, found := 0.0, 0.0, false
	for i := len(r.Trials) - 1; i >= 0; i-- { // the best is drawn over the others
		trial := r.Trials[i]
		if len(trial.Curve) == 0 {
			continue
		}
		var points plotter.XYs
		for _, point := range trial.Curve {
			points = append(points, plotter.XY{X: float64(point.Steps), Y: point.Validation})
			if !found {
				lowest, highest, found = point.Validation, point.Validation, true
			}
			lowest, highest = min(lowest, point.Validation), max(highest, point.Validation)
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return errors.Wrap(err, "draw the trials")
		}
		name := "stopped"
		line.Color, line.Width = stoppedColor, 1
		switch {
		case trial.Failed != "":
			name = "failed"
			line.Dashes = []vg.Length{3, 3}
		case i == 0:
			name = fmt.Sprintf("best (trial %d)", trial.Number)
			line.Color, line.Width = bestColor, 2.5
		case trial.Epochs == r.Rungs[len(r.Rungs)-1].Epochs:
			name = "finished"
			line.Color, line.Width = trialColor, 1.5
		}
		dots.Color, dots.Shape, dots.Radius = line.Color, draw.CircleGlyph{}, 2.5
		p.Add(line, dots)
		if !named[name] {
			named[name] = true
			p.Legend.Add(name, line)
		}
	}
	if !found { // all trials failed before a validation
		highest = 1
	}
	if lowest == highest {
		lowest, highest = lowest-0.5, highest+0.5
	}
	margin := (highest - lowest) / 20
	p.Y.Min, p.Y.Max = lowest-margin, highest+margin
	if err := r.drawRungs(p); err != nil {
		return err
	}
	p.X.Min, p.X.Max = 0, 1.03*p.X.Max
	p.Legend.Top = false
	for _, format := range []string{"svg", "png"} {
		image, err := p.WriterTo(chartWidth, chartHeight, format)
		if err != nil {
			return errors.Wrap(err, "draw the trials")
		}
		path := strings.TrimSuffix(f.Chart(), filepath.Ext(f.Chart())) + "." + format
		err = atomicfile.WriteFile(path, func(w io.Writer) error {
			_, err := image.WriteTo(w)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// drawRungs draws a line at the end of each rung but the last.
func (r *Result) drawRungs(p *plot.Plot) error {
	perEpoch := 0.0
	for _, trial := range r.Trials {
		if trial.Epochs > 0 && trial.Steps > 0 && len(trial.Curve) == trial.Epochs {
			perEpoch = float64(trial.Steps) / float64(trial.Epochs)
			break
		}
	}
	if perEpoch == 0 {
		return nil
	}
	for _, rung := range r.Rungs[:len(r.Rungs)-1] {
		x := float64(rung.Epochs) * perEpoch
		line, err := plotter.NewLine(plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}})
		if err != nil {
			return errors.Wrap(err, "draw the rungs")
		}
		line.Color, line.Dashes = color.Gray{120}, []vg.Length{2, 3}
		p.Add(line)
	}
	return nil
}
