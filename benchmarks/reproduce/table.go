package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// Row is a figure, in percent, with the information needed to reproduce it.
type Row struct {
	Protocol   string   `json:"protocol"`
	Method     string   `json:"method"`
	Views      int      `json:"views"` // number of views of each image
	Seed       uint64   `json:"seed"`
	Figure     float64  `json:"figure"`
	Low        float64  `json:"low"` // 95 % interval over the trials
	High       float64  `json:"high"`
	Error      float64  `json:"standard_error,omitempty"` // over the trials; older rows have only the interval
	Untrained  float64  `json:"untrained"`
	Pixels     float64  `json:"pixels"`
	Published  string   `json:"published"`
	Minutes    float64  `json:"minutes"` // of training
	Quick      bool     `json:"quick"`
	Validation bool     `json:"validation,omitempty"` // on held-out classes, to choose settings
	Settings   Settings `json:"settings,omitempty"`
	Command    string   `json:"command"`
	Commit     string   `json:"commit"`
	Processor  string   `json:"processor"`
	Date       string   `json:"date"`
}

// fill adds the fields that all rows of a training have in common.
func (s settings) fill(row Row, method string, took time.Duration) Row {
	row.Method, row.Seed, row.Quick, row.Command = method, s.seed, s.quick || s.steps > 0, s.command
	row.Minutes = took.Minutes()
	row.Date = time.Now().UTC().Format(time.DateOnly)
	row.Processor = record.Machine()
	row.Commit = s.commit
	return row
}

func (r Row) String() string {
	views := ""
	if r.Views > 1 {
		views = fmt.Sprintf(", %d views", r.Views)
	}
	return fmt.Sprintf("%s%s: %.2f [%.2f, %.2f], untrained %.2f, pixels %.2f (%s, seed %d, %.1f min)",
		r.Protocol, views, r.Figure, r.Low, r.High, r.Untrained, r.Pixels, r.Method, r.Seed, r.Minutes)
}

const rowsFile = "accuracy.jsonl"

// appendRows adds rows to those of a folder, all of them or none.
func appendRows(folder string, rows []Row) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(folder, rowsFile)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.WithStack(err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(old); err != nil {
			return err
		}
		encoder := json.NewEncoder(w)
		for _, row := range rows {
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// currentNames replaces older names of protocols and methods in recorded rows.
var currentNames = strings.NewReplacer(
	"drawn by many pens", "stroke-width augmentation",
	"three of Conv7 asked together", "ensemble of three Conv7",
	"three residual networks asked together", "ensemble of three residual networks",
	"negatives from anywhere", "negatives from all alphabets",
	"one loss of the papers by itself", "a single loss of the papers",
	"nothing trained on digits", "no training on digits",
	"trained as they are", "without augmentation",
	"trained with distortions", "with augmentation",
	"four turns", "four rotations",
	"nearest neighbour", "nearest neighbor",
	"which the map should not know (chance: 20)", "to which the map should be invariant (chance: 20)",
	"pairs by pixels and shifts", "similar pairs by pixel distance and shift",
	"pairs by pixels", "similar pairs by pixel distance",
	"a picture", "figure only",
)

// readRows reads the rows of a folder. Older names of protocols and methods become the
// current ones.
func readRows(folder string) ([]Row, error) {
	path := filepath.Join(folder, rowsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var rows []Row
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, errors.Wrapf(err, "%s, line %d", path, number)
		}
		row.Protocol, row.Method, row.Published = currentNames.Replace(row.Protocol), currentNames.Replace(row.Method), currentNames.Replace(row.Published)
		rows = append(rows, row)
	}
	return rows, errors.WithStack(lines.Err())
}

// line is the rows of one training in one protocol, over seeds.
type line struct {
	Row  // the last row
	rows []Row
	// beside are the settings that differ from those of other trainings of the same method.
	beside string
}

// settings of a row. Older rows of validations have them in their command alone.
func (r Row) settings() string {
	if len(r.Settings) > 0 {
		return r.Settings.String()
	}
	_, arguments, _ := strings.Cut(r.Command, fmt.Sprintf("-seed %d ", r.Seed))
	return arguments
}

// lines groups the rows by protocol, method, views and settings.
func lines(rows []Row) []line {
	type kind struct {
		protocol, method string
		views            int
		quick            bool
	}
	type key struct {
		kind
		settings string
	}
	position := map[key]int{}
	siblings := map[kind][]int{} // by what they have in common, the lines
	var all []line
	for _, row := range rows {
		k := key{kind{row.Protocol, row.Method, row.Views, row.Quick}, row.settings()}
		at, known := position[k]
		if !known {
			at = len(all)
			position[k] = at
			all = append(all, line{})
			siblings[k.kind] = append(siblings[k.kind], at)
		}
		all[at].Row, all[at].rows = row, append(all[at].rows, row)
	}
	for _, own := range siblings {
		var settings []Settings
		for _, at := range own {
			settings = append(settings, all[at].Settings)
		}
		for _, at := range own {
			all[at].beside = all[at].Settings.beside(settings).String()
		}
	}
	return all
}

// seeds are the rows by their seeds, in the order of these. One seed may have several
// rows: runs at several commits, which differ by rounding.
func (l line) seeds() [][]Row {
	sorted := slices.Clone(l.rows)
	slices.SortStableFunc(sorted, func(a, b Row) int { return cmp.Compare(a.Seed, b.Seed) })
	var seeds [][]Row
	for i, row := range sorted {
		if i == 0 || row.Seed != sorted[i-1].Seed {
			seeds = append(seeds, nil)
		}
		seeds[len(seeds)-1] = append(seeds[len(seeds)-1], row)
	}
	return seeds
}

// mean returns the mean of a field of rows.
func mean(rows []Row, of func(Row) float64) float64 {
	var sum float64
	for _, row := range rows {
		sum += of(row)
	}
	return sum / float64(len(rows))
}

// figures are those of the seeds, in the order of these: of several runs of one, their
// mean.
func (l line) figures() (figures []float64) {
	for _, rows := range l.seeds() {
		figures = append(figures, mean(rows, func(r Row) float64 { return r.Figure }))
	}
	return figures
}

// each are the figures of the seeds as they are printed, and of several runs of one
// all that differ.
func (l line) each() string {
	var each []string
	for _, rows := range l.seeds() {
		var runs []string
		for _, row := range rows {
			if figure := fmt.Sprintf("%.2f", row.Figure); !slices.Contains(runs, figure) {
				runs = append(runs, figure)
			}
		}
		each = append(each, strings.Join(runs, "/"))
	}
	return strings.Join(each, ", ")
}

// markdown returns the line of the table.
func (l line) markdown() string {
	figures, interval := l.figures(), l.interval()
	spread := ""
	if len(figures) > 1 {
		spread = fmt.Sprintf("%.2f", stat.StdDev(figures, nil))
	}
	method := l.Method
	if l.beside != "" {
		method += " (" + l.beside + ")"
	}
	if l.Quick {
		method += " (quick)"
	}
	minutes := make([]float64, len(l.rows))
	for i, row := range l.rows {
		minutes[i] = row.Minutes
	}
	return fmt.Sprintf("| %s | %s | %d | %s | %d | **%.2f** | %s | %s | %.2f – %.2f | %.2f | %.2f | %.1f |\n",
		l.Protocol, method, l.Views, l.Published, len(figures), stat.Mean(figures, nil), spread, l.each(), interval[0], interval[1],
		mean(l.rows, func(r Row) float64 { return r.Untrained }), mean(l.rows, func(r Row) float64 { return r.Pixels }), slices.Max(minutes))
}

// writeTable writes accuracy.md from a folder's rows, and draws its curves.
func writeTable(folder string) error {
	rows, err := readRows(folder)
	if err != nil {
		return err
	}
	drawn, err := drawCurves(folder)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(folder, "accuracy.md"), func(w io.Writer) error {
		_, err := io.WriteString(w, table(rows, drawn))
		return err
	})
}

