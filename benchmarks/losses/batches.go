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
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

const (
	// agreed is the largest difference of values and gradients that counts as equal, relative
	// to the largest gradient where that is above 1.
	agreed = 1e-10
	// sampledRuns is the number of runs whose mean is compared where examples are sampled.
	sampledRuns = 4000
	// sampledErrors is the largest difference of two means, in standard errors.
	sampledErrors = 4
)

// notFinite is the value of the library in the table if it or a gradient is not finite.
const notFinite = "not finite"

// A setting is a loss with its options and head, zeros for the defaults.
type setting struct {
	loss, head string
	options    objectives.Options
}

func (s setting) String() string {
	name := s.loss + " with " + s.head
	for _, option := range []struct {
		name  string
		given bool
	}{
		{"balanced", s.options.Balanced},
		{"mining " + string(s.options.Mining), s.options.Mining != ""},
		{"β for each class", s.options.PerClass},
		{fmt.Sprintf("base %v", s.options.Base), s.options.Base != 0},
		{fmt.Sprintf("temperature %v", s.options.Temperature), s.options.Temperature != 0},
	} {
		if option.given {
			name += ", " + option.name
		}
	}
	return name
}

const easy, all = objectives.EasyPositive, objectives.AllPairs

// settings are the losses of batches that pytorch-metric-learning has.
var settings = []setting{
	{"angular", "cosine", objectives.Options{}},
	{"batch-all", "l2", objectives.Options{}},
	{"batch-all", "squared-l2", objectives.Options{}},
	{"batch-hard", "l2", objectives.Options{}},
	{"batch-hard", "l2", objectives.Options{Mining: easy}},
	{"circle", "cosine", objectives.Options{}},
	{"circle", "cosine", objectives.Options{Mining: easy}},
	{"fastap", "cosine", objectives.Options{}},
	{"lifted-structure", "l2", objectives.Options{}},
	{"lifted-structure", "cosine", objectives.Options{}},
	{"lifted-structure", "l2", objectives.Options{Mining: easy}},
	{"margin", "cosine", objectives.Options{Mining: all}},
	{"margin", "l2", objectives.Options{Mining: all}},
	{"margin", "cosine", objectives.Options{Mining: all, PerClass: true}},
	{"multi-similarity", "cosine", objectives.Options{}},
	{"multi-similarity", "cosine", objectives.Options{Mining: all}},
	{"multi-similarity", "cosine", objectives.Options{Base: 1}},
	{"n-pair", "cosine", objectives.Options{}},
	{"n-pair", "cosine", objectives.Options{Mining: easy}},
	{"semi-hard", "l2", objectives.Options{Mining: easy}},
	{"smooth-ap", "cosine", objectives.Options{}},
	{"smooth-ap", "cosine", objectives.Options{Temperature: 0.1}},
	{"supervised-contrastive", "cosine", objectives.Options{}},
	{"tuplet-margin", "cosine", objectives.Options{}},
	{"tuplet-margin", "cosine", objectives.Options{Mining: easy}},
}

// A batch is embeddings with labels.
type batch struct {
	name       string
	embeddings [][]float64
	labels     []int
}

// regular is the batch for which losses must agree. SmoothAPLoss of the reference groups images
// correctly only if there are as many classes as images of each.
const regular = "5 classes of 5 images"

// batches are a regular one, and those in which something is missing or equal.
func batches() []batch {
	const features = 6
	draw := func(name string, labels ...int) batch {
		r := random.New(1, "embeddings", name)
		b := batch{name: name, labels: labels}
		for range labels {
			row := make([]float64, features)
			for j := range row {
				row[j] = r.NormFloat64()
			}
			b.embeddings = append(b.embeddings, row)
		}
		return b
	}
	var classes []int
	for i := range 25 { // more than 25 rows have rounded distances in torch.cdist
		classes = append(classes, i/5)
	}
	unequal := draw("classes of 1, 2 and 3 images", 0, 1, 1, 2, 2, 2)
	one := draw("one class", 0, 0, 0, 0)
	different := draw("all of different classes", 0, 1, 2, 3)
	duplicates := draw("duplicates", 0, 0, 1, 1, 2, 2)
	duplicates.embeddings[1] = duplicates.embeddings[0]
	duplicates.embeddings[3] = duplicates.embeddings[2]
	duplicates.embeddings[4] = duplicates.embeddings[2] // of another class
	equal := draw("all images equal", 0, 0, 1, 1)
	for i := range equal.embeddings {
		equal.embeddings[i] = equal.embeddings[0]
	}
	zero := draw("a zero vector", 0, 0, 1, 1)
	zero.embeddings[1] = make([]float64, features)
	opposite := draw("opposite images of one class", 0, 0, 1, 1)
	for j, v := range opposite.embeddings[0] {
		opposite.embeddings[1][j] = -v
	}
	return []batch{draw(regular, classes...), unequal, one, different, duplicates, equal, zero, opposite}
}

