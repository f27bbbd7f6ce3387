package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The largest allowed errors, relative to the largest value of the tensor.
var tolerance = map[tensor.Dtype]float64{graph.Float64: 1e-9, graph.Float32: 1e-3}

const explanation = `Random weights, running statistics and images, %d in a batch; the reference computes in float64. Each error is the largest
difference, relative to the largest value of the tensor, or of all tensors of its kind where those of the tensor are below 1e-5 of
it, that is, zero except for rounding. The tolerance is 1e-9 in float64 and 1e-3 in float32.

Where a value is zero except for rounding, a float32 network may take the other branch of a ReLU than the reference, and the
gradients of the layers before differ by the contribution of a whole pixel. Therefore the gradients in float32 are compared with
smaller images, of %d×%d pixels, and where they are out of tolerance, the check is repeated with another random seed, at most %d
times. New values avoid a kink, but not a mistake, and float64 shows whether the computation is the same. The column PyTorch is the
largest error of the embeddings and gradients that PyTorch itself makes in float32 with the same weights and images.

`

// modes are the kinds of statistics that batch norm uses.
var modes = []string{"evaluation", "training"}

// draws is the largest number of random seeds for the comparison in float32.
const draws = 10

func main() {
	python := flag.String("python", "python3", "Python `interpreter` that runs the reference")
	script := flag.String("script", "benchmarks/peers/backbones.py", "`file` of the reference")
	out := flag.String("out", "benchmarks/results", "`folder` to write backbones-agreement.md to")
	only := flag.String("only", "", "compare only the network of this `name`, and write no record")
	size := flag.Int("size", 224, "height and width of the images in `pixels`")
	small := flag.Int("small", 64, "height and width of the images for gradients in float32, in `pixels`")
	batch := flag.Int("batch", 4, "`number` of images")
	flag.Parse()
	if err := run(*python, *script, *out, *only, *size, *small, *batch); err != nil {
		fmt.Fprintln(os.Stderr, "backbones:", err)
		os.Exit(1)
	}
}

func run(python, script, out, only string, size, small, batch int) error {
	start := time.Now()
	versions, err := exec.Command(python, "-c", "import torch, torchvision; print('torch', torch.__version__); print('torchvision', torchvision.__version__)").Output()
	if err != nil {
		return errors.Wrapf(err, "%s cannot import torch and torchvision: give the path of an interpreter that can with -python", python)
	}
	var table strings.Builder
	write := func(format string, arguments ...any) {
		fmt.Printf(format, arguments...)
		fmt.Fprintf(&table, format, arguments...)
	}
	write("| network | type | images | batch norm | embeddings | gradients | running statistics | PyTorch | seeds | within tolerance |\n|---|---|---|---|---|---|---|---|---|---|\n")
	failures := 0
	for _, name := range backbone.Published {
		if only != "" && name != only {
			continue
		}
		for _, pass := range []struct {
			dtype tensor.Dtype
			size  int
			draws int
		}{{graph.Float64, size, 1}, {graph.Float32, small, draws}} {
			agreed := map[string]bool{}
			for seed := 1; seed <= pass.draws && !(agreed[modes[0]] && agreed[modes[1]]); seed++ {
				reference, err := ask(python, script, name, pass.size, batch, seed)
				if err != nil {
					return errors.Wrap(err, name)
				}
				for _, mode := range modes {
					if agreed[mode] {
						continue
					}
					e, err := reference.compare(name, pass.dtype, mode, pass.size, batch)
					if err != nil {
						return errors.Wrapf(err, "%s, %v, %s", name, pass.dtype, mode)
					}
					within := max(e.embeddings, e.gradients, e.statistics) <= tolerance[pass.dtype]
					answer := "yes"
					if !within {
						answer = "no: " + e.worst
					}
					if within || seed == pass.draws {
						peer := "–"
						if pass.dtype == graph.Float32 {
							own, err := reference.own(mode)
							if err != nil {
								return errors.Wrap(err, name)
							}
							peer = fmt.Sprintf("%.1e", own)
						}
						write("| %s | %v | %d×%d | %s | %.1e | %.1e | %.1e | %s | %d | %s |\n", name, pass.dtype, pass.size, pass.size, mode, e.embeddings, e.gradients, e.statistics, peer, seed, answer)
					}
					if agreed[mode] = within; !within && seed == pass.draws {
						failures++
					}
				}
			}
		}
	}
	if only == "" {
		err := record.Record{
			Title:   "Agreement of the networks for photographs with their reference definitions",
			Command: "go run ./benchmarks/peers/backbones -python PYTHON",
			Tools:   strings.Split(strings.TrimSpace(string(versions)), "\n"),
			Took:    time.Since(start),
			Result:  fmt.Sprintf(explanation, batch, small, small, draws) + table.String(),
		}.WriteFile(filepath.Join(out, "backbones-agreement.md"))
		if err != nil {
			return err
		}
	}
	if failures > 0 {
		return errors.Errorf("%d rows are out of tolerance", failures)
	}
	return nil
}

