package main

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const method = `%[1]d rounds of at least %[2]d timed steps, %[3]d threads for each. All peers take turns in
every round, in an order that rotates; a turn is one step to warm up and the timed ones, and
counts by its median. Times are medians over the rounds, with the least and the greatest round
in brackets; a ratio is that of the medians, with the least and the greatest of a single round.
Above 1 the library is the faster one. In a turn the peers that waited used %.2[4]f of a processor on
the average, all together, and programs that have nothing to do with this %.2[5]f: where that is not
nearly nothing, times mean little.

A step of training is forward, backward and optimiser, in float32, from equal initial weights on
equal batches. The library also copies its inputs into the graph; PyTorch's lie ready in the memory
format it wants, towers without batch norm go through its network as one batch, and its optimisers
are the fused ones. Of PyTorch's ways, eager on contiguous images, eager in channels_last, and
torch.compile, the fastest counts. Embedding begins with bytes in the library and with floats in its
peers; PyTorch's runs without gradients, and compiled with frozen weights. ONNX Runtime runs the
network as torch.onnx exports it. Gorgonia's own operations take seconds for a step, and a turn of
theirs is one.
`

// document is speed.md.
func (r Record) document() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Speed beside other frameworks\n\n- command: `%s`\n- commit: %s\n- processor: %s\n- versions: %s\n- date: %s, after %s\n\n%s\n",
		r.Command, r.Commit, r.Processor, r.Versions, r.Date, r.Took, strings.TrimSpace(r.markdown()))
	return text.String()
}

// markdown is the result to read.
func (r Record) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, method, r.Rounds, r.Steps, r.Threads, r.Waiting, r.Strangers)
	r.summary(&text)
	r.proofs(&text)
	for _, w := range r.Works {
		w.table(&text)
	}
	r.garbage(&text)
	r.scaling(&text)
	for _, w := range r.Works {
		w.training(&text)
	}
	r.memory(&text)
	return text.String()
}

// milliseconds in three digits.
func milliseconds(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (t Time) spread() string {
	return fmt.Sprintf("%s [%s – %s]", milliseconds(t.MS), milliseconds(t.Low), milliseconds(t.High))
}

func (t Time) ratio() string {
	return fmt.Sprintf("%.2f [%.2f – %.2f]", t.Ratio, t.RatioLow, t.RatioHigh)
}

// summary has a line for each work and framework.
func (r Record) summary(text *strings.Builder) {
	rows := r.rows()
	if len(rows) == 0 {
		return
	}
	text.WriteString("\n## The library and the fastest way of each framework\n\n| work | likeness, ms | peer | its ms | peer / likeness |\n|---|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", row.Work, milliseconds(row.Likeness.MS), row.Peer.Name, milliseconds(row.Peer.MS), row.Peer.ratio())
	}
}

// proofs that all do the same work.
func (r Record) proofs(text *strings.Builder) {
	if len(r.Works) == 0 {
		return
	}
	fmt.Fprintf(text, `
## They do the same work

The largest difference of a peer's losses from the library's, relative to the library's, over the
first steps, each on a batch of its own; and of embeddings, relative to each value or absolute where
that is below 1. At most %.0e is allowed.

| work | peer | steps | difference |
|---|---|---|---|
`, tolerance)
	for _, w := range r.Works {
		for _, p := range w.Proofs {
			steps := "embeddings"
			if p.Steps > 0 {
				steps = fmt.Sprint(p.Steps)
			}
			fmt.Fprintf(text, "| %s | %s | %s | %.1e |\n", w.Title, p.Peer, steps, p.Difference)
		}
	}
}

// table of one work with all peers.
func (w Work) table(text *strings.Builder) {
	fmt.Fprintf(text, "\n## %s\n\n| | ms | ms / likeness' |\n|---|---|---|\n", w.Title)
	for i, t := range w.Times {
		ratio := ""
		if i > 0 {
			ratio = t.ratio() + " "
		}
		fmt.Fprintf(text, "| %s | %s | %s|\n", t.Name, t.spread(), ratio)
	}
}

func (r Record) garbage(text *strings.Builder) {
	if len(r.Works) == 0 {
		return
	}
	text.WriteString("\n## What a step leaves to the garbage collector\n\n| work | KiB |\n|---|---|\n")
	for _, w := range r.Works {
		fmt.Fprintf(text, "| %s | %.0f |\n", w.Title, w.Times[0].Allocated/1024)
	}
}

func (r Record) scaling(text *strings.Builder) {
	if r.Scale == nil {
		return
	}
	fmt.Fprintf(text, "\n## Images a second by the size of a batch\n\n%s: another number of pairs, the library alone. The work itself, on as many threads\nas there, is that of the table above.\n\n![Images a second](scale.png)\n\n| pairs |", r.Scale.Title)
	for _, threads := range r.Scale.Threads {
		fmt.Fprintf(text, " %s |", threadCount(threads))
	}
	text.WriteString("\n|---|" + strings.Repeat("---|", len(r.Scale.Threads)) + "\n")
	for i, pairs := range r.Scale.Pairs {
		fmt.Fprintf(text, "| %d |", pairs)
		for _, rates := range r.Scale.Rates {
			fmt.Fprintf(text, " %.0f |", rates[i])
		}
		text.WriteString("\n")
	}
}

func threadCount(threads int) string {
	if threads == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", threads)
}

// training is the trainer's step beside the library's time in the work's table.
func (w Work) training(text *strings.Builder) {
	if w.Trainer == nil {
		return
	}
	fmt.Fprintf(text, `
## A training's step beside the bare one

%s. The trainer draws pairs of MNIST, distorts every image at random, keeps the weights to fall back on
and looks for values that are not finite. It takes turns with all others; the bare step is the library's of the table above.

| | ms | ms / bare |
|---|---|---|
| bare step on batches that lie ready | %s | |
| the trainer's step on augmented MNIST | %s | %s |
`, w.Title, w.Times[0].spread(), w.Trainer.spread(), w.Trainer.ratio())
}

func (r Record) memory(text *strings.Builder) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintf(text, `
## Memory

The greatest amount of main memory of a process of its own, from building the network to the end of
%d steps, less what it had before with all code loaded.

| work | | MiB | / likeness' |
|---|---|---|---|
`, memorySteps)
	for _, m := range r.Memory {
		for i, name := range m.Names {
			fmt.Fprintf(text, "| %s | %s | %d | %.2f |\n", m.Title, name, m.MiB[i], m.Ratios[i])
		}
	}
}

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