// question is a case for the reference.
type question struct {
	Loss       string             `json:"loss"`
	Head       string             `json:"head"`
	Options    objectives.Options `json:"options"`
	Embeddings [][]float64        `json:"embeddings"`
	Labels     []int              `json:"labels"`
	Classes    int                `json:"classes"`
	Runs       int                `json:"runs"`
	Memory     int                `json:"memory"` // size of a cross-batch memory; 0 for none
	Earlier    []step             `json:"earlier"`
}

// A step is a batch before that of a question with a memory.
type step struct {
	Embeddings [][]float64 `json:"embeddings"`
	Labels     []int       `json:"labels"`
}

// reply is the reference's result. A number that is not finite is nil.
type reply struct {
	Value       *float64   `json:"value"`
	ErrorOfMean *float64   `json:"error_of_mean"`
	Gradient    []*float64 `json:"gradient"`
	Beta        []*float64 `json:"beta"`
	Raises      string     `json:"raises"`
}

// runBatches compares the losses of batches with pytorch-metric-learning and writes the record.
func runBatches(python, script, out string) error {
	start := time.Now()
	var questions []question
	var compared []func(reply) (row string, ok bool)
	for _, b := range batches() {
		for _, s := range settings {
			q, err := ask(s, b, 1)
			if err != nil {
				return err
			}
			questions = append(questions, q)
			compared = append(compared, func(r reply) (string, bool) { return q.compare(s, b, r) })
		}
	}
	// With a margin of 1 all terms are above zero, so that the mean over many samples is that of
	// the distribution.
	sampled := setting{"margin", "cosine", objectives.Options{Margin: 1}}
	q, err := ask(sampled, batches()[0], sampledRuns)
	if err != nil {
		return err
	}
	questions = append(questions, q)
	sample := len(questions) - 1
	memories, names, err := askMemory()
	if err != nil {
		return err
	}
	questions = append(questions, memories...)
	versions, replies, err := reference(python, script, questions)
	if err != nil {
		return err
	}
	var same, others strings.Builder
	var wrong []string // settings that do not do what is expected of all
	equal := 0         // comparisons of other batches in which both are
	for i, compare := range compared {
		row, ok := compare(replies[i])
		if i < len(settings) {
			same.WriteString(row)
			if !ok {
				wrong = append(wrong, settings[i].String())
			}
		} else {
			if strings.Contains(row, "| "+notFinite+" |") {
				wrong = append(wrong, strings.TrimSpace(row))
			}
			if ok {
				equal++
			} else {
				others.WriteString(row)
			}
		}
		fmt.Print(row)
	}
	distribution, ok, err := q.compareMeans(replies[sample])
	if err != nil {
		return err
	}
	fmt.Println(distribution)
	if !ok {
		wrong = append(wrong, "margin with sampling")
	}
	memory, different := compareMemory(memories, names, replies[sample+1:])
	fmt.Print(memory)
	wrong = append(wrong, different...)
	if len(wrong) > 0 {
		return errors.Errorf("expected finite results and differences of at most %v from pytorch-metric-learning, found others for: %s", agreed, strings.Join(wrong, "; "))
	}
	return record.Record{
		Title:   "Losses of batches compared with pytorch-metric-learning",
		Command: strings.Join(append([]string{"go run ./benchmarks/losses"}, os.Args[1:]...), " "),
		Tools:   versions, Took: time.Since(start),
		Result: fmt.Sprintf(agreementText, regular, agreed, same.String(), distribution, memoryBatch, memorySteps, memorySize, memory, len(batches())-1, len(settings), len(compared)-len(settings), equal, others.String()),
	}.WriteFile(out)
}