// reference has the tensors of the reference by name.
type reference map[string]safetensors.Tensor

// ask runs the reference for one network.
func ask(python, script, name string, size, batch, seed int) (reference, error) {
	folder, err := os.MkdirTemp("", "backbones-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	command := exec.Command(python, "-B", script, name, strconv.Itoa(size), strconv.Itoa(batch), strconv.Itoa(seed), folder)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return nil, errors.Wrap(err, "run the reference")
	}
	file, err := safetensors.ReadFile(filepath.Join(folder, "reference.safetensors"))
	if err != nil {
		return nil, err
	}
	tensors := reference{}
	for _, t := range file.Tensors {
		tensors[t.Name] = t
	}
	return tensors, nil
}

// values returns the elements of a tensor.
func (r reference) values(name string) ([]float64, error) {
	t, found := r[name]
	if !found {
		return nil, errors.Errorf("the reference has no tensor %q", name)
	}
	values, ok := t.Data.([]float64)
	if !ok {
		return nil, errors.Errorf("tensor %q: found %T, expected []float64", name, t.Data)
	}
	return values, nil
}

// published returns the published name of a weight.
func published(names map[string]string, weight string) (string, error) {
	if name, found := names[weight]; found {
		return name, nil
	}
	layer, suffix := weight[:strings.LastIndexByte(weight, '.')], weight[strings.LastIndexByte(weight, '.'):]
	name, found := names[layer]
	if !found {
		return "", errors.Errorf("weight %s has no published name", weight)
	}
	return name + suffix, nil
}

// differences are the largest relative errors of each kind.
type differences struct {
	embeddings, gradients, statistics float64
	worst                             string // the name of the tensor with the largest error
}

// compare runs the network of a name on the weights and images of the reference.
func (r reference) compare(name string, dtype tensor.Dtype, mode string, size, batch int) (differences, error) {
	network, err := backbone.Named(name, backbone.Options{Size: imaging.Size{Height: size, Width: size, Channels: 3}})
	if err != nil {
		return differences{}, err
	}
	names, err := backbone.PublishedNames(name)
	if err != nil {
		return differences{}, err
	}
	weights := graph.NewWeights(dtype, 1)
	build := func(mode graph.Mode) (*graph.Program, error) {
		return graph.Build(weights, mode, func(b *graph.Builder) graph.Outputs {
			embeddings := network.Embed(b, b.Input("images", batch, size, size, 3))
			if mode == graph.Evaluation {
				return graph.Outputs{"embeddings": embeddings}
			}
			factors := b.Input("factors", embeddings.Shape()...)
			return graph.Outputs{"embeddings": embeddings, graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(embeddings, factors))))}
		})
	}
	program, err := build(graph.Evaluation) // creates the weights
	if err != nil {
		return differences{}, err
	}
	if err := program.Close(); err != nil {
		return differences{}, err
	}
	if err := r.fill(weights, names, mode == "evaluation"); err != nil {
		return differences{}, err
	}
	if program, err = build(graph.Training); err != nil {
		return differences{}, err
	}
	defer program.Close()
	for _, input := range []string{"images", "factors"} {
		values, err := r.values(input)
		if err != nil {
			return differences{}, err
		}
		if err := program.Set(input, values); err != nil {
			return differences{}, err
		}
	}
	if err := program.Run(); err != nil {
		return differences{}, err
	}
	return r.differences(program, names, mode)
}

