package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// about says how each set is trained and tested.
var about = map[string]string{
	"caltech-101": `A linear layer on the 1,280 features of the bundled model photo, whose layers are frozen and whose features of each picture are
computed once. It begins as the whitening by the training classes (run.Settings.Adapt), so that a loss is asked to improve on it: a random
layer stays below the features themselves. Trained on up to 35 pictures of each of two thirds of the 51 classes at even places of
the sorted list, validated by MAP@R on the other third; tested on up to 35 pictures of each of the 50 classes at odd places, each of
which is searched among all others. "adapt" is likeness adapt with all 51 classes, and "whitening, before the training" what the
trainings begin with.`,
	"omniglot": `Conv4 with 32 filters and batch norm from scratch, 28×28 pixels, without augmentation. Trained on four fifths of the 30 background
alphabets, validated by MAP@R on the other fifth; tested on the 20 evaluation alphabets: 20-way one-shot within an alphabet, 20
episodes of each alphabet with 20 queries; MAP@R among every fourth image.`,
}

// write writes the record, its rows and the chart.
func (c *comparison) write(tasks []*task, rows []row, took time.Duration) error {
	var text strings.Builder
	fmt.Fprintf(&text, `Every loss that uses labels is trained for the same number of steps: with its defaults ("defaults", a learning rate of 1e-4 for the
layer and 3e-3 for the network), and with the learning rate and the numbers of the loss that successive halving chooses with the seed 1
("searched", package sweep). Batches have 64 pairs, 64 triplets or 64 images, 4 of each class; AdamW with weight decay 1e-4 and
cosine decay of the learning rate to zero. The best of %d epochs is chosen by the validation. No test class has a part in any choice,
as Musgrave, Belongie & Lim 2020 ("A metric learning reality check") ask. The losses without labels are left out: none of their models
is selected by labels.

Values are in percent: means over %d seeds with the 95 %% interval of the mean by Student's t distribution, which does not have the
uncertainty of the choice of test classes. Seconds are of one training without the frozen layers and the validation: the median time of a
step times their number. Other programs ran at the same time, so they are upper bounds. "with search" adds all trials. Rows are sorted by the first value.
`, compareEpochs, c.seeds)
	for _, t := range tasks {
		list := c.summarize(t, rows)
		if len(list) == 0 {
			fmt.Fprintf(&text, "\n## %s\n\nNot measured.\n", t.name)
			continue
		}
		fmt.Fprintf(&text, "\n## %s\n\n%s\n%d steps, %d trials of each search.\n\n| method | | %s | ms per step | seconds | with search | chosen |\n|---|---|%s---|---|---|---|\n", t.name, about[t.name], t.steps, t.trials, strings.Join(t.metrics, " | "), strings.Repeat("---|", len(t.metrics)))
		for _, m := range list {
			var cells []string
			for _, name := range t.metrics {
				cells = append(cells, percent(m.mean[name], m.half[name]))
			}
			variant := m.variant
			if m.failed > 0 {
				variant += fmt.Sprintf(", %d of %d failed", m.failed, len(m.rows))
			}
			perStep, search := "", ""
			if m.perStep > 0 {
				perStep = fmt.Sprintf("%.1f", 1000*m.perStep)
			}
			if m.all > m.train {
				search = fmt.Sprintf("%.0f", m.all)
			}
			fmt.Fprintf(&text, "| %s | %s | %s | %s | %.1f | %s | %s |\n", m.method, variant, strings.Join(cells, " | "), perStep, m.train, search, chosen(m.rows[0].Settings))
		}
		text.WriteString(c.missing(list))
		if !slices.ContainsFunc(list, func(m *measured) bool { return m.variant != "" && m.train > 0 }) {
			continue // nothing to draw: steps are timed from the second of an epoch
		}
		name := chartFile(c.out, t)
		fmt.Fprintf(&text, "\n![%s of the losses over the seconds of a training](%s)\n", t.primary, name[strings.LastIndexByte(name, '/')+1:])
		for _, format := range []string{"svg", "png"} {
			if err := t.draw(list, chartFile(c.out, t), format); err != nil {
				return err
			}
		}
	}
	err := atomicfile.WriteFile(strings.TrimSuffix(c.out, ".md")+".jsonl", func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		for _, r := range rows {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	commit := c.commit
	if commit != rows[0].Commit {
		fmt.Fprintf(&text, "\nThe rows have the commits with which they were measured.\n")
	}
	return record.Record{Title: "Comparison of the losses", Command: c.command, Took: took, Result: text.String()}.WriteFile(c.out)
}

// missing names the losses without a row, or with fewer seeds than the others.
func (c *comparison) missing(list []*measured) string {
	var text strings.Builder
	for _, variant := range []string{"defaults", "searched"} {
		var none, fewer []string
		for _, loss := range c.losses() {
			i := slices.IndexFunc(list, func(m *measured) bool { return m.method == loss && m.variant == variant })
			switch {
			case i < 0:
				none = append(none, loss)
			case len(list[i].rows) < c.seeds:
				fewer = append(fewer, fmt.Sprintf("%s (%d)", loss, len(list[i].rows)))
			}
		}
		if len(none) > 0 {
			fmt.Fprintf(&text, "\nNot measured, %s: %s.\n", variant, strings.Join(none, ", "))
		}
		if len(fewer) > 0 {
			fmt.Fprintf(&text, "\nFewer than %d seeds, %s: %s.\n", c.seeds, variant, strings.Join(fewer, ", "))
		}
	}
	return text.String()
}

func chosen(settings map[string]string) string {
	if len(settings) == 0 {
		return ""
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return ""
	}
	return strings.NewReplacer("{", "", "}", "", `"`, "", ",", ", ", ":", " ", "_", " ").Replace(string(text))
}

func chartFile(out string, t *task) string {
	return strings.TrimSuffix(out, ".md") + "-" + t.name + ".svg"
}

// draw draws the value of each method over the seconds of its training, with the name beside the
// ten best, and the baselines as lines.
func (t *task) draw(list []*measured, path, format string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = t.name, "seconds of a training", t.primary+" on unseen classes in percent"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Add(plotter.NewGrid())
	low, high := math.Inf(1), 0.0
	for _, m := range list {
		if m.variant != "" && m.train > 0 {
			low, high = min(low, m.train), max(high, m.train)
		}
	}
	if high == 0 {
		return errors.Errorf("%s: found no training to draw", t.name)
	}
	low, high = low/1.5, high*3 // room for names
	kinds := map[string]struct {
		color color.RGBA
		shape draw.GlyphDrawer
	}{"defaults": {color.RGBA{31, 119, 180, 255}, draw.CircleGlyph{}}, "searched": {color.RGBA{214, 90, 10, 255}, draw.TriangleGlyph{}}}
	for _, variant := range []string{"defaults", "searched"} {
		kind := kinds[variant]
		var points plotter.XYLabels
		for _, m := range list {
			if m.variant == variant && !math.IsNaN(m.mean[t.primary]) && m.train > 0 {
				points.XYs = append(points.XYs, plotter.XY{X: m.train, Y: 100 * m.mean[t.primary]})
				points.Labels = append(points.Labels, " "+m.method)
			}
		}
		if len(points.XYs) == 0 {
			continue
		}
		scatter, err := plotter.NewScatter(points.XYs)
		if err != nil {
			return err
		}
		scatter.Color, scatter.Shape, scatter.Radius = kind.color, kind.shape, 3
		p.Add(scatter)
		p.Legend.Add(variant, scatter)
		named := points
		named.XYs, named.Labels = points.XYs[:min(10, len(points.XYs))], points.Labels[:min(10, len(points.Labels))] // the list is sorted
		labels, err := plotter.NewLabels(named)
		if err != nil {
			return err
		}
		for i := range labels.TextStyle {
			labels.TextStyle[i].Color, labels.TextStyle[i].Font.Size, labels.TextStyle[i].YAlign = kind.color, 8, draw.YCenter
		}
		p.Add(labels)
	}
	for i, m := range list {
		if m.variant != "" {
			continue
		}
		line, err := plotter.NewLine(plotter.XYs{{X: low, Y: 100 * m.mean[t.primary]}, {X: high, Y: 100 * m.mean[t.primary]}})
		if err != nil {
			return err
		}
		line.Color, line.Dashes = color.Gray{90}, []vg.Length{vg.Length(2 + 2*(i%3)), 3}
		p.Add(line)
		p.Legend.Add(m.method, line)
	}
	p.X.Min, p.X.Max = low, high
	image, err := p.WriterTo(620, 420, format)
	if err != nil {
		return errors.Wrap(err, "draw the comparison")
	}
	if err := os.MkdirAll(folderOf(path), 0o777); err != nil {
		return err
	}
	return atomicfile.WriteFile(strings.TrimSuffix(path, "svg")+format, func(w io.Writer) error {
		_, err := image.WriteTo(w)
		return err
	})
}

func folderOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}