const agreementText = `Values and gradients in float64, of random embeddings (6 features) in %s. All are equal up to
%v, where differences of gradients are relative to the largest one, if that is above 1. The options are the defaults unless
the table names them.

| loss | value | difference of values | of gradients by embeddings | of gradients by β |
|---|---|---|---|---|
%s
%s

The comparison takes away three peculiarities of the reference. PyTorch's Softplus is x above 20, whose error is 2e-9 in
circle. The class for angular does not normalize the negatives, so that it is given normalized embeddings. The class for
smooth-ap groups the images correctly only if there are as many classes as images of each.

## Cross-batch memory

objectives.CrossBatchMemory compared with CrossBatchMemory of the reference: batches of %d images (5 classes of 2), %d one after the
other, and a memory of %d embeddings, which a batch does not divide. The value is that of the last batch, the differences are the
largest of all batches. The reference's ContrastiveLoss has no squares: a subclass has the equation of Hadsell et al.

| loss | value | difference of values | of gradients |
|---|---|---|---|
%s
## Batches in which something is missing or equal

%d batches with %d losses: values and gradients of likeness are finite in all %d comparisons. In %d of them the reference is equal. The
others are in the table, for these reasons:

- lifted-structure: an anchor without a positive or a negative does not count here. In the reference it has the loss of the
  pairs that it has, or counts as zero in the mean.
- smooth-ap: the reference raises an error if classes have different sizes, and takes wrong images for positives where there are
  not as many classes as images of each. Here classes may have any sizes, and a batch of one class has nothing to compare.
- The zero vector has the gradient zero here, the distance 1 from all other vectors by cosine, and 0 from itself in smooth-ap. The
  reference divides it by a small number, which gives large gradients; where it uses the Euclidean distance of unit vectors
  (fastap, margin), that of the zero vector is 1, which is a cosine distance of 1/2.
- tuplet-margin: the derivative of the arccosine is infinite for duplicates, where the reference's gradient is not finite, and its
  arccosine is inexact for opposite images.

| batch | loss | likeness | reference | difference of gradients |
|---|---|---|---|---|
%s`

// ask completes the options of a setting.
func ask(s setting, b batch, runs int) (question, error) {
	options, err := objectives.Defaults(s.loss, s.head, s.options)
	classes := 0
	for _, label := range b.labels {
		classes = max(classes, label+1)
	}
	return question{
		Loss: s.loss, Head: s.head, Options: options, Embeddings: b.embeddings, Labels: b.labels, Classes: classes, Runs: runs,
	}, errors.Wrap(err, s.String())
}

// reference runs the peer on all questions.
func reference(python, script string, questions []question) (versions []string, replies []reply, err error) {
	text, err := json.Marshal(questions)
	if err != nil {
		return nil, nil, err
	}
	command := exec.Command(python, script)
	command.Stdin, command.Stderr = bytes.NewReader(text), os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, nil, errors.Wrapf(err, "%s %s: expected a Python with torch and pytorch-metric-learning 2.9.0 (pip install pytorch-metric-learning==2.9.0)", python, script)
	}
	var found struct {
		Versions []string `json:"versions"`
		Answers  []reply  `json:"answers"`
	}
	if err := json.Unmarshal(output, &found); err != nil {
		return nil, nil, errors.Wrap(err, script)
	}
	if len(found.Answers) != len(questions) {
		return nil, nil, errors.Errorf("%s: found %d answers, expected %d", script, len(found.Answers), len(questions))
	}
	return found.Versions, found.Answers, nil
}

// own is the result of the library.
type own struct {
	values         []float64 // by run
	gradient, beta []float64 // of the last run
}

