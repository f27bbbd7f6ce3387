package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// Status is the outcome of a check.
type Status string

const (
	OK         Status = "ok"
	Wrong      Status = "wrong"
	NotChecked Status = "not checked" // something that the check requires is missing
)

// Finding is the result of a check.
type Finding struct {
	Status Status `json:"status"`
	What   string `json:"what"`  // what was checked
	Found  string `json:"found"` // the result in figures, the error, or why nothing was checked
}

// String formats the finding in one line.
func (f Finding) String() string { return fmt.Sprintf("%-11s  %s: %s", f.Status, f.What, f.Found) }

// Options sets what is checked in addition to the program itself.
type Options struct {
	Models   []string // paths of model files
	Omniglot string   // folder with all_runs.zip; empty: not checked
}

// notChecked is the error of a check that lacks something that it requires.
type notChecked string

func (n notChecked) Error() string { return string(n) }

// check is a check with its name. Its error is a defect or a notChecked.
type check struct {
	what string
	run  func() (found string, err error)
}

// Run performs all checks and calls report after each. It returns early with the context's
// error when the context ends. It changes the number of threads that graphs use
// temporarily.
func Run(ctx context.Context, o Options, report func(Finding)) error {
	for _, c := range checks(o) {
		if err := ctx.Err(); err != nil {
			return errors.WithStack(err)
		}
		report(c.finding())
	}
	return nil
}

func checks(o Options) (all []check) {
	for _, engine := range vector.Engines() {
		what := "instructions " + engine.Name()
		if engine.Name() == vector.For[float32]().Name() {
			what += " (in use)"
		}
		all = append(all, check{what, func() (string, error) { return instructions(engine) }})
	}
	if engine, faster := vector.Pairs(); engine != nil {
		what := "products of bfloat16 numbers"
		if faster {
			what += " (in use with --precision bfloat16)"
		}
		all = append(all, check{what, func() (string, error) { return pairs(engine) }})
	}
	for _, c := range layerCases {
		all = append(all, check{"layer " + c.name, c.run})
	}
	for i, towers := range []string{"one tower", "two towers", "three towers"} {
		all = append(all, check{"gradients of a network with " + towers, func() (string, error) { return gradients(network, i+1) }})
	}
	all = append(all,
		check{"determinism", determinism},
		check{"Omniglot's official one-shot runs", func() (string, error) { return omniglot(o.Omniglot) }})
	for _, name := range zoo.Names() {
		all = append(all, check{"model zoo/" + name, func() (string, error) { return model(zoo.Load(name)) }})
	}
	for _, path := range o.Models {
		all = append(all, check{"model " + path, func() (string, error) { return modelFile(path) }})
	}
	return all
}

// finding runs the check. A panic is a defect, too.
func (c check) finding() Finding {
	found, err := func() (found string, err error) {
		defer guard.Recover(&err, "")
		return c.run()
	}()
	var reason notChecked
	switch {
	case errors.As(err, &reason):
		return Finding{NotChecked, c.what, err.Error()}
	case err != nil:
		return Finding{Wrong, c.what, err.Error()}
	}
	return Finding{OK, c.what, found}
}

// modelFile checks a model file. If its backbone is a Go type of another program, only its
// checksum can be checked.
func modelFile(path string) (string, error) {
	loaded, err := likeness.Load(path)
	if errors.Is(err, likeness.ErrOwnBackbone) {
		return "", notChecked(err.Error())
	}
	return model(loaded, err)
}

// model checks a model, whose checksum was verified when it was loaded: the embedding of
// its probe image must agree with the one that was computed when it was saved.
func model(m *likeness.Model, err error) (string, error) {
	if err != nil {
		return "", err
	}
	off, tolerance, err := m.ProbeDeviation()
	if errors.Is(err, likeness.ErrNoProbe) {
		return "", notChecked("the file has no probe embedding: it is of an older format or its backbone cannot compute in float64")
	}
	if err != nil {
		return "", err
	}
	if !(off <= tolerance) {
		return "", errors.Errorf("the checksum is correct, but the embedding of the probe image differs by %.2g of its largest value, expected at most %.0e: the model computes other embeddings here than on the machine where it was saved", off, tolerance)
	}
	identity, err := m.Identity()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v; the checksum is correct, the embedding of the probe image differs by %.1e of its largest value (tolerance %.0e)", identity, off, tolerance), nil
}

// The number of errors of the modified Hausdorff distance in the 400 trials of Omniglot's
// official runs: 38.75 %, which the authors' demo prints as 38.8.
const (
	publishedTrials = 400
	publishedErrors = 155
)

// omniglot evaluates the published baseline on the official files.
func omniglot(folder string) (string, error) {
	if folder == "" {
		return "", notChecked("no folder with all_runs.zip was given")
	}
	path := filepath.Join(folder, "all_runs.zip")
	runs, err := datasets.OpenRuns(path, datasets.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		return "", notChecked("found no file " + path)
	}
	if err != nil {
		return "", err
	}
	return hausdorff(runs)
}

// hausdorff compares the number of errors on the runs with the published one.
func hausdorff(runs []datasets.OneShotRun) (string, error) {
	var distances [][]float64
	var answers []int
	for _, run := range runs {
		training, err := inks(run.Training)
		if err != nil {
			return "", errors.Wrap(err, run.Name)
		}
		tests, err := inks(run.Test)
		if err != nil {
			return "", errors.Wrap(err, run.Name)
		}
		for _, test := range tests {
			row := make([]float64, len(training))
			for i, example := range training {
				row[i] = evaluate.ModifiedHausdorff(test, example)
			}
			distances = append(distances, row)
		}
		answers = append(answers, run.Answers...)
	}
	score, err := evaluate.OneShotDistances(distances, answers)
	if err != nil {
		return "", err
	}
	found := fmt.Sprintf("the modified Hausdorff distance has %.2f %% errors in %d trials", 100*(1-score.Value), len(score.Trials))
	wrong := (1 - score.Value) * float64(len(score.Trials))
	if len(score.Trials) != publishedTrials || wrong < publishedErrors-0.5 || wrong > publishedErrors+0.5 {
		return "", errors.Errorf("%s, expected %.2f %% of %d", found, 100*float64(publishedErrors)/publishedTrials, publishedTrials)
	}
	return found + ", as published", nil
}

// inks converts images of 105 × 105 pixels with light ink to sets of ink points.
func inks(images [][]uint8) ([]evaluate.Ink, error) {
	all := make([]evaluate.Ink, len(images))
	for i, image := range images {
		pixels := make([]float32, len(image))
		for j, v := range image {
			pixels[j] = float32(v) / 255
		}
		var err error
		if all[i], err = evaluate.InkOf(pixels, 105); err != nil {
			return nil, err
		}
	}
	return all, nil
}
