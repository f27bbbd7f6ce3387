package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

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