// fill sets the weights. Frozen running statistics keep batch norm in evaluation mode.
func (r reference) fill(weights *graph.Weights, names map[string]string, freeze bool) error {
	used := 0
	for _, weight := range weights.All() {
		name, err := published(names, weight.Name)
		if err != nil {
			return err
		}
		values, err := r.values("weight " + name)
		if err != nil {
			return err
		}
		if len(values) != weight.Value.Shape().TotalSize() {
			return errors.Errorf("weight %s: found %v, expected %v as %s of the reference", weight.Name, weight.Value.Shape(), r["weight "+name].Shape, name)
		}
		switch data := weight.Value.Data().(type) {
		case []float64:
			copy(data, values)
		case []float32:
			for i, v := range values {
				data[i] = float32(v)
			}
		}
		weight.Frozen = freeze && weight.Role == graph.Buffer
		used++
	}
	for name := range r {
		if strings.HasPrefix(name, "weight ") {
			used--
		}
	}
	if used != 0 {
		return errors.Errorf("the network has %d weights more than the reference", used)
	}
	return nil
}

// differences compares the results of a run.
func (r reference) differences(program *graph.Program, names map[string]string, mode string) (differences, error) {
	var d differences
	worst := 0.0
	note := func(kind *float64, name string, err float64) {
		if *kind = max(*kind, err); err > worst || math.IsNaN(err) {
			worst, d.worst = err, name
		}
	}
	embeddings, err := program.Get("embeddings")
	if err != nil {
		return d, err
	}
	expected, err := r.values(mode + " embeddings")
	if err != nil {
		return d, err
	}
	note(&d.embeddings, "embeddings", difference(embeddings, expected, largest(expected)))

	all, err := r.largestGradient(mode)
	if err != nil {
		return d, err
	}
	for _, parameter := range program.Parameters() {
		name, err := published(names, parameter.Name())
		if err != nil {
			return d, err
		}
		gradient, err := parameter.Elements()
		if err != nil {
			return d, err
		}
		expected, err := r.values(mode + " gradient " + name)
		if err != nil {
			return d, err
		}
		note(&d.gradients, name, difference(gradient, expected, scale(expected, all)))
	}
	if mode == "evaluation" {
		return d, nil
	}
	for _, weight := range program.Weights().All() {
		if weight.Role != graph.Buffer {
			continue
		}
		name, err := published(names, weight.Name)
		if err != nil {
			return d, err
		}
		expected, err := r.values("after " + name)
		if err != nil {
			return d, err
		}
		note(&d.statistics, name, difference(float64s(weight.Value), expected, largest(expected)))
	}
	return d, nil
}

// own returns the largest error of the reference itself in float32.
func (r reference) own(mode string) (float64, error) {
	all, err := r.largestGradient(mode)
	if err != nil {
		return 0, err
	}
	most := 0.0
	for name := range r {
		if name != mode+" embeddings" && !strings.HasPrefix(name, mode+" gradient ") {
			continue
		}
		expected, err := r.values(name)
		if err != nil {
			return 0, err
		}
		found, err := r.values("float32 " + name)
		if err != nil {
			return 0, err
		}
		of := largest(expected)
		if name != mode+" embeddings" {
			of = scale(expected, all)
		}
		most = max(most, difference(found, expected, of))
	}
	return most, nil
}

// largestGradient returns the largest value of all gradients.
func (r reference) largestGradient(mode string) (float64, error) {
	all := 0.0
	for name := range r {
		if strings.HasPrefix(name, mode+" gradient ") {
			values, err := r.values(name)
			if err != nil {
				return 0, err
			}
			all = max(all, largest(values))
		}
	}
	return all, nil
}

// scale is what the error of a gradient is relative to: its largest value, or that of all
// gradients if the gradient is zero except for rounding.
func scale(expected []float64, all float64) float64 {
	if own := largest(expected); own >= 1e-5*all {
		return own
	}
	return all
}

func float64s(t *tensor.Dense) []float64 {
	if data, ok := t.Data().([]float64); ok {
		return data
	}
	var values []float64
	for _, v := range t.Data().([]float32) {
		values = append(values, float64(v))
	}
	return values
}

// difference returns the largest difference relative to scale, NaN if there is a NaN.
func difference(found, expected []float64, scale float64) float64 {
	if len(found) != len(expected) {
		return math.NaN()
	}
	most := 0.0
	for i, v := range found {
		most = max(most, math.Abs(v-expected[i])/scale)
	}
	return most
}

func largest(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, math.Abs(v))
	}
	return most
}
