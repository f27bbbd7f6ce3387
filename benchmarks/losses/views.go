package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// viewsCase is a loss of two views of each image, in the form that the reference reads.
type viewsCase struct {
	Loss    string             `json:"loss"`
	Options objectives.Options `json:"options"`
	Views   [2][][]float64     `json:"views"` // rows are images

	batch      string
	degenerate bool // the reference may have other gradients
	loss       objectives.Loss
}

const viewsText = `Values and gradients in float64 by the embeddings of both views, which are normally distributed. The reference of simclr is
SelfSupervisedLoss(NTXentLoss) and that of vicreg VICRegLoss of pytorch-metric-learning, that of barlow-twins BarlowTwinsLoss of
lightly, and that of koleo its equation in PyTorch. Differences of gradients are relative to the largest one, if that is above 1.
Ordinary batches must agree to %v. In the others the results of likeness are finite; where equal vectors are at a distance of
zero the gradient of koleo is zero here and not finite in PyTorch. The gradient by a zero vector, which PyTorch divides by a small
number, is zero here in simclr and koleo.

| loss | batch | value | difference of values | of gradients |
|---|---|---|---|---|
%s`

// viewsCases are the losses, each with ordinary and with degenerate batches.
func viewsCases() ([]viewsCase, error) {
	var losses []viewsCase
	for _, given := range []struct {
		name    string
		options objectives.Options
	}{
		{"simclr", objectives.Options{}}, {"simclr", objectives.Options{Temperature: 0.5}}, {"vicreg", objectives.Options{}},
		{"vicreg", objectives.Options{Invariance: 1, Variance: 2, Covariance: 3}}, {"barlow-twins", objectives.Options{}}, {"barlow-twins", objectives.Options{Redundancy: 1}},
	} {
		options, err := objectives.Defaults(given.name, "cosine", given.options)
		if err != nil {
			return nil, err
		}
		loss, _, err := objectives.Named(given.name, "cosine", options)
		if err != nil {
			return nil, err
		}
		losses = append(losses, viewsCase{Loss: given.name, Options: options, loss: loss})
	}
	// A sum gives koleo the kind of a loss of views.
	nothing := objectives.Weighted{Weight: 1, Loss: objectives.VICReg{}}
	losses = append(losses, viewsCase{Loss: "koleo", loss: objectives.Sum{nothing, {Weight: 1, Loss: objectives.KoLeo{}}}})
	var cases []viewsCase
	for _, c := range losses {
		add := func(name string, rows, columns int, change func(views [2][][]float64)) {
			own := c
			own.batch = name
			for view := range own.Views {
				r := random.New(1, "views", name, view)
				for range rows {
					var row []float64
					for range columns {
						row = append(row, r.NormFloat64())
					}
					own.Views[view] = append(own.Views[view], row)
				}
			}
			if change != nil {
				change(own.Views)
				own.degenerate = true
			}
			cases = append(cases, own)
		}
		add("24 images, 6 features", 24, 6, nil)
		add("8 images, 40 features", 8, 40, nil)
		add("2 images, 3 features", 2, 3, nil)
		add("equal views", 6, 4, func(views [2][][]float64) { copy(views[1], views[0]) })
		add("two equal images", 6, 4, func(views [2][][]float64) { views[0][1], views[1][1] = views[0][0], views[0][0] })
		add("a zero vector", 6, 4, func(views [2][][]float64) { clear(views[0][2]) })
		add("a feature without variance", 6, 4, func(views [2][][]float64) {
			for _, view := range views {
				for _, row := range view {
					row[3] = 2
				}
			}
		})
	}
	return cases, nil
}

