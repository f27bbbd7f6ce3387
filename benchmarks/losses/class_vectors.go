package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// maxError is the largest difference between the library and the reference, relative to the
// largest element of the reference's cost or gradient, or absolute where that is below 1.
const maxError = 1e-10

const vectorsExplanation = `Each loss with the parameters of its paper, in float64, against the reference: the class of
pytorch-metric-learning (for proxy-nca the equation of the paper, because ProxyNCALoss has the target in
the denominator). The columns are the largest differences of the cost and of the gradients of embeddings
and of class vectors, relative to the largest element, or absolute where that is below 1. Ordinary
batches must agree to %.0e.

The reference divides a zero vector by 1e-12 instead of its length, which makes its gradient very large. In the
library it is zero. The last column has the largest gradients of the two.

`

// vectorCase is one batch with class vectors, in the form that the reference reads.
type vectorCase struct {
	Loss        string    `json:"loss"`
	Head        string    `json:"head"`
	Margin      float64   `json:"margin"`
	Scale       float64   `json:"scale"`
	Temperature float64   `json:"temperature"`
	Centers     int       `json:"centers"` // vectors of each class, at least 1
	Classes     int       `json:"classes"`
	Features    int       `json:"features"`
	Embeddings  []float64 `json:"embeddings"`
	Vectors     []float64 `json:"vectors"`
	Labels      []int     `json:"labels"`

	batch      string // what is special about it
	degenerate bool   // zero vectors, of which only the cost must agree
}

// vectorAnswer is the result for a case. A nil number is not finite.
type vectorAnswer struct {
	Error      string     `json:"error"`
	Cost       []*float64 `json:"cost"`
	Embeddings []*float64 `json:"embeddings"`
	Vectors    []*float64 `json:"vectors"`
}

// vectorCases returns every loss with class vectors and its heads, each with ordinary and
// with degenerate batches.
func vectorCases(seed uint64) ([]vectorCase, error) {
	var cases []vectorCase
	for _, name := range objectives.Names {
		for _, head := range []string{"cosine", "l2", "squared-l2", "l1"} {
			options, err := objectives.Defaults(name, head, objectives.Options{Features: 1})
			if err != nil {
				return nil, err
			}
			loss, _, err := objectives.Named(name, head, options)
			if _, ok := loss.(objectives.ClassVectorLoss); !ok || err != nil {
				continue // no class vectors, or another head
			}
			c := vectorCase{
				Loss: name, Head: head, Margin: options.Margin, Scale: options.Scale, Temperature: options.Temperature, Centers: max(options.Centers, 1),
			}
			cases = append(cases, c.batches(seed)...)
		}
	}
	return cases, nil
}

// batches are the batches of a loss.
func (c vectorCase) batches(seed uint64) []vectorCase {
	const rows, classes, features = 24, 5, 6
	all := []vectorCase{
		c.random(seed, "24 images of 5 classes", rows, classes, features),
		c.random(seed+1, "128 images of 1,000 classes, most of which are absent", 128, 1000, 32),
		c.random(seed+2, "one image", 1, classes, features),
	}
	change := func(name string, edit func(c *vectorCase)) {
		changed := c.random(seed, name, rows, classes, features)
		edit(&changed)
		all = append(all, changed)
	}
	change("one class in the batch", func(c *vectorCase) { clear(c.Labels) })
	change("all images equal", func(c *vectorCase) {
		for i := range c.Embeddings {
			c.Embeddings[i] = c.Embeddings[i%features]
		}
	})
	if c.Head != "cosine" {
		return all
	}
	// The image 0 is of class 0; all vectors of that class move.
	moved := func(name string, factor float64) {
		change(name, func(c *vectorCase) {
			for i := range c.Centers * features {
				c.Vectors[i] = factor * c.Embeddings[i%features]
			}
		})
	}
	// On an axis, where the cosine is exactly 1 or −1.
	exactly := func(name string, sign float64) {
		change(name, func(c *vectorCase) {
			clear(c.Embeddings[:features])
			clear(c.Vectors[:c.Centers*features])
			c.Embeddings[0] = 3
			for k := range c.Centers {
				c.Vectors[k*features] = 2 * sign
			}
		})
	}
	moved("an image at 0° from its vector", 1)
	moved("an image at 180° from its vector", -1)
	exactly("an image on an axis, at 0° from its vector", 1)
	exactly("an image on an axis, at 180° from its vector", -1)
	change("an image near 180° from its vector", func(c *vectorCase) {
		for i := range c.Centers * features {
			c.Vectors[i] = -c.Embeddings[i%features] + 0.1*c.Vectors[i]
		}
	})
	change("a zero embedding", func(c *vectorCase) {
		clear(c.Embeddings[:features])
		c.degenerate = true
	})
	change("zero vectors of a class", func(c *vectorCase) {
		clear(c.Vectors[:c.Centers*features])
		c.degenerate = true
	})
	return all
}

