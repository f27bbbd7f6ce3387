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

const method = `%[1]d rounds of at least %[2]d timed steps, with %[3]d threads for each peer. In every round
all peers take turns, in an order that rotates. A turn is one warm-up step and the timed steps, and
the median of the latter counts. Times are medians over the rounds, with the minimum and maximum
over the rounds in brackets. Ratios are ratios of the medians, with the minimum and maximum of a
single round in brackets; above 1 the library is faster. During the turns, the peers that waited used
%.2[4]f processors on average, all together, and other programs %.2[5]f; the times are meaningful
only if both are close to 0.

A training step is the forward pass, the backward pass and the optimizer, in float32, from equal
initial weights and on equal batches. The library also copies its inputs into its graph, whereas
PyTorch's inputs are ready in the memory format of the variant. In PyTorch, towers without batch norm
go through the network as one batch, and the optimizers are the fused ones. Of the variants of
PyTorch (eager on contiguous images, eager in channels_last, torch.compile) the fastest counts.
Embedding starts from bytes in the library and from floats in the peers; PyTorch embeds without
gradients, and the compiled variant with frozen weights. ONNX Runtime runs the network as exported
by torch.onnx. The operations of Gorgonia itself take about a second or more for a step, so a turn
of Gorgonia is one step.
`

const openVINO = `OpenVINO runs the network as it converts it from PyTorch, in float32 and with its settings for the
shortest time of one request.
`

// document returns the text of speed.md.
func (r Record) document() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Speed compared with other frameworks\n\n- command: `%s`\n- commit: %s\n- processor: %s\n- versions: %s\n- date: %s, after %s\n\n%s\n",
		r.Command, r.Commit, r.Processor, r.Versions, r.Date, r.Took, strings.TrimSpace(r.markdown()))
	return text.String()
}

// markdown returns the result as Markdown.
func (r Record) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, method, r.Rounds, r.Steps, r.Threads, r.Waiting, r.Others)
	if strings.Contains(r.Versions, "openvino") {
		text.WriteString(openVINO)
	}
	r.summary(&text)
	r.proofs(&text)
	for _, w := range r.Workloads {
		w.table(&text)
	}
	r.garbage(&text)
	r.scaling(&text)
	for _, w := range r.Workloads {
		w.training(&text)
	}
	r.memory(&text)
	return text.String()
}

// milliseconds formats a time with three significant digits.
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

// summary writes a line for each workload and framework.
func (r Record) summary(text *strings.Builder) {
	rows := r.rows()
	if len(rows) == 0 {
		return
	}
	text.WriteString("\n## The library and the fastest variant of each framework\n\n| workload | likeness, ms | peer | peer, ms | peer / likeness |\n|---|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", row.Workload, milliseconds(row.Likeness.MS), row.Peer.Name, milliseconds(row.Peer.MS), row.Peer.ratio())
	}
}

// proofs writes how closely the results of the peers agree with the library's.
func (r Record) proofs(text *strings.Builder) {
	if len(r.Workloads) == 0 {
		return
	}
	fmt.Fprintf(text, `
## Agreement of the results

The largest difference of the losses of a peer from those of the library, relative to the latter,
over the first steps, each on a different batch; or of its embeddings, relative to each value or
absolute where that is below 1. At most %.0e is allowed, and ten times that by networks for
photographs, whose many layers amplify rounding errors.

| workload | peer | steps | difference |
|---|---|---|---|
`, tolerance)
	for _, w := range r.Workloads {
		for _, p := range w.Proofs {
			steps := "embeddings"
			if p.Steps > 0 {
				steps = fmt.Sprint(p.Steps)
			}
			fmt.Fprintf(text, "| %s | %s | %s | %.1e |\n", w.Title, p.Peer, steps, p.Difference)
		}
	}
}

// table writes the times of all peers for a workload.
func (w Workload) table(text *strings.Builder) {
	fmt.Fprintf(text, "\n## %s\n\n| | ms | peer / likeness |\n|---|---|---|\n", w.Title)
	for i, t := range w.Times {
		ratio := ""
		if i > 0 {
			ratio = t.ratio() + " "
		}
		fmt.Fprintf(text, "| %s | %s | %s|\n", t.Name, t.spread(), ratio)
	}
}

