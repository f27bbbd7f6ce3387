package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image/color"
	"io"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Point is a place on the curve of a training: what was spent, and what it came
// to.
type Point struct {
	Steps      int     `json:"steps"`
	Images     int     `json:"images"`     // looked at, distorted ones counted each
	Minutes    float64 `json:"minutes"`    // of training alone
	Loss       float64 `json:"loss"`       // of the images, mean since the point before
	Validation float64 `json:"validation"` // percent, 20-way one-shot, six background alphabets held out
	Runs       float64 `json:"runs"`       // percent, Lake's 20 runs; chooses nothing
}

// writeCurve writes the points so far, one a line.
func writeCurve(folder, name string, curve []Point) error {
	if folder == "" {
		return nil
	}
	return atomicfile.WriteFile(filepath.Join(folder, name+".jsonl"), func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		for _, p := range curve {
			if err := encoder.Encode(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// readCurve reads what writeCurve wrote; there is none where there is no file.
func readCurve(folder, name string) ([]Point, error) {
	path := filepath.Join(folder, name+".jsonl")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var curve []Point
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		var p Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, errors.Wrapf(err, "%s, line %d", path, number)
		}
		curve = append(curve, p)
	}
	if err == nil {
		err = lines.Err()
	}
	return curve, errors.WithStack(err)
}

// drawCurves draws the curves of Koch's network that a folder has, against time;
// nothing where there are none.
func drawCurves(folder string) error {
	p := plot.New()
	p.Title.Text = "Koch's network on two cores, Lake's 20 runs"
	p.X.Label.Text, p.Y.Label.Text = "minutes of training", "percent"
	p.Y.Min, p.Y.Max = 0, 100
	colours := []color.Color{color.RGBA{238, 105, 50, 255}, color.RGBA{60, 120, 200, 255}}
	drawn := false
	for i, k := range kochRuns {
		curve, err := readCurve(folder, k.name)
		if err != nil {
			return err
		}
		if len(curve) == 0 {
			continue
		}
		drawn = true
		points := make(plotter.XYs, len(curve))
		for j, point := range curve {
			points[j] = plotter.XY{X: point.Minutes, Y: point.Runs}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return errors.Wrap(err, "draw curves")
		}
		line.Color, line.Width = colours[i], vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(k.method, line)
	}
	if !drawn {
		return nil
	}
	p.Legend.Padding = vg.Points(3)
	image, err := p.WriterTo(7*vg.Inch, 4*vg.Inch, "png")
	if err != nil {
		return errors.Wrap(err, "draw curves")
	}
	return atomicfile.WriteFile(filepath.Join(folder, "koch.png"), func(w io.Writer) error {
		_, err := image.WriteTo(w)
		return err
	})
}