// compute runs the loss in float64.
func (q question) compute() (own, error) {
	loss, head, err := objectives.Named(q.Loss, q.Head, q.Options)
	if err != nil {
		return own{}, err
	}
	rows, features := len(q.Embeddings), len(q.Embeddings[0])
	flat, labels := step{q.Embeddings, q.Labels}.values()
	var memory *objectives.Memory
	if q.Memory > 0 {
		with := objectives.CrossBatchMemory{Loss: loss, Size: q.Memory}
		if memory, err = with.NewMemory(rows, features); err != nil {
			return own{}, err
		}
		for _, s := range q.Earlier {
			if err := memory.Add(s.values()); err != nil {
				return own{}, err
			}
		}
		loss = with
	}
	weights := graph.NewWeights(graph.Float64, 1)
	if err := weights.Add("embeddings", graph.Bias, []int{rows, features}, flat); err != nil {
		return own{}, err
	}
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		x := b.Weight("embeddings", graph.Bias, graph.Initializer{}, rows, features)
		return graph.Outputs{graph.Cost: loss.Cost(b, objectives.Batch{
			Embeddings: []*graph.Node{x}, Labels: b.Input("labels", rows), Classes: q.Classes, Head: head,
		})}
	})
	if err != nil {
		return own{}, err
	}
	defer program.Close()
	if err := program.Set("labels", labels); err != nil {
		return own{}, err
	}
	if memory != nil {
		if err := memory.Set(program); err != nil {
			return own{}, err
		}
	}
	var result own
	for range q.Runs {
		if err := program.Run(); err != nil {
			return own{}, err
		}
		value, err := program.Scalar(graph.Cost)
		if err != nil {
			return own{}, err
		}
		result.values = append(result.values, value)
	}
	for _, parameter := range program.Parameters() {
		gradient, err := parameter.Elements()
		if err != nil {
			return own{}, err
		}
		if parameter.Name() == "embeddings" {
			result.gradient = gradient
		} else {
			result.beta = gradient
		}
	}
	return result, nil
}

// values are the embeddings and the labels of a step.
func (s step) values() (embeddings, labels []float64) {
	for i, row := range s.Embeddings {
		embeddings, labels = append(embeddings, row...), append(labels, float64(s.Labels[i]))
	}
	return embeddings, labels
}

// remembered are the losses that are compared with a cross-batch memory: those for which the
// reference supports one. Its ContrastiveLoss has no squares, which the script adds.
var remembered = []setting{
	{"angular", "cosine", objectives.Options{}},
	{"batch-all", "l2", objectives.Options{}},
	{"batch-contrastive", "l2", objectives.Options{Margin: 4}},
	{"batch-contrastive", "l2", objectives.Options{Margin: 4, Balanced: true}},
	{"batch-hard", "l2", objectives.Options{}},
	{"circle", "cosine", objectives.Options{}},
	{"lifted-structure", "l2", objectives.Options{}},
	{"margin", "cosine", objectives.Options{Mining: all}},
	{"multi-similarity", "cosine", objectives.Options{}},
	{"multi-similarity", "cosine", objectives.Options{Mining: all}},
	{"n-pair", "cosine", objectives.Options{}},
	{"supervised-contrastive", "cosine", objectives.Options{}},
	{"tuplet-margin", "cosine", objectives.Options{}},
}

// The memory of the comparison: its ring of 23 − 10 earlier embeddings is filled in the second
// batch, and overwritten in the middle by the third.
const (
	memorySize  = 23
	memoryBatch = 10
	memorySteps = 4 // the first of which finds the memory empty
)

// askMemory returns the questions about each of the consecutive batches, for each loss.
func askMemory() (questions []question, names []setting, err error) {
	var steps []step
	for k := range memorySteps {
		r := random.New(1, "memory", k)
		var s step
		for i := range memoryBatch {
			row := make([]float64, 6)
			for j := range row {
				row[j] = r.NormFloat64()
			}
			s.Embeddings, s.Labels = append(s.Embeddings, row), append(s.Labels, (i/2+k)%5)
		}
		steps = append(steps, s)
	}
	for _, s := range remembered {
		for k, now := range steps {
			q, err := ask(s, batch{name: regular, embeddings: now.Embeddings, labels: now.Labels}, 1)
			if err != nil {
				return nil, nil, err
			}
			q.Memory, q.Earlier = memorySize, steps[:k]
			questions, names = append(questions, q), append(names, s)
		}
	}
	return questions, names, nil
}