// garbage writes the memory that a step of the library allocates.
func (r Record) garbage(text *strings.Builder) {
	if len(r.Workloads) == 0 {
		return
	}
	text.WriteString("\n## Memory allocated per step, freed by the garbage collector\n\n| workload | KiB |\n|---|---|\n")
	for _, w := range r.Workloads {
		fmt.Fprintf(text, "| %s | %.0f |\n", w.Title, w.Times[0].Allocated/1024)
	}
}

// scaling writes the speed by the number of threads and the batch size.
func (r Record) scaling(text *strings.Builder) {
	if r.Scale == nil {
		return
	}
	fmt.Fprintf(text, "\n## Images per second by batch size\n\n%s: the same workload with other numbers of pairs, in the library alone. The\nentry of the workload itself follows from the table above.\n\n![Images per second](scale.png)\n\n| pairs |", r.Scale.Title)
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

// training writes the time of the trainer's step next to that of the library's bare step.
func (w Workload) training(text *strings.Builder) {
	if w.Trainer == nil {
		return
	}
	fmt.Fprintf(text, `
## The step of the trainer compared with the bare step

%s. The trainer samples pairs of MNIST, augments every image, keeps a copy of the weights to return to
and checks for values that are not finite. It was measured in the same rounds; the bare step is the
library's in the table above.

| | ms | ms / bare |
|---|---|---|
| bare step on prepared batches | %s | |
| step of the trainer on augmented MNIST | %s | %s |
`, w.Title, w.Times[0].spread(), w.Trainer.spread(), w.Trainer.ratio())
}

// memory writes the memory of all peers.
func (r Record) memory(text *strings.Builder) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintf(text, `
## Memory

The peak of the resident memory of a separate process, from building the network to the end of
%d steps, minus its memory before, with all code loaded.

| workload | | MiB | peer / likeness |
|---|---|---|---|
`, memorySteps)
	for _, m := range r.Memory {
		for i, name := range m.Names {
			fmt.Fprintf(text, "| %s | %s | %d | %.2f |\n", m.Title, name, m.MiB[i], m.Ratios[i])
		}
	}
}

// maxRatio is the ratio at which bars are cut off; their labels give the true ratio.
const maxRatio = 6

var colors = map[string]color.Color{
	"PyTorch":      color.RGBA{238, 105, 50, 255},
	"ONNX Runtime": color.RGBA{60, 120, 200, 255},
	"OpenVINO":     color.RGBA{90, 60, 160, 255},
	"Gorgonia":     color.RGBA{130, 130, 130, 255},
}

// drawRatios draws a bar for each row: the time of the peer divided by the library's.
func drawRatios(rows []row, path string) error {
	p := plot.New()
	p.Title.Text = "Time per step of other frameworks divided by that of likeness, on the same processor"
	p.Title.Padding = vg.Points(8)
	names := make([]string, len(rows))
	known := map[string]bool{} // frameworks in the legend
	for i, r := range rows {
		y := float64(len(rows) - 1 - i) // from the top
		names[len(rows)-1-i] = r.Workload
		shown := min(r.Peer.Ratio, maxRatio)
		bar, err := plotter.NewBarChart(plotter.Values{shown}, vg.Points(14))
		if err != nil {
			return errors.Wrap(err, "draw ratios")
		}
		bar.Horizontal, bar.XMin, bar.Color, bar.LineStyle.Width = true, y, colors[r.Peer.Framework], 0
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
	p.X.Min, p.X.Max = 0, maxRatio+2 // space for the labels and the legend
	p.X.Tick.Marker = plot.TickerFunc(func(_, _ float64) (ticks []plot.Tick) {
		for i := range maxRatio + 1 {
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
	p.Title.Text = "Training speed of Conv4-64 on pairs"
	p.X.Label.Text, p.Y.Label.Text = "pairs in a batch", "images per second"
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
