package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/onnx"
	"github.com/pkg/errors"
)

// tolerance is the largest allowed difference, relative to the largest value of the embeddings.
const tolerance = 1e-3

const explanation = `Random weights, running statistics and images of %[1]d×%[1]d pixels, two in a batch. The difference is the largest of an
element from what ONNX Runtime computes of the same file, relative to the largest element; both compute in float32. The tolerance
is %[2]v. The errors are the differences of both from what PyTorch computes in float64. Cut is the tensor that the import names for leaving out the classifier.

`

func main() {
	python := flag.String("python", "python3", "Python `interpreter` that exports the networks")
	script := flag.String("script", "benchmarks/peers/imports.py", "`file` of the peer")
	out := flag.String("out", "benchmarks/results", "`folder` to write imports.md to")
	only := flag.String("only", "", "compare only the network of this `name`, and write no record")
	size := flag.Int("size", 224, "height and width of the images in `pixels`")
	from := flag.String("from", "", "`folder` with files of an earlier run, NETWORK-EXPORTER-ENDING each; no record is written")
	flag.Parse()
	if err := run(*python, *script, *out, *only, *from, *size); err != nil {
		fmt.Fprintln(os.Stderr, "imports:", err)
		os.Exit(1)
	}
}

func run(python, script, out, only, from string, size int) error {
	start := time.Now()
	versions, err := exec.Command(python, "-B", script, "versions").Output()
	if err != nil {
		return errors.Wrapf(err, "%s cannot import torch, torchvision, onnxruntime and safetensors: give the path of an interpreter that can with -python", python)
	}
	var table strings.Builder
	write := func(format string, arguments ...any) {
		fmt.Printf(format, arguments...)
		fmt.Fprintf(&table, format, arguments...)
	}
	write("| network | exporter | classifier | features | weights | cut | difference | error | error of ONNX Runtime | within tolerance |\n|---|---|---|---|---|---|---|---|---|---|\n")
	failures := 0
	for _, name := range backbone.Published {
		if only != "" && name != only {
			continue
		}
		for _, exporter := range []string{"torchscript", "dynamo"} {
			for _, ending := range []string{"embeddings", "classifier"} {
				folder := filepath.Join(from, strings.Join([]string{name, exporter, ending}, "-"))
				if from == "" {
					if folder, err = export(python, script, name, exporter, ending, size); err != nil {
						return err
					}
				}
				c, err := compare(folder)
				if from == "" {
					os.RemoveAll(folder)
				}
				if err != nil {
					return errors.Wrapf(err, "%s, %s, %s", name, exporter, ending)
				}
				within := "yes"
				if !(c.deviation <= tolerance) {
					within = "no"
					failures++
				}
				kept := map[string]string{"embeddings": "no", "classifier": "yes"}[ending]
				write("| %s | %s | %s | %d | %d | %s | %.1e | %.1e | %.1e | %s |\n", name, exporter, kept, c.features, c.weights, c.cut, c.deviation, c.ours, c.theirs, within)
			}
		}
	}
	if only == "" && from == "" {
		err := record.Record{
			Title:   "Networks imported from ONNX files, compared with ONNX Runtime",
			Command: "go run ./benchmarks/peers/imports -python PYTHON",
			Tools:   strings.Split(strings.TrimSpace(string(versions)), "\n"),
			Took:    time.Since(start),
			Result:  fmt.Sprintf(explanation, size, tolerance) + table.String(),
		}.WriteFile(filepath.Join(out, "imports.md"))
		if err != nil {
			return err
		}
	}
	if failures > 0 {
		return errors.Errorf("%d rows are out of tolerance", failures)
	}
	return nil
}

// export runs the peer and returns the folder of its files.
func export(python, script, name, exporter, ending string, size int) (string, error) {
	folder, err := os.MkdirTemp("", "imports-")
	if err != nil {
		return "", err
	}
	command := exec.Command(python, "-B", script, name, exporter, ending, strconv.Itoa(size), folder)
	if text, err := command.CombinedOutput(); err != nil {
		os.RemoveAll(folder)
		return "", errors.Wrapf(err, "export %s by %s\n%s", name, exporter, text)
	}
	return folder, nil
}

// comparison is a row of the table.
type comparison struct {
	features, weights int
	cut               string
	deviation         float64 // from ONNX Runtime
	ours, theirs      float64 // from float64
}

func compare(folder string) (comparison, error) {
	imported, err := onnx.Import(filepath.Join(folder, "network.onnx"), onnx.ImportOptions{
		Preprocessing: imaging.Preprocessing{Mean: []float64{0.5, 0.5, 0.5}, StdDev: []float64{0.25, 0.25, 0.25}},
	})
	if err != nil {
		return comparison{}, err
	}
	answers, err := safetensors.ReadFile(filepath.Join(folder, "answers.safetensors"))
	if err != nil {
		return comparison{}, err
	}
	values, found := answers.Tensor("images")
	want, foundToo := answers.Tensor("embeddings")
	exact, foundAll := answers.Tensor("exact")
	if !found || !foundToo || !foundAll {
		return comparison{}, errors.New("answers.safetensors has no images, embeddings or exact embeddings")
	}
	model := imported.Model
	var pixels [][]uint8
	for image := range slices.Chunk(values.Data.([]int64), model.Preprocessing.Size.Len()) {
		bytes := make([]uint8, len(image))
		for j, v := range image {
			bytes[j] = uint8(v)
		}
		pixels = append(pixels, bytes)
	}
	embeddings, err := model.EmbedPixels(pixels)
	if err != nil {
		return comparison{}, err
	}
	var ours, theirs []float64
	for _, v := range slices.Concat(embeddings...) {
		ours = append(ours, float64(v))
	}
	for _, v := range want.Data.([]float32) {
		theirs = append(theirs, float64(v))
	}
	best := exact.Data.([]float64)
	if len(ours) != len(theirs) || len(ours) != len(best) {
		return comparison{}, errors.Errorf("found %d numbers in the embeddings, expected %d as in ONNX Runtime and %d as in PyTorch", len(ours), len(theirs), len(best))
	}
	cut := "none"
	if imported.Classifier != "" {
		cut = "`" + imported.Classifier + "`"
	}
	return comparison{len(embeddings[0]), model.Weights.Count(), cut, difference(ours, theirs), difference(ours, best), difference(theirs, best)}, nil
}

// difference is the largest difference relative to the largest expected value.
func difference(found, expected []float64) float64 {
	var most, largest float64
	for i, v := range found {
		most = max(most, math.Abs(v-expected[i]))
		largest = max(largest, math.Abs(expected[i]))
	}
	return most / largest
}