// compareMemory returns the table of the losses with a memory, with the largest differences over
// the batches, and the losses that are not equal.
func compareMemory(questions []question, names []setting, replies []reply) (table string, wrong []string) {
	for i := 0; i < len(questions); i += memorySteps {
		name := names[i].String()
		var values, byEmbeddings, byBeta, last float64
		raises := ""
		for k := range memorySteps {
			r := replies[i+k]
			found, err := questions[i+k].compute()
			if err != nil || r.Value == nil {
				raises = fmt.Sprint(err, " ", r.Raises)
				break
			}
			last = found.values[0]
			values = math.Max(values, math.Abs(last-*r.Value)/max(1, math.Abs(last)))
			byEmbeddings = math.Max(byEmbeddings, largestDifference(found.gradient, r.Gradient))
			byBeta = math.Max(byBeta, largestDifference(found.beta, r.Beta))
		}
		if raises != "" || !(values <= agreed && byEmbeddings <= agreed && byBeta <= agreed) || last == 0 {
			wrong = append(wrong, name+" with a cross-batch memory "+raises)
		}
		table += fmt.Sprintf("| %s | %.6f | %.0e | %.0e |\n", name, last, values, max(byEmbeddings, byBeta))
	}
	return table, wrong
}

// compare returns a row of the table, and whether the two are equal.
func (q question) compare(s setting, b batch, r reply) (row string, ok bool) {
	found, err := q.compute()
	if err != nil {
		return fmt.Sprintf("| %s | %s | %v |\n", b.name, s, err), false
	}
	value := found.values[0]
	byEmbeddings, byBeta := largestDifference(found.gradient, r.Gradient), largestDifference(found.beta, r.Beta)
	if b.name == regular {
		if r.Value == nil {
			return fmt.Sprintf("| %s | %.6f | %s |\n", s, value, r.Raises), false
		}
		off := math.Abs(value - *r.Value)
		ok = off <= agreed*max(1, math.Abs(value)) && byEmbeddings <= agreed && byBeta <= agreed && value != 0
		last := ""
		if found.beta != nil {
			last = fmt.Sprintf("%.0e", byBeta)
		}
		return fmt.Sprintf("| %s | %.6f | %.0e | %.0e | %s |\n", s, value, off, byEmbeddings, last), ok
	}
	reference, gradients := "", ""
	switch {
	case r.Raises != "":
		reference = r.Raises
	case r.Value == nil:
		reference = "no number"
	default:
		reference = fmt.Sprintf("%.6f", *r.Value)
	}
	switch {
	case r.Raises != "":
	case math.IsNaN(byEmbeddings):
		gradients = "the reference's is not finite"
	case byEmbeddings <= agreed:
		gradients = "equal"
	default:
		gradients = fmt.Sprintf("%.2g", byEmbeddings)
	}
	ours := fmt.Sprintf("%.6f", value)
	ok = gradients == "equal" && math.Abs(value-*r.Value) <= agreed*max(1, math.Abs(value))
	for _, g := range append([]float64{value}, found.gradient...) {
		if math.IsNaN(g) || math.IsInf(g, 0) {
			ours = notFinite
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", b.name, s, ours, reference, gradients), ok
}

// compareMeans compares the means of a loss that samples.
func (q question) compareMeans(r reply) (text string, ok bool, err error) {
	found, err := q.compute()
	if err != nil {
		return "", false, err
	}
	if r.Value == nil || r.ErrorOfMean == nil {
		return "", false, errors.Errorf("%s: the reference gives no mean: %s", q.Loss, r.Raises)
	}
	var sum, squares float64
	for _, v := range found.values {
		sum += v
		squares += v * v
	}
	n := float64(len(found.values))
	mean := sum / n
	spread := math.Sqrt((squares/n - mean*mean) / n)
	errors := (mean - *r.Value) / math.Hypot(spread, *r.ErrorOfMean)
	return fmt.Sprintf("margin with cosine and margin 1, negatives sampled by distance: the mean of %d runs is %.5f ± %.5f, and %.5f ± %.5f with the reference's "+
		"DistanceWeightedMiner, a difference of %.1f standard errors.", q.Runs, mean, spread, *r.Value, *r.ErrorOfMean, errors), math.Abs(errors) < sampledErrors, nil
}

// largestDifference is the largest difference, relative to the largest value above 1, and NaN if one
// is not finite.
func largestDifference(found []float64, expected []*float64) float64 {
	if len(found) != len(expected) {
		return math.NaN()
	}
	scale, largest := 1.0, 0.0
	for i, v := range found {
		if expected[i] == nil {
			return math.NaN()
		}
		scale = max(scale, math.Abs(v))
		largest = max(largest, math.Abs(v-*expected[i]))
	}
	return largest / scale
}