// table returns the text of accuracy.md.
func table(rows []Row, withCurves bool) string {
	var b strings.Builder
	b.WriteString(tableHead)
	var commands []string
	var tried []line
	for _, l := range lines(rows) {
		if l.Validation {
			tried = append(tried, l)
			continue
		}
		b.WriteString(l.markdown())
		for _, row := range l.rows {
			command := fmt.Sprintf("- `%s` at %s, %s, %s\n", row.Command, row.Commit, row.Processor, row.Date)
			if !slices.Contains(commands, command) {
				commands = append(commands, command)
			}
		}
	}
	fmt.Fprintf(&b, "\n%s", strings.Join(commands, ""))
	if withCurves {
		b.WriteString(curves)
	}
	b.WriteString(validations(tried))
	return b.String()
}

// tableHead explains the table.
const tableHead = `# Accuracy in the protocols of the papers

Generated by "go run ./benchmarks/reproduce table" from the rows of accuracy.jsonl, each of which has its
settings, command, commit, processor and date. All figures are in percent.

A line of the table is one training configuration, that is, all rows with equal settings, over random seeds.
If a method was trained with several settings, the line names those that differ. The mean is over seeds. The
column "each seed" has the figure of every seed; if a seed was run at several commits, whose rounding differs,
it has the figures of all runs, and their mean counts. The standard deviation is between seeds.

The 95 % interval is a confidence interval of the mean. With several seeds it is a bootstrap over seeds and
test trials: 10,000 replicates each resample the seeds with replacement (deviations from the mean multiplied
by √(n/(n − 1)), because the bootstrap of n seeds is too narrow by this factor; Hesterberg 2015, "What
Teachers Should Know About the Bootstrap") and add a normally distributed error of the trials. The trials are
the same for all seeds, so each replicate has a single such error. The interval is approximate: rows have the
standard error over their trials or, if they are older, only an interval, half of which divided by 1.96 is
used instead, and the part of the error that the seeds have in common is overestimated. With two or three
seeds the variation between seeds is known only roughly. With one seed the interval covers the trials only,
and the figure of another seed may lie outside of it.

The trials are resampled by run for Lake's runs, by image for verification and episodes (see package
evaluate), and by test image for classifiers. Rows without a standard error are older: they treated pairs as
independent and resampled episodes, so their intervals are too narrow for statements about other images.

Settings were chosen on background alphabets only, and the trials are the same for all. "Views" is the number
of augmented views of each image whose embeddings are averaged (test-time augmentation): 1, 7 affine views,
or 56 views, which are the 7 affine views of each of the 8 symmetries of the square. The networks of an
ensemble were trained separately, each with its own seed; their cosines are averaged and their minutes added
up. "Untrained" is the same network before training, with one view; "pixels" is the cosine between the images
as the network receives them. Minutes are training time of the longest run; most runs shared the machine with
other programs. Processors of the same name differ: 10,000 steps of the residual network took 14 minutes on
an AMD EPYC with AVX-512 and 43 minutes on one with AVX2 only; later rows name the instruction set. Rows at
91733c8 and bb8c011 name the commit at which they ended, which may be later than the one that was run. The
minimal splits were measured with the settings of the older rows before the settings of the newer rows were
chosen on background alphabets. The range of the stroke-width augmentation was chosen from general knowledge
of the strokes of digits, without test images.

| protocol | method | views | published | seeds | mean | standard deviation | each seed | 95 % interval | untrained | pixels | minutes |
|---|---|---|---|---|---|---|---|---|---|---|---|
`