// random is a batch of normally distributed embeddings and vectors.
func (c vectorCase) random(seed uint64, name string, rows, classes, features int) vectorCase {
	r := random.New(seed, "class vectors", c.Loss, c.Head)
	c.batch, c.Classes, c.Features = name, classes, features
	draw := func(n int) (values []float64) {
		for range n {
			values = append(values, r.NormFloat64())
		}
		return values
	}
	c.Embeddings, c.Vectors = draw(rows*features), draw(classes*c.Centers*features)
	for i := range rows {
		c.Labels = append(c.Labels, i*7%classes)
	}
	return c
}

// own is the library's result.
func (c vectorCase) own() (vectorAnswer, error) {
	options := objectives.Options{Margin: c.Margin, Scale: c.Scale, Temperature: c.Temperature, Features: c.Features}
	if c.Centers > 1 {
		options.Centers = c.Centers
	}
	loss, head, err := objectives.Named(c.Loss, c.Head, options)
	if err != nil {
		return vectorAnswer{}, err
	}
	weights, rows := graph.NewWeights(graph.Float64, 1), len(c.Labels)
	for name, values := range map[string][]float64{"embeddings": c.Embeddings, objectives.WeightPrefix + "vectors": c.Vectors} {
		if err := weights.Add(name, graph.Kernel, []int{len(values) / c.Features, c.Features}, values); err != nil {
			return vectorAnswer{}, err
		}
	}
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		images := b.Weight("embeddings", graph.Kernel, graph.Initializer{}, rows, c.Features)
		batch := objectives.Batch{Embeddings: []*graph.Node{images}, Labels: b.Input("labels", rows), Classes: c.Classes, Head: head}
		return graph.Outputs{graph.Cost: loss.Cost(b, batch)}
	})
	if err != nil {
		return vectorAnswer{}, err
	}
	defer program.Close()
	labels := make([]float64, rows)
	for i, label := range c.Labels {
		labels[i] = float64(label)
	}
	if err := program.Set("labels", labels); err != nil {
		return vectorAnswer{}, err
	}
	if err := program.Run(); err != nil {
		return vectorAnswer{}, err
	}
	cost, err := program.Scalar(graph.Cost)
	if err != nil {
		return vectorAnswer{}, err
	}
	answer := vectorAnswer{Cost: finite([]float64{cost})}
	for _, parameter := range program.Parameters() {
		gradient, err := parameter.Elements()
		if err != nil {
			return vectorAnswer{}, err
		}
		if parameter.Name() == "embeddings" {
			answer.Embeddings = finite(gradient)
		} else {
			answer.Vectors = finite(gradient)
		}
	}
	return answer, nil
}

// finite has nil where a number is not finite.
func finite(values []float64) []*float64 {
	pointers := make([]*float64, len(values))
	for i, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			pointers[i] = &v
		}
	}
	return pointers
}

// difference is the largest difference relative to the largest element of the reference, or
// absolute where that is below 1. Elements that are not finite in the reference are counted
// instead. It is NaN if an element of the library is not finite.
func difference(own, reference []*float64) (worst float64, notFinite int) {
	if len(own) != len(reference) {
		return math.NaN(), 0
	}
	scale := 1.0
	for _, v := range reference {
		if v != nil {
			scale = max(scale, math.Abs(*v))
		}
	}
	for i, v := range own {
		switch {
		case v == nil:
			worst = math.NaN()
		case reference[i] == nil:
			notFinite++
		default:
			worst = max(worst, math.Abs(*v-*reference[i])/scale)
		}
	}
	return worst, notFinite
}