// compute is the value and the gradient by both views.
func (c viewsCase) compute() (value float64, gradient []float64, err error) {
	rows, columns := len(c.Views[0]), len(c.Views[0][0])
	weights, names := graph.NewWeights(graph.Float64, 1), [2]string{"first", "second"}
	for i, name := range names {
		var flat []float64
		for _, row := range c.Views[i] {
			flat = append(flat, row...)
		}
		if err := weights.Add(name, graph.Bias, []int{rows, columns}, flat); err != nil {
			return 0, nil, err
		}
	}
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{Head: heads.Cosine{}}
		for _, name := range names {
			batch.Embeddings = append(batch.Embeddings, b.Weight(name, graph.Bias, graph.Initializer{}, rows, columns))
		}
		return graph.Outputs{graph.Cost: c.loss.Cost(b, batch)}
	})
	if err != nil {
		return 0, nil, err
	}
	defer program.Close()
	if err := program.Run(); err != nil {
		return 0, nil, err
	}
	if value, err = program.Scalar(graph.Cost); err != nil {
		return 0, nil, err
	}
	for _, name := range names {
		for _, parameter := range program.Parameters() {
			if parameter.Name() != name {
				continue
			}
			elements, err := parameter.Elements()
			if err != nil {
				return 0, nil, err
			}
			gradient = append(gradient, elements...)
		}
	}
	return value, gradient, nil
}

// runViews compares the losses without labels with their references and writes the record.
func runViews(python, script, out string) error {
	start := time.Now()
	cases, err := viewsCases()
	if err != nil {
		return err
	}
	text, err := json.Marshal(cases)
	if err != nil {
		return err
	}
	command := exec.Command(python, "-B", script)
	command.Stdin, command.Stderr = bytes.NewReader(text), os.Stderr
	output, err := command.Output()
	if err != nil {
		return errors.Wrapf(err, "%s %s: expected a Python with torch, pytorch-metric-learning 2.9.0 and lightly 1.6.0, choose it with -python", python, script)
	}
	var reference struct {
		Versions []string
		Answers  []reply
	}
	if err := json.Unmarshal(output, &reference); err != nil {
		return errors.Wrap(err, script)
	}
	if len(reference.Answers) != len(cases) {
		return errors.Errorf("%s: found %d answers, expected %d", script, len(reference.Answers), len(cases))
	}
	var table strings.Builder
	var wrong []string
	for i, c := range cases {
		value, gradient, err := c.compute()
		if err != nil {
			return errors.Wrapf(err, "%s, %s", c.Loss, c.batch)
		}
		r := reference.Answers[i]
		off, ofGradients := math.NaN(), largestDifference(gradient, r.Gradient)
		if r.Value != nil {
			off = math.Abs(value-*r.Value) / max(1, math.Abs(value))
		}
		row := fmt.Sprintf("| %s | %s | %.6f | %.0e | %.0e |\n", c.name(), c.batch, value, off, ofGradients)
		if r.Raises != "" {
			row = fmt.Sprintf("| %s | %s | %.6f | %s | |\n", c.name(), c.batch, value, r.Raises)
		}
		fmt.Print(row)
		table.WriteString(row)
		finite := true
		for _, g := range append([]float64{value}, gradient...) {
			finite = finite && !math.IsNaN(g) && !math.IsInf(g, 0)
		}
		if !finite || !c.degenerate && !(off <= agreed && ofGradients <= agreed) {
			wrong = append(wrong, c.name()+", "+c.batch)
		}
	}
	if len(wrong) > 0 {
		return errors.Errorf("expected finite results and differences of at most %v, found others for: %s", agreed, strings.Join(wrong, "; "))
	}
	return record.Record{
		Title:   "Losses without labels compared with pytorch-metric-learning and lightly",
		Command: "go run ./benchmarks/losses -reference views",
		Tools:   reference.Versions, Took: time.Since(start), Result: fmt.Sprintf(viewsText, agreed, table.String()),
	}.WriteFile(out)
}

// name is the loss with the options that are not the defaults.
func (c viewsCase) name() string {
	switch o := c.Options; {
	case c.Loss == "simclr":
		return fmt.Sprintf("simclr, temperature %v", o.Temperature)
	case c.Loss == "vicreg":
		return fmt.Sprintf("vicreg, weights %v, %v, %v", o.Invariance, o.Variance, o.Covariance)
	case c.Loss == "barlow-twins":
		return fmt.Sprintf("barlow-twins, redundancy %v", o.Redundancy)
	}
	return c.Loss
}
