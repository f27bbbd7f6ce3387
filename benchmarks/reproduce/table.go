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

// Row is one figure, in percent, with what it takes to get it again.
type Row struct {
	Protocol   string   `json:"protocol"`
	Method     string   `json:"method"`
	Views      int      `json:"views"` // of each image; 1 for it alone
	Seed       uint64   `json:"seed"`
	Figure     float64  `json:"figure"`
	Low        float64  `json:"low"` // 95 % interval over the trials
	High       float64  `json:"high"`
	Error      float64  `json:"standard_error,omitempty"` // over the trials; older rows have their interval alone
	Untrained  float64  `json:"untrained"`
	Pixels     float64  `json:"pixels"`
	Published  string   `json:"published"`
	Minutes    float64  `json:"minutes"` // of training
	Quick      bool     `json:"quick"`
	Validation bool     `json:"validation,omitempty"` // on classes to choose settings by
	Settings   Settings `json:"settings,omitempty"`
	Command    string   `json:"command"`
	Commit     string   `json:"commit"`
	Processor  string   `json:"processor"`
	Date       string   `json:"date"`
}

// fill adds what all rows of a training have in common.
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
		views = fmt.Sprintf(", by %d views", r.Views)
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

// readRows reads the rows of a folder.
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
		rows = append(rows, row)
	}
	return rows, errors.WithStack(lines.Err())
}

// line is the runs of one training, measured by one protocol, over seeds.
type line struct {
	Row  // the last of them
	rows []Row
	// beside are the settings that set the training apart from others of the same
	// method; empty where there are no others.
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

// lines brings the runs of one training together: rows that agree in the protocol,
// the method, the views and all settings. No row is left out.
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

// mean of what is taken from rows.
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

// markdown is a line of the table.
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

// table is accuracy.md.
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

const tableHead = `# Accuracy by the papers' protocols

Generated by "go run ./benchmarks/reproduce table" from the rows of accuracy.jsonl, each of which has its
settings, command, commit, processor and date. All figures are percent.

A line of the table is one training, that is, all rows of equal settings, over random seeds. Where one
method was trained with several settings, the line names those that differ. The mean is over seeds;
"each seed" has their figures, and, where a seed was run at several commits, whose arithmetic rounds
differently, those of all runs, of which the mean counts. The standard deviation is that between seeds.

The interval of 95 % is that of the mean. With several seeds it is a bootstrap over seeds and test trials:
10,000 replicates each resample the seeds with replacement (deviations from the mean multiplied by
√(n/(n − 1)), since the bootstrap of n seeds is too narrow by that; Hesterberg 2015, "What Teachers Should
Know About the Bootstrap") and add a normal error of the trials. The trials are the same for
all seeds, so that error is drawn once for all seeds of a replicate. It is an approximation: rows have the
standard error over their trials or, if they are older, only an interval, whose halves by 1.96 are taken for
it; and what is common to the errors of the seeds is overstated. Of two or three seeds the variation between seeds is known
roughly at best. With one seed the interval covers the trials only, and another seed may well lie outside of
it.

Which trials an interval resamples: Lake's runs are resampled by runs, verification and episodes by
images (see package evaluate), and classifiers' test images one by one. Rows without a standard error are
older and took pairs for independent and resampled episodes; their intervals over trials are too narrow as
statements about other images.

Settings were chosen on background alphabets alone; the trials are the same for all. "Views" is the number
of views of each image whose embeddings are averaged (test-time augmentation): one, seven affine ones, or
56, which are seven of each of the eight symmetries of the square. Networks that decide together were trained
separately, each from a seed of its own; the mean of their cosines decides, and their minutes are added up.
"Untrained" is the same network before training, by one view; "pixels" is the cosine of the images as
the network sees them. Minutes are of training, the longest run; most runs shared the machine with other work.
Processors of one name differ: 10,000 steps of the residual network took 14 minutes on an AMD EPYC with
AVX-512 and 43 on one that has AVX2 alone; later rows name the instructions. Rows at 91733c8 and bb8c011 name
the commit at which they ended, which may be later than the one that was run. The runs of the minimal splits
had been measured with the settings of the older rows before those of the newer rows were chosen on background
alphabets. The stroke widths of "many pens" were set by what is known of the strokes of digits; no test
image was looked at.

| protocol | method | views | published | seeds | mean | deviation | each seed | interval | untrained | pixels | minutes |
|---|---|---|---|---|---|---|---|---|---|---|---|
`

// curves shows what drawCurves drew.
const curves = `
## How Koch's network learns

![Lake's 20 runs against minutes and images](` + curvePicture + `)

The points, with their losses and the accuracy on held-out alphabets, are in koch.jsonl and
koch-all-pairs.jsonl, of the last run of each. Where the processors of the two differ (see the commands above),
the curves are to be compared by images.
`

// validations is the table of what settings were chosen by: the arguments of
// reproduce validate, and what they came to.
func validations(tried []line) string {
	if len(tried) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`
## How settings were chosen

By the commands "go run ./benchmarks/reproduce -seed SEED validate ARGUMENTS" and "validate-mnist": classes or
images held out of training, no test image looked at. The rate, temperature and weight decay of the residual
network's longer training were searched for by a twin of it in PyTorch on a GPU, on the same
held-out alphabets; those runs are not recorded here. Neither are runs of Koch's network that were broken off.

The settings of "short", the default job of likeness train, were chosen on alphabets of the minimal split itself:
one of its five was held out ("-small small1 -hold ALPHABET", 2,000 episodes) and the other four were trained on.
Only losses of the papers were candidates; n-pair is there for comparison. The rows were run at 800 steps on one
thread, and name the commit that replaced the one that was run when the branch was moved onto a later commit, with
the same program. The number of steps follows from the time: at f396e66, on two idle processors of an AMD EPYC with
AVX-512, steps of this network, batch and deformation took 47 to 51 ms (120 s for 2,400 steps of small1, 150 s for
3,200 of omniglot and ratio), so 1,000 steps take about 51 s; at the shortest step of an Intel Xeon with AVX-512,
87 ms, shared with other work, they take 87 s.

| arguments | validated on | seeds | mean | each seed | interval | untrained | minutes | commit |
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

// interval is that of 95 % of the mean over seeds, in percent: see the head of
// accuracy.md. Of one seed it is that of its trials.
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
