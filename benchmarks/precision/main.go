// Command precision measures trainings with factors of bfloat16 (the setting precision) beside float32:
//
//	go run ./benchmarks/precision speed
//	go run ./benchmarks/precision products
//	go run ./benchmarks/precision accuracy -work runs
//
// The first measures the peak rates of both kinds of products and the layers that are rounded. The second
// counts the products of the networks of package backbone. The third trains each protocol with
// three random seeds in both precisions; trainings that the folder -work has already are not
// repeated.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/speed"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

func main() {
	out := flag.String("out", "benchmarks/results", "`folder` to write precision-speed.md, precision-products.md or precision-accuracy.md to")
	work := flag.String("work", "", "`folder` of the trainings; a temporary one if it is empty")
	protocols := flag.String("protocols", "", "`names` of the protocols, separated by commas; all of them if it is empty")
	each := flag.Duration("each", 200*time.Millisecond, "`time` of each measurement of speed")
	command, flags := "", []string(nil)
	if len(os.Args) > 1 {
		command, flags = os.Args[1], os.Args[2:]
	}
	_ = flag.CommandLine.Parse(flags) // which exits if there is an error
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, command, *out, *work, *protocols, *each, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "precision:", err)
		stop()
		os.Exit(1)
	}
}

// measure writes the record of a command.
func measure(ctx context.Context, command, out, work, names string, each time.Duration, log io.Writer) (err error) {
	begin := time.Now()
	r := record.Record{Command: "go run ./benchmarks/precision " + command}
	switch command {
	case "speed":
		r.Title = "Speed of products of bfloat16 numbers"
		r.Result, err = speeds(each)
	case "products":
		r.Title = "Products of networks in bfloat16"
		r.Result, err = networks()
	case "accuracy":
		r.Title = "Accuracy of trainings in bfloat16"
		var chosen []protocol
		if chosen, err = choose(names); err != nil {
			return err
		}
		if names != "" {
			r.Command += " -protocols " + names
		}
		r.Result, err = accuracies(ctx, work, chosen, log)
	default:
		return errors.Errorf("found the command %q, expected speed, products or accuracy", command)
	}
	if err != nil {
		return err
	}
	r.Took = time.Since(begin)
	return r.WriteFile(filepath.Join(out, "precision-"+command+".md"))
}

// speeds is the record of the speed.
func speeds(each time.Duration) (string, error) {
	var b strings.Builder
	ceiling, instructions := speed.Ceiling(graph.Threads(), each)
	fmt.Fprintf(&b, "Registers only, %d threads, 10⁹ operations a second:\n\n| numbers | rate | times float32 |\n|---|---|---|\n| float32 (%s) | %.0f | 1 |\n", graph.Threads(), instructions, ceiling/1e9)
	peaks := speed.Peaks(graph.Threads(), each)
	for _, p := range peaks {
		fmt.Fprintf(&b, "| %s | %.0f | %.2f |\n", p.Numbers, p.Rate/1e9, p.Rate/ceiling)
	}
	for _, numbers := range []string{"bfloat16", "int8"} {
		if !slices.ContainsFunc(peaks, func(p speed.Peak) bool { return p.Numbers == numbers }) {
			fmt.Fprintf(&b, "| %s | not measured: the instruction set in use has no instruction for it | |\n", numbers)
		}
	}
	use := "multiplies factors of bfloat16 as float32 numbers"
	if graph.BFloat16.Faster() {
		use = "multiplies pairs of bfloat16 numbers"
	}
	fmt.Fprintf(&b, "\nOn this processor `--precision bfloat16` %s.\n\n", use)
	layers(&b, each, slices.ContainsFunc(peaks, func(p speed.Peak) bool { return p.Numbers == "bfloat16" }))
	return b.String(), nil
}

