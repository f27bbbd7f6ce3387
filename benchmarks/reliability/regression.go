package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Band describes the spread of a figure over random seeds.
type Band struct {
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"` // standard deviation of a single run; 0 for one value
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Values    []float64 `json:"values"` // for the seeds 1, 2, …
}

// Stability holds the bands of a job by the names of the figures.
type Stability struct {
	Command   string          `json:"command"`
	Commit    string          `json:"commit"`
	Processor string          `json:"processor"`
	Date      string          `json:"date"`
	Bands     map[string]Band `json:"bands"`
}

// seeds returns the number of seeds.
func (s Stability) seeds() int {
	for _, b := range s.Bands {
		return len(b.Values)
	}
	return 0
}

// with adds the figures of one more seed.
func (s Stability) with(measures map[string]float64) Stability {
	bands := map[string]Band{}
	for name, value := range measures {
		bands[name] = newBand(append(slices.Clone(s.Bands[name].Values), value))
	}
	s.Bands = bands
	return s
}

// width is the maximum distance of a figure from its mean in standard deviations. With the
// standard deviation of ten seeds, another seed exceeds it in one of 250 cases. So a change
// that only affects rounding is rarely reported, and a report deserves attention.
const width = 4

// newBand returns the band of at least one value.
func newBand(values []float64) Band {
	b := Band{Min: slices.Min(values), Max: slices.Max(values), Values: values}
	for _, v := range values {
		b.Mean += v / float64(len(values))
	}
	for _, v := range values {
		b.Deviation += (v - b.Mean) * (v - b.Mean)
	}
	b.Deviation = math.Sqrt(b.Deviation / float64(max(1, len(values)-1)))
	return b
}

func (b Band) String() string {
	return fmt.Sprintf("%.4f ± %.4f, from %.4f to %.4f", b.Mean, b.Deviation, b.Min, b.Max)
}

