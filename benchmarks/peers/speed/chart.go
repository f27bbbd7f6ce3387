package main

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// greatestRatio is where bars are cut off; their labels tell how long they are.
const greatestRatio = 6

var colours = map[string]color.Color{
	"PyTorch":      color.RGBA{238, 105, 50, 255},
	"ONNX Runtime": color.RGBA{60, 120, 200, 255},
	"Gorgonia":     color.RGBA{130, 130, 130, 255},
}

// drawRatios draws a bar for each row: how many times as long the peer takes.
func drawRatios(rows []row, path string) error {
	p := plot.New()
	p.Title.Text = "Time of other frameworks, in times of likeness on the same processor"
	p.Title.Padding = vg.Points(8)
	names := make([]string, len(rows))
	known := map[string]bool{} // frameworks in the legend
	for i, r := range rows {
		y := float64(len(rows) - 1 - i) // from the top
		names[len(rows)-1-i] = r.Work
		shown := min(r.Peer.Ratio, greatestRatio)
		bar, err := plotter.NewBarChart(plotter.Values{shown}, vg.Points(14))
		if err != nil {
			return errors.Wrap(err, "draw ratios")
		}
		bar.Horizontal, bar.XMin, bar.Color, bar.LineStyle.Width = true, y, colours[r.Peer.Framework], 0
		label, err := plotter.NewLabels(plotter.XYLabels{
			XYs: plotter.XYs{{X: shown, Y: y}}, Labels: []string{fmt.Sprintf(" %.2f", r.Peer.Ratio)},
		})
		if err != nil {
			return errors.Wrap(err, "draw ratios")
		}
		label.TextStyle[0].YAlign = draw.YCenter
		p.Add(bar, label)
		if framework := r.Peer.Framework; !known[framework] {
			known[framework] = true
			p.Legend.Add(framework, bar)
		}
	}
	even, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.6}, {X: 1, Y: float64(len(rows)) - 0.4}})
	if err != nil {
		return errors.Wrap(err, "draw ratios")
	}
	p.Add(even)
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, greatestRatio+2 // room for labels and legend
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) (ticks []plot.Tick) {
		for i := range greatestRatio + 1 {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: fmt.Sprint(i)})
		}
		return ticks
	})
	p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = -vg.Points(10), vg.Points(10), vg.Points(3)
	return save(p, 11*vg.Inch, vg.Length(len(rows)+3)*0.3*vg.Inch, path)
}

// draw draws a line for each number of threads.
func (s *Scale) draw(path string) error {
	p := plot.New()
	p.Title.Text = "Training Conv4-64 on pairs"
	p.X.Label.Text, p.Y.Label.Text = "pairs in a batch", "images a second"
	p.X.Scale, p.Y.Min = plot.LogScale{}, 0
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick {
		var ticks []plot.Tick
		for _, pairs := range s.Pairs {
			ticks = append(ticks, plot.Tick{Value: float64(pairs), Label: fmt.Sprint(pairs)})
		}
		return ticks
	})
	for i, rates := range s.Rates {
		points := make(plotter.XYs, len(rates))
		for j, rate := range rates {
			points[j] = plotter.XY{X: float64(s.Pairs[j]), Y: rate}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return errors.Wrap(err, "draw scale")
		}
		// From light to dark.
		shade := uint8(200 - 200*math.Min(1, float64(i+1)/float64(len(s.Rates))))
		line.Color = color.RGBA{shade, shade, 180, 255}
		dots.Color, dots.Shape = line.Color, draw.CircleGlyph{}
		p.Add(line, dots)
		p.Legend.Add(threadCount(s.Threads[i]), line, dots)
	}
	p.Legend.Left, p.Legend.Top = true, true
	return save(p, 7*vg.Inch, 4*vg.Inch, path)
}

func save(p *plot.Plot, width, height vg.Length, path string) error {
	image, err := p.WriterTo(width, height, "png")
	if err != nil {
		return errors.Wrapf(err, "draw %s", path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := image.WriteTo(w)
		return err
	})
}