// largest is the largest absolute value of those that are finite.
func largest(values []*float64) (most float64) {
	for _, v := range values {
		if v != nil {
			most = max(most, math.Abs(*v))
		}
	}
	return most
}

// compareVectors returns the row of a case, and whether it passes.
func (c vectorCase) compareVectors(own, reference vectorAnswer) (row string, passes bool) {
	var cells []string
	var verdict []string
	passes, worst := true, 0.0
	for _, part := range []struct {
		name           string
		own, reference []*float64
	}{{"cost", own.Cost, reference.Cost}, {"embeddings", own.Embeddings, reference.Embeddings}, {"vectors", own.Vectors, reference.Vectors}} {
		if reference.Error != "" {
			part.reference = make([]*float64, len(part.own))
		}
		error, notFinite := difference(part.own, part.reference)
		cells = append(cells, fmt.Sprintf("%.1e", error))
		worst = max(worst, error)
		if notFinite > 0 {
			verdict = append(verdict, fmt.Sprintf("reference: %d of %d elements of %s not finite", notFinite, len(part.own), part.name))
		}
	}
	if reference.Error != "" {
		verdict = []string{"reference: " + reference.Error}
	}
	switch {
	case math.IsNaN(worst):
		passes, verdict = false, append(verdict, "**not finite**")
	case worst <= maxError && len(verdict) == 0:
		verdict = []string{"equal"}
	case worst > maxError && c.degenerate:
		verdict = append(verdict, fmt.Sprintf("largest gradient: %.0e, reference %.0e",
			max(largest(own.Embeddings), largest(own.Vectors)), max(largest(reference.Embeddings), largest(reference.Vectors))))
	case worst > maxError || len(verdict) > 0 && !c.degenerate:
		passes, verdict = false, append(verdict, "**differs**")
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", c.Loss, c.Head, c.batch, strings.Join(cells, " | "), strings.Join(verdict, "; ")), passes
}

// runClassVectors compares all cases and writes the record.
func runClassVectors(python, script, out, only string, seed uint64) error {
	start := time.Now()
	cases, err := vectorCases(seed)
	if err != nil {
		return err
	}
	cases = slices.DeleteFunc(cases, func(c vectorCase) bool { return !strings.Contains(c.Loss+" with "+c.Head, only) })
	text, err := json.Marshal(cases)
	if err != nil {
		return err
	}
	command := exec.Command(python, "-B", script)
	command.Stdin, command.Stderr = bytes.NewReader(text), os.Stderr
	answered, err := command.Output()
	if err != nil {
		return errors.Wrapf(err, "%s %s: expected a Python with torch and pytorch-metric-learning 2.9.0, choose it with -python", python, script)
	}
	var reference struct {
		Versions []string
		Answers  []vectorAnswer
	}
	if err := json.Unmarshal(answered, &reference); err != nil {
		return errors.Wrap(err, "answers of the reference")
	}
	if len(reference.Answers) != len(cases) {
		return errors.Errorf("found %d answers of the reference, expected %d", len(reference.Answers), len(cases))
	}
	var table strings.Builder
	fmt.Fprintf(&table, vectorsExplanation, maxError)
	table.WriteString("| loss | head | batch | cost | gradient of embeddings | gradient of vectors | result |\n|---|---|---|---|---|---|---|\n")
	failed := 0
	for i, c := range cases {
		own, err := c.own()
		if err != nil {
			return errors.Wrapf(err, "%s with %s, %s", c.Loss, c.Head, c.batch)
		}
		row, passes := c.compareVectors(own, reference.Answers[i])
		if !passes {
			failed++
		}
		fmt.Print(row)
		table.WriteString(row)
	}
	if only == "" {
		err = record.Record{
			Title: "Losses with class vectors and their reference", Command: "go run ./benchmarks/losses -reference class-vectors",
			Tools: reference.Versions, Took: time.Since(start), Result: table.String(),
		}.WriteFile(out)
	}
	if err == nil && failed > 0 {
		err = errors.Errorf("%d of %d cases differ from the reference", failed, len(cases))
	}
	return err
}