// layers measures layers whose factors are rounded.
func layers(b *strings.Builder, each time.Duration, pairs bool) {
	fmt.Fprint(b, "Layers whose factors are rounded, 16 images, in milliseconds, and the time divided by that of float32: with pairs (`LIKENESS_PAIRS=on`), and\nwith factors rounded and multiplied as float32 numbers (`LIKENESS_PAIRS=off`).\n\n| layer | pass | float32 | pairs | ratio | rounded | ratio |\n|---|---|---|---|---|---|---|\n")
	defer graph.SetPairs(graph.BFloat16.Faster())
	for _, layer := range speed.RoundedLayers() {
		single := layer.Measure(each)
		graph.SetPairs(false)
		rounded := layer.In(graph.BFloat16).Measure(each)
		paired := make([]speed.Measurement, len(single))
		if pairs {
			graph.SetPairs(true)
			paired = layer.In(graph.BFloat16).Measure(each)
		}
		for i, m := range single {
			ratio := func(of speed.Measurement) string {
				if of.Time == 0 {
					return "not measured | "
				}
				return fmt.Sprintf("%.2f | %.2f", milliseconds(of.Time), of.Time.Seconds()/m.Time.Seconds())
			}
			fmt.Fprintf(b, "| %s | %s | %.2f | %s | %s |\n", layer.Name, m.Pass, milliseconds(m.Time), ratio(paired[i]), ratio(rounded[i]))
		}
	}
}

func milliseconds(d time.Duration) float64 { return 1e3 * d.Seconds() }

// counted are the networks whose products are counted, with the size of their images.
var counted = []struct {
	name string
	size imaging.Size
}{
	{"conv4", imaging.Size{Height: 28, Width: 28, Channels: 1}}, {"conv7", imaging.Size{Height: 28, Width: 28, Channels: 1}},
	{"residual", imaging.Size{Height: 28, Width: 28, Channels: 1}}, {"lenet", imaging.Size{Height: 28, Width: 28, Channels: 1}},
	{"koch", imaging.Size{Height: 105, Width: 105, Channels: 1}}, {"hoffer-cifar", imaging.Size{Height: 32, Width: 32, Channels: 3}},
	{"resnet18", imaging.Size{Height: 224, Width: 224, Channels: 3}}, {"resnet50", imaging.Size{Height: 224, Width: 224, Channels: 3}},
	{"mobilenet-v2", imaging.Size{Height: 224, Width: 224, Channels: 3}}, {"efficientnet-lite0", imaging.Size{Height: 224, Width: 224, Channels: 3}},
	{"convnext-tiny", imaging.Size{Height: 224, Width: 224, Channels: 3}},
}

// networks is the record of the products of networks.
func networks() (string, error) {
	const batch = 64
	var b strings.Builder
	fmt.Fprintf(&b, "Products of the forward pass for %d images, in 10⁹: of direct convolutions, of the fastest algorithms for float32 (Winograd's and the\nFourier transform), and those whose factors are rounded. The last column is what a processor with twice the rate would need in\nplace of the second, in products of float32; other work than products is not counted.\n\n| network | direct | fastest | rounded | share of fastest | with twice the rate | times fewer |\n|---|---|---|---|---|---|---|\n", batch)
	for _, c := range counted {
		w, err := work(c.name, c.size, batch)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.1f %% | %.2f | %.2f |\n", c.name, w.Direct/1e9, w.Fastest/1e9, w.Rounded/1e9,
			100*w.Rounded/w.Fastest, (w.Fastest-w.Rounded/2)/1e9, w.Fastest/(w.Fastest-w.Rounded/2))
	}
	return b.String(), nil
}

// work counts the products of a network in bfloat16.
func work(name string, size imaging.Size, batch int) (w graph.Work, err error) {
	options, err := backbone.Defaults(name)
	if err != nil {
		return w, err
	}
	options.Size = size
	network, err := backbone.Named(name, options)
	if err != nil {
		return w, err
	}
	program, err := graph.Build(graph.NewZeroWeights(graph.Float32), graph.Training, func(b *graph.Builder) graph.Outputs {
		b.SetPrecision(graph.BFloat16)
		y := network.Embed(b, b.Input("images", batch, size.Height, size.Width, size.Channels))
		return graph.Outputs{graph.Cost: objectives.Mean(b, y)}
	})
	if err != nil {
		return w, errors.Wrap(err, name)
	}
	return program.Work(), program.Close()
}

// protocol is a training whose accuracy is recorded.
type protocol struct {
	name, title string
	metrics     []string
	settings    run.Settings
}

