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

// Band is how much a measure varies with the seed.
type Band struct {
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"` // standard, of a single run; 0 where there is one value
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Values    []float64 `json:"values"` // of the seeds 1, 2, …
}

// Stability are the bands of a job, by the names of the measures.
type Stability struct {
	Command   string          `json:"command"`
	Commit    string          `json:"commit"`
	Processor string          `json:"processor"`
	Date      string          `json:"date"`
	Bands     map[string]Band `json:"bands"`
}

// seeds is how many there are values of.
func (s Stability) seeds() int {
	for _, b := range s.Bands {
		return len(b.Values)
	}
	return 0
}

// with takes in the measures of one more seed.
func (s Stability) with(measures map[string]float64) Stability {
	bands := map[string]Band{}
	for name, value := range measures {
		bands[name] = newBand(append(slices.Clone(s.Bands[name].Values), value))
	}
	s.Bands = bands
	return s
}

// width is how many deviations a measure may be away from its mean. With the
// deviation of ten seeds a further seed is farther away in one case of 250. So it
// says nothing of a training whose luck is another because it rounds otherwise,
// and whatever it says is worth a look.
const width = 4

// newBand takes one value or more.
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

// judge names the measures that lie outside of their bands, and those that one
// side lacks.
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
			wrong = append(wrong, fmt.Sprintf("%s: found no band of it", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.Errorf("%d of %d measures are out of their bands:\n  %s", len(wrong), len(bands), strings.Join(wrong, "\n  "))
}

// readStability reads the bands of all jobs, by their names.
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

// regressionSeed is none of those that the bands are of.
const regressionSeed = 11

// leastSeeds make a band: the spread of fewer is a guess.
const leastSeeds = 5

// regression trains the short job once and compares its measures with their
// bands.
func regression(ctx context.Context, s settings) ([]Finding, error) {
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
		return nil, errors.WithMessage(err, "learning has changed; if that is meant, record the bands anew with go run ./benchmarks/reliability stability")
	}
	return []Finding{{fmt.Sprintf("measures of the short job within %d deviations of their means", width), fmt.Sprintf("all %d", len(bands))}}, nil
}

// shortBands are those of the short job in a file.
func shortBands(path string) (map[string]Band, error) {
	all, err := readStability(path)
	if err != nil {
		return nil, err
	}
	short, ok := all[shortJob.name]
	if !ok {
		return nil, errors.Errorf("%s: found no job %q", path, shortJob.name)
	}
	if found := short.seeds(); found < leastSeeds {
		return nil, errors.Errorf("%s: found %d seeds of the job %q, expected at least %d", path, found, shortJob.name, leastSeeds)
	}
	return short.Bands, nil
}

// job is a training by the tool.
type job struct {
	name      string
	arguments []string
}

// jobs are the tool's default, which the README begins with, and one of seconds
// that is like it, for the check against regressions.
var (
	defaultJob = job{"default", []string{"train"}}
	shortJob   = job{"short", []string{"train", "--limit", "6000", "--test-limit", "1000", "--epochs", "3"}}
)

// bandFile is in the folder of the results.
const bandFile = "stability.json"

// stability trains the jobs with several seeds and keeps how far their measures
// are spread, after each seed: at the same commit it goes on where it ended.
func stability(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("stability", flag.ContinueOnError)
	seeds := flags.Int("seeds", 10, "how many, from 1")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	if *seeds < 2 {
		return nil, errors.Errorf("seeds: found %d, expected at least 2: one has no spread", *seeds)
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
	var findings []Finding
	for _, j := range []job{shortJob, defaultJob} {
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
			findings = append(findings, Finding{j.name + " job: " + name, known.Bands[name].String()})
		}
	}
	return findings, nil
}

// measure trains with a seed in a folder of its own and returns every figure that
// the tool prints, by its name: of the trained network, the untrained one and raw
// pixels, and the loss and the validation of the last epoch.
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
	found["loss of the last epoch"] = last.Cost
	if last.Validation != nil {
		found["validation of the last epoch"] = *last.Validation
	}
	return found, nil
}

// lastEpoch is the last line of a metrics.jsonl.
func lastEpoch(path string) (epoch trainer.Epoch, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return epoch, errors.WithStack(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return epoch, errors.Wrap(json.Unmarshal(lines[len(lines)-1], &epoch), path)
}
