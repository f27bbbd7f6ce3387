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
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Point is a point of a learning curve.
type Point struct {
	Steps      int     `json:"steps"`
	Images     int     `json:"images"`     // number of images processed, each augmented version counted
	Minutes    float64 `json:"minutes"`    // of training alone
	Loss       float64 `json:"loss"`       // of the images, mean since the point before
	Validation float64 `json:"validation"` // percent, 20-way one-shot, six background alphabets held out
	Runs       float64 `json:"runs"`       // percent, Lake's 20 runs; not used to choose settings
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

// readCurve reads what writeCurve wrote; it returns nothing if there is no file.
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

// curvePicture is the file of a folder in which its curves are drawn.
const curvePicture = "koch.png"

// expense is a horizontal axis of a learning curve.
type expense struct {
	label string
	of    func(Point) float64
}

// spent has a panel for each.
var spent = []expense{
	{"minutes of training", func(p Point) float64 { return p.Minutes }},
	{"thousand images", func(p Point) float64 { return float64(p.Images) / 1000 }},
}

// curveColors are those of kochRuns, in their order.
var curveColors = []color.Color{color.RGBA{238, 105, 50, 255}, color.RGBA{60, 120, 200, 255}}

// drawCurves draws the curves of Koch's network that a folder has, against time and
// images, and says whether it has any.
func drawCurves(folder string) (drawn bool, err error) {
	panels := make([]*plot.Plot, len(spent))
	for i, against := range spent {
		panels[i] = plot.New()
		panels[i].X.Label.Text = against.label
		panels[i].Y.Min, panels[i].Y.Max = 0, 100
	}
	panels[0].Title.Text, panels[0].Y.Label.Text = "Koch's network on two cores", "Lake's 20 runs, percent"
	legend := &panels[len(panels)-1].Legend
	legend.Padding = vg.Points(3)
	for i, k := range kochRuns {
		curve, err := readCurve(folder, k.name)
		if err != nil {
			return false, err
		}
		if len(curve) == 0 {
			continue
		}
		drawn = true
		for j, against := range spent {
			line, err := curveLine(curve, against.of)
			if err != nil {
				return false, err
			}
			line.Color = curveColors[i]
			panels[j].Add(line)
			if j == len(spent)-1 {
				legend.Add(k.method, line)
			}
		}
	}
	if !drawn {
		return false, nil
	}
	canvas := vgimg.New(11*vg.Inch, 4*vg.Inch)
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Points(24), PadTop: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(12), PadBottom: vg.Points(6)}
	for i, tile := range plot.Align([][]*plot.Plot{panels}, tiles, draw.New(canvas))[0] {
		panels[i].Draw(tile)
	}
	return true, atomicfile.WriteFile(filepath.Join(folder, curvePicture), func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
		return err
	})
}

// curveLine is the accuracy in Lake's runs against what was spent.
func curveLine(curve []Point, against func(Point) float64) (*plotter.Line, error) {
	points := make(plotter.XYs, len(curve))
	for i, point := range curve {
		points[i] = plotter.XY{X: against(point), Y: point.Runs}
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, errors.Wrap(err, "draw curves")
	}
	line.Width = vg.Points(1.5)
	return line, nil
}