// curves is the section of the learning curves.
const curves = `
## Learning curves of Koch's network

![Accuracy in Lake's 20 runs against minutes and images](` + curvePicture + `)

The points of the last run of each method, with their losses and the accuracy on held-out alphabets, are in
koch.jsonl and koch-all-pairs.jsonl. If the processors of the two runs differ (see the commands above), compare
the curves by images.
`

// validations returns the table of the validation runs by which settings were chosen: the
// arguments of reproduce validate and the results.
func validations(tried []line) string {
	if len(tried) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`
## How settings were chosen

With the commands "go run ./benchmarks/reproduce -seed SEED validate ARGUMENTS" and "validate-mnist", on
classes or images held out of the training data; no test image was used. The learning rate, temperature and
weight decay of the longer training of the residual network were searched with a PyTorch implementation of
the same training on a GPU, on the same held-out alphabets; those runs are not recorded here. Neither are
interrupted runs of Koch's network.

| arguments | validated on | seeds | mean | each seed | 95 % interval | untrained | minutes | commit |
|---|---|---|---|---|---|---|---|---|
`)
	for _, l := range tried {
		interval := l.interval()
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f | %s | %.2f – %.2f | %.2f | %.1f | %s |\n",
			l.Method, strings.TrimPrefix(l.Protocol, "validation: "), len(l.seeds()), stat.Mean(l.figures(), nil), l.each(),
			interval[0], interval[1], l.Untrained, l.Minutes, l.Commit)
	}
	return b.String()
}

// normal95 is the standard normal distribution's quantile of 0.975.
const normal95 = 1.959963984540054

// seedReplicates is the number of replicates of an interval over seeds.
const seedReplicates = 10_000

// interval returns the 95 % confidence interval of the mean over seeds, in percent, as
// explained in tableHead. For a single seed it is the interval over the trials.
func (l line) interval() [2]float64 {
	seeds := l.seeds()
	if len(seeds) == 1 {
		return [2]float64{
			mean(seeds[0], func(r Row) float64 { return r.Low }),
			mean(seeds[0], func(r Row) float64 { return r.High }),
		}
	}
	figures, average := l.figures(), stat.Mean(l.figures(), nil)
	below, above := make([]float64, len(seeds)), make([]float64, len(seeds)) // standard errors over trials
	for i, rows := range seeds {
		below[i] = mean(rows, func(r Row) float64 { return r.trialError(r.Figure - r.Low) })
		above[i] = mean(rows, func(r Row) float64 { return r.trialError(r.High - r.Figure) })
	}
	inflation := math.Sqrt(float64(len(seeds)) / float64(len(seeds)-1))
	values := make([]float64, seedReplicates)
	for i := range values {
		values[i] = replicate(random.New(0, "interval of a mean", i), figures, average, inflation, below, above)
	}
	slices.Sort(values)
	return [2]float64{
		max(0, stat.Quantile(0.025, stat.Empirical, values, nil)),
		min(100, stat.Quantile(0.975, stat.Empirical, values, nil)),
	}
}

// replicate is a mean of as many seeds, drawn with replacement, with one error of the
// trials, which all of them have in common.
func replicate(chance *rand.Rand, figures []float64, average, inflation float64, below, above []float64) float64 {
	z := chance.NormFloat64()
	value := average
	for range figures {
		i := chance.IntN(len(figures))
		deviation := inflation * (figures[i] - average)
		if z < 0 {
			deviation += z * below[i]
		} else {
			deviation += z * above[i]
		}
		value += deviation / float64(len(figures))
	}
	return value
}

// trialError is the row's standard error over its trials, or what half of an
// interval says of it.
func (r Row) trialError(half float64) float64 {
	if r.Error > 0 {
		return r.Error
	}
	return half / normal95
}
