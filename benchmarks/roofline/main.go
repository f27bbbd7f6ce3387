// Command roofline measures how close the convolutions of the networks for photographs come
// to the limits of the processor, and draws them as a roofline chart (Williams, Waterman &
// Patterson 2009): for each layer its rate over its operations for each byte of inputs,
// results and weights, below the peak rate of multiplications and additions in registers
// and the bandwidth of the memory.
//
//	go run ./benchmarks/roofline -out benchmarks/results/avx2
//
// Layers are measured by themselves, in evaluation, with their norm and activation.
package main

import (
	"flag"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/speed"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// networks are those of which layers are measured.
var networks = []string{"resnet18", "resnet50", "mobilenet-v2", "efficientnet-lite0"}

func main() {
	out := flag.String("out", "benchmarks/results", "`folder` to write roofline.md and roofline.png to")
	each := flag.Duration("each", 200*time.Millisecond, "`time` of each measurement")
	batch := flag.Int("batch", 16, "`number` of images")
	flag.Parse()
	if err := run(*out, *each, *batch); err != nil {
		fmt.Fprintln(os.Stderr, "roofline:", err)
		os.Exit(1)
	}
}

// layer is a convolution with the shape of its input.
type layer struct {
	conv                    graph.Conv
	height, width, channels int
	networks                []string
	count                   int // in all networks together
	seconds                 float64
}

// output is the number of rows and columns of the result for one side of the input.
func (l layer) output(side int) int {
	stride := max(l.conv.Stride, 1)
	if l.conv.SamePadding {
		return (side + stride - 1) / stride
	}
	return (side+2*l.conv.Padding-l.conv.Kernel)/stride + 1
}

// shape is the convolution without what follows it.
func (l layer) shape() graph.Conv {
	return graph.Conv{Filters: l.conv.Filters, Kernel: l.conv.Kernel, Stride: max(l.conv.Stride, 1), Padding: l.conv.Padding, SamePadding: l.conv.SamePadding, Groups: l.conv.Groups}
}

// kind is what the layer is called in the chart.
func (l layer) kind() string {
	switch {
	case l.conv.Groups > 1:
		return "depthwise"
	case l.conv.Kernel == 1:
		return "1×1"
	}
	return fmt.Sprintf("%d×%d", l.conv.Kernel, l.conv.Kernel)
}

// operations are those of a direct convolution of a batch, two for each product.
func (l layer) operations(batch int) float64 {
	patch := l.conv.Kernel * l.conv.Kernel * l.channels / max(l.conv.Groups, 1)
	return 2 * float64(batch*l.output(l.height)*l.output(l.width)*l.conv.Filters*patch)
}

// bytes are those of the inputs, the results and the weights, each once.
func (l layer) bytes(batch int) float64 {
	weights := l.conv.Filters * l.conv.Kernel * l.conv.Kernel * l.channels / max(l.conv.Groups, 1)
	return 4 * float64(batch*(l.height*l.width*l.channels+l.output(l.height)*l.output(l.width)*l.conv.Filters)+weights)
}

// collect lists the different convolutions of blocks, with the shape of each input, and
// returns the shape of the result.
func collect(layers []*layer, blocks []graph.Block, network string, height, width, channels int) ([]*layer, int, int, int) {
	for _, block := range blocks {
		switch block := block.(type) {
		case graph.Conv:
			l := &layer{conv: block, height: height, width: width, channels: channels}
			height, width, channels = l.output(height), l.output(width), block.Filters
			at := slices.IndexFunc(layers, func(other *layer) bool {
				return other.shape() == l.shape() && other.height == l.height && other.width == l.width && other.channels == l.channels
			})
			if at < 0 {
				layers, at = append(layers, l), len(layers)
			}
			layers[at].count++
			if !slices.Contains(layers[at].networks, network) {
				layers[at].networks = append(layers[at].networks, network)
			}
		case graph.MaxPool:
			stride := max(block.Stride, 1)
			if block.Stride == 0 {
				stride = block.Size
			}
			height, width = (height+2*block.Padding-block.Size)/stride+1, (width+2*block.Padding-block.Size)/stride+1
		case graph.Residual:
			layers, _, _, _ = collect(layers, block.Shortcut, network, height, width, channels)
			layers, height, width, channels = collect(layers, block.Body, network, height, width, channels)
		}
	}
	return layers, height, width, channels
}

// measure sets the shortest time of the layer.
func (l *layer) measure(batch int, each time.Duration) (err error) {
	weights := graph.NewWeights(graph.Float32, 1)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Input("x", batch, l.height, l.width, l.channels)
		return graph.Outputs{"y": b.Sequence([]graph.Block{l.conv}, x)}
	})
	if err != nil {
		return err
	}
	defer func() {
		if failure := program.Close(); err == nil {
			err = failure
		}
	}()
	values := make([]float32, batch*l.height*l.width*l.channels)
	for i := range values {
		values[i] = float32(i*7919%2001-1000) / 1000
	}
	if err := program.Set("x", values); err != nil {
		return err
	}
	l.seconds = math.Inf(1)
	start := time.Now()
	for n := 0; n < 2 || time.Since(start) < each; n++ {
		begin := time.Now()
		if err := program.Run(); err != nil {
			return err
		}
		if n > 0 { // the first packs the weights
			l.seconds = min(l.seconds, time.Since(begin).Seconds())
		}
	}
	return nil
}