const seeds = 3

var all = []protocol{
	{"wide", "`likeness train --width 36 --epochs 4 --steps-per-epoch 50`: all convolutions but the first are rounded, because Winograd's algorithms need multiples of 16 channels",
		[]string{"oneshot_accuracy", "verification_auc"}, run.Settings{Width: 36, Epochs: 4, StepsPerEpoch: 50}},
	{"mnist", "`likeness train --data mnist`", []string{"knn_accuracy"}, run.Settings{Data: "mnist"}},
}

// choose returns the protocols of these names.
func choose(names string) (chosen []protocol, err error) {
	if names == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(p protocol) bool { return p.name == name })
		if i < 0 {
			return nil, errors.Errorf("-protocols: found %q, expected wide or mnist", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// accuracies is the record of the accuracy.
func accuracies(ctx context.Context, work string, protocols []protocol, log io.Writer) (string, error) {
	if work == "" {
		var err error
		if work, err = os.MkdirTemp("", "likeness-precision"); err != nil {
			return "", errors.Wrap(err, "make a folder for the trainings")
		}
		defer os.RemoveAll(work)
	}
	var b strings.Builder
	kept, trained := 0, 0
	fmt.Fprintf(&b, "Mean and standard deviation of the random seeds 1 to %d, in percent, and the difference of the means in standard deviations of float32. Factors of bfloat16 were\nmultiplied %s.\n", seeds, strings.TrimPrefix(graph.BFloat16.Arithmetic(), graph.Arithmetic()+", bfloat16 "))
	for _, p := range protocols {
		fmt.Fprintf(&b, "\n%s:\n\n| measure | float32 | bfloat16 | difference | in standard deviations |\n|---|---|---|---|---|\n", p.title)
		values := map[graph.Precision]map[string][]float64{graph.SinglePrecision: {}, graph.BFloat16: {}}
		for seed := uint64(1); seed <= seeds; seed++ {
			for precision, of := range values {
				metrics, found, err := p.train(ctx, work, precision, seed, log)
				if trained++; found {
					kept++
				}
				if err != nil {
					return "", errors.Wrapf(err, "%s, %v, seed %d", p.name, precision, seed)
				}
				for _, metric := range p.metrics {
					m, found := metrics[metric]
					if !found {
						return "", errors.Errorf("%s: the report has no metric %s", p.name, metric)
					}
					of[metric] = append(of[metric], 100*m.Value)
				}
			}
		}
		for _, metric := range p.metrics {
			mean, deviation := stat.MeanStdDev(values[graph.SinglePrecision][metric], nil)
			rounded, roundedDeviation := stat.MeanStdDev(values[graph.BFloat16][metric], nil)
			fmt.Fprintf(&b, "| %s | %.2f ± %.2f | %.2f ± %.2f | %+.2f | %+.2f |\n", metric, mean, deviation, rounded, roundedDeviation, rounded-mean, (rounded-mean)/deviation)
		}
	}
	fmt.Fprint(&b, "\nThe default training, `likeness train`, is not among them: no layer of its network is rounded (precision-products.md), so that its model is that of\nfloat32, bit for bit. The standard deviation of three seeds is itself uncertain by a factor of two.\n")
	fmt.Fprintf(&b, "\n%d of the %d trainings were in the folder of `-work` already; the time above is without them.\n", kept, trained)
	return b.String(), nil
}

// train returns the metrics of a training, which it does not repeat if the folder has it already.
func (p protocol) train(ctx context.Context, work string, precision graph.Precision, seed uint64, log io.Writer) (metrics map[string]report.Figure, found bool, err error) {
	folder := run.Folder(filepath.Join(work, fmt.Sprintf("%s-%v-%d", p.name, precision, seed)))
	if there, err := report.Load(folder.Report()); err == nil {
		return there.Metrics, true, nil
	}
	fmt.Fprintf(log, "%s, %v, seed %d\n", p.name, precision, seed)
	s := p.settings
	s.Out, s.Seed, s.Precision = string(folder), seed, precision.String()
	result, err := run.Train(ctx, s, nil)
	if err != nil {
		return nil, false, err
	}
	return result.Report.Metrics, false, nil
}