// judge returns an error that names the figures outside their bands and those that are
// missing on one side.
func judge(bands map[string]Band, found map[string]float64) error {
	var wrong []string
	for name, b := range bands {
		low, high := b.Mean-width*b.Deviation, b.Mean+width*b.Deviation
		if value, ok := found[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: found none", name))
		} else if !(low <= value && value <= high) { // NaN is outside
			wrong = append(wrong, fmt.Sprintf("%s: found %.4f, expected from %.4f to %.4f (%v)", name, value, low, high, b))
		}
	}
	for name := range found {
		if _, ok := bands[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: found no band", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.Errorf("%d of %d figures are outside their bands:\n  %s", len(wrong), len(bands), strings.Join(wrong, "\n  "))
}

// readStability reads the bands of all jobs by name.
func readStability(path string) (map[string]Stability, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var all map[string]Stability
	return all, errors.Wrap(json.Unmarshal(text, &all), path)
}

func writeStability(path string, all map[string]Stability) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return errors.Wrap(err, path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// regressionSeed is a random seed that the bands do not include.
const regressionSeed = 11

// minSeeds is the minimum number of seeds of a band.
const minSeeds = 5

// regression trains the short job once and compares its figures with their bands.
func regression(ctx context.Context, s settings) ([]measured, error) {
	flags := flag.NewFlagSet("regression", flag.ContinueOnError)
	path := flags.String("bands", "benchmarks/results/"+bandFile, "`file` of the bands")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	bands, err := shortBands(*path)
	if err != nil {
		return nil, err
	}
	found, err := shortJob.measure(ctx, likeness, folder, regressionSeed)
	if err != nil {
		return nil, err
	}
	if err := judge(bands, found); err != nil {
		return nil, errors.WithMessage(err, "training has changed; if this is intended, record new bands with go run ./benchmarks/reliability stability")
	}
	return []measured{{fmt.Sprintf("figures of the short job within %d standard deviations of their means", width), fmt.Sprintf("all %d", len(bands))}}, nil
}

// shortBands reads the bands of the short job from a file.
func shortBands(path string) (map[string]Band, error) {
	all, err := readStability(path)
	if err != nil {
		return nil, err
	}
	short, ok := all[shortJob.name]
	if !ok {
		return nil, errors.Errorf("%s: found no job %q", path, shortJob.name)
	}
	if found := short.seeds(); found < minSeeds {
		return nil, errors.Errorf("%s: found %d seeds of the job %q, expected at least %d", path, found, shortJob.name, minSeeds)
	}
	return short.Bands, nil
}

// job is a training with the likeness command.
type job struct {
	name      string
	arguments []string
}

// mnistJob is the training of MNIST with its default settings. shortJob is similar and
// takes seconds, for the check for regressions.
var (
	mnistJob = job{"mnist", []string{"train", "--data", "mnist"}}
	shortJob = job{"short", []string{"train", "--data", "mnist", "--limit", "6000", "--test-limit", "1000", "--epochs", "3"}}
)

// bandFile is the name of the file of bands in the folder of the results.
const bandFile = "stability.json"

// stability trains the jobs with several random seeds and records the bands of their figures
// after each seed. At the same commit it continues an interrupted check.
func stability(ctx context.Context, s settings) ([]measured, error) {
	flags := flag.NewFlagSet("stability", flag.ContinueOnError)
	seeds := flags.Int("seeds", 10, "`number` of seeds, from 1")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	if *seeds < 2 {
		return nil, errors.Errorf("-seeds is %d, expected at least 2", *seeds)
	}
	commit, err := record.Commit()
	if err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	path := filepath.Join(s.out, bandFile)
	all := map[string]Stability{}
	if s.out != "" && exists(path) {
		if all, err = readStability(path); err != nil {
			return nil, err
		}
	}
	var findings []measured
	for _, j := range []job{shortJob, mnistJob} {
		known := all[j.name]
		if found := known.Commit; found != commit || strings.Contains(found, "changes") {
			known = Stability{
				Command: "likeness " + strings.Join(j.arguments, " ") + " --seed N", Commit: commit,
				Processor: record.Machine(), Date: time.Now().UTC().Format(time.DateOnly),
			}
		}
		for seed := known.seeds() + 1; seed <= *seeds; seed++ {
			s.note("%s job, seed %d of %d", j.name, seed, *seeds)
			measures, err := j.measure(ctx, likeness, folder, seed)
			if err != nil {
				return nil, err
			}
			known = known.with(measures)
			if all[j.name] = known; s.out == "" {
				continue
			}
			if err := writeStability(path, all); err != nil {
				return nil, err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(known.Bands)) {
			findings = append(findings, measured{j.name + " job: " + name, known.Bands[name].String()})
		}
	}
	return findings, nil
}

// measure trains with a seed in a temporary run folder and returns the figures of the report
// by name, for the trained network, the untrained one and raw pixels, and the loss and the
// validation of the last epoch.
func (j job) measure(ctx context.Context, likeness tool, folder string, seed int, more ...string) (map[string]float64, error) {
	run, err := os.MkdirTemp(folder, "run-")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer os.RemoveAll(run)
	arguments := slices.Concat(j.arguments, []string{"--seed", strconv.Itoa(seed), "--out", run}, more)
	if err := likeness.run(ctx, folder, arguments...); err != nil {
		return nil, err
	}
	measured, err := report.Load(filepath.Join(run, "result.json"))
	if err != nil {
		return nil, err
	}
	found := map[string]float64{}
	for _, row := range measured.Rows() {
		found[row.Title] = row.Value
		found[row.Title+", untrained"] = row.Untrained
		found[row.Title+", raw pixels"] = row.Pixels
	}
	last, err := lastEpoch(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		return nil, err
	}
	found["loss of the last epoch"] = last.Loss
	if last.Validation != nil {
		found["validation of the last epoch"] = *last.Validation
	}
	return found, nil
}

// lastEpoch decodes the last line of a metrics.jsonl.
func lastEpoch(path string) (epoch trainer.Epoch, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return epoch, errors.WithStack(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return epoch, errors.Wrap(json.Unmarshal(lines[len(lines)-1], &epoch), path)
}