func run(out string, each time.Duration, batch int) error {
	start := time.Now()
	var layers []*layer
	for _, name := range networks {
		network, err := backbone.Named(name, backbone.Options{})
		if err != nil {
			return err
		}
		size := network.Size
		layers, _, _, _ = collect(layers, network.Blocks, name, size.Height, size.Width, size.Channels)
	}
	peak, instructions := speed.Ceiling(graph.Threads(), time.Second)
	bandwidth := speed.Bandwidth(graph.Threads(), time.Second)
	for _, l := range layers {
		if err := l.measure(batch, each); err != nil {
			return errors.Wrapf(err, "%dx%d, %d to %d", l.height, l.width, l.channels, l.conv.Filters)
		}
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return errors.WithStack(err)
	}
	if err := draw(filepath.Join(out, "roofline.png"), layers, batch, peak, bandwidth); err != nil {
		return err
	}
	var table strings.Builder
	fmt.Fprintf(&table, "The peak of %d threads is %.0f GFLOP/s in registers (%s), and memory gives %.1f GB/s. The limit of a layer is the smaller of the peak and its\noperations for each byte times the bandwidth. Winograd's algorithm may exceed it, since operations are those of a direct\nconvolution; and what stays in a cache may exceed the bandwidth. A batch of %d images; the shortest of several times.\n\n![roofline](roofline.png)\n\n", graph.Threads(), peak/1e9, instructions, bandwidth/1e9, batch)
	table.WriteString("| input | filters | kernel | stride | networks | ms | operations for a byte | GFLOP/s | of the limit |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range layers {
		intensity := l.operations(batch) / l.bytes(batch)
		rate := l.operations(batch) / l.seconds
		fmt.Fprintf(&table, "| %d×%d×%d | %d | %s | %d | %s | %.2f | %.1f | %.0f | %.0f %% |\n", l.height, l.width, l.channels, l.conv.Filters, l.kind(), max(l.conv.Stride, 1),
			strings.Join(l.networks, ", "), 1e3*l.seconds, intensity, rate/1e9, 100*rate/min(peak, intensity*bandwidth))
	}
	return record.Record{
		Title:   "Convolutions of the networks for photographs and the limits of the processor",
		Command: strings.TrimSpace("go run ./benchmarks/roofline -out " + filepath.ToSlash(out)),
		Took:    time.Since(start),
		Result:  table.String(),
	}.WriteFile(filepath.Join(out, "roofline.md"))
}

// draw draws the chart with logarithmic axes.
func draw(path string, layers []*layer, batch int, peak, bandwidth float64) error {
	p := plot.New()
	p.Title.Text = "Convolutions of networks for photographs"
	p.X.Label.Text, p.Y.Label.Text = "operations for each byte", "GFLOP/s"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{}, plot.LogTicks{}
	points := map[string]plotter.XYs{}
	left, right := math.Inf(1), 0.0
	for _, l := range layers {
		intensity := l.operations(batch) / l.bytes(batch)
		left, right = min(left, intensity), max(right, intensity)
		points[l.kind()] = append(points[l.kind()], plotter.XY{X: intensity, Y: l.operations(batch) / l.seconds / 1e9})
	}
	left, right = left/1.5, right*1.5
	ridge := min(max(peak/bandwidth, left), right)
	limit, err := plotter.NewLine(plotter.XYs{{X: left, Y: left * bandwidth / 1e9}, {X: ridge, Y: ridge * bandwidth / 1e9}, {X: right, Y: peak / 1e9}})
	if err != nil {
		return errors.WithStack(err)
	}
	limit.Width = vg.Points(1.5)
	p.Add(plotter.NewGrid(), limit)
	p.Legend.Add("memory and peak", limit)
	colors := []color.RGBA{{R: 31, G: 119, B: 180, A: 255}, {R: 255, G: 127, B: 14, A: 255}, {R: 44, G: 160, B: 44, A: 255}, {R: 214, G: 39, B: 40, A: 255}}
	for i, kind := range []string{"1×1", "3×3", "7×7", "depthwise"} {
		scatter, err := plotter.NewScatter(points[kind])
		if err != nil {
			return errors.Wrap(err, kind)
		}
		scatter.Color, scatter.Radius = colors[i], vg.Points(3)
		p.Add(scatter)
		p.Legend.Add(kind, scatter)
	}
	return errors.WithStack(p.Save(7*vg.Inch, 5*vg.Inch, path))
}
