package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// Status is what a check came to.
type Status string

const (
	OK         Status = "ok"
	Wrong      Status = "wrong"
	NotChecked Status = "not checked" // what it takes is not there
)

// Finding is one thing that was examined.
type Finding struct {
	Status Status `json:"status"`
	What   string `json:"what"`
	Found  string `json:"found"` // in figures; what is wrong, or why nothing was checked
}

// String is one line.
func (f Finding) String() string { return fmt.Sprintf("%-11s  %s: %s", f.Status, f.What, f.Found) }

// Options say what is examined beside the program itself.
type Options struct {
	Models   []string // model files
	Omniglot string   // a folder with all_runs.zip; empty for none
}

// notChecked is why a check had nothing to look at.
type notChecked string

func (n notChecked) Error() string { return string(n) }

// check is one thing to examine. Its error is what is wrong, or a notChecked.
type check struct {
	what string
	run  func() (found string, err error)
}

// Examine makes all checks and tells of each as it is done. It ends early when
// the context does. The number of threads that graphs use changes meanwhile, and
// comes back to what it was.
func Examine(ctx context.Context, o Options, tell func(Finding)) error {
	for _, c := range checks(o) {
		if err := ctx.Err(); err != nil {
			return errors.WithStack(err)
		}
		tell(c.finding())
	}
	return nil
}

func checks(o Options) (all []check) {
	for _, engine := range vector.Engines() {
		what := "instructions " + engine.Name()
		if engine.Name() == vector.For[float32]().Name() {
			what += ", which are in use"
		}
		all = append(all, check{what, func() (string, error) { return instructions(engine) }})
	}
	for _, c := range layerCases {
		all = append(all, check{"layer " + c.name, c.run})
	}
	for i, towers := range []string{"one tower", "two towers", "three towers"} {
		all = append(all, check{"gradients of a network in " + towers, func() (string, error) { return gradients(network, i+1) }})
	}
	all = append(all,
		check{"one seed, one result", determinism},
		check{"Omniglot's official runs", func() (string, error) { return omniglot(o.Omniglot) }})
	for _, name := range zoo.Names() {
		all = append(all, check{"model zoo/" + name, func() (string, error) { return model(zoo.Load(name)) }})
	}
	for _, path := range o.Models {
		all = append(all, check{"model " + path, func() (string, error) { return modelFile(path) }})
	}
	return all
}

// finding runs the check. What panics is wrong, too.
func (c check) finding() (f Finding) {
	defer func() {
		if cause := recover(); cause != nil {
			f = Finding{Wrong, c.what, fmt.Sprint("panic: ", cause)}
		}
	}()
	found, err := c.run()
	var reason notChecked
	switch {
	case errors.As(err, &reason):
		return Finding{NotChecked, c.what, err.Error()}
	case err != nil:
		return Finding{Wrong, c.what, err.Error()}
	}
	return Finding{OK, c.what, found}
}

// modelFile looks at a model file. One whose backbone is a Go type of the user's
// own cannot be looked at beyond its checksum.
func modelFile(path string) (string, error) {
	loaded, err := likeness.Load(path)
	if errors.Is(err, likeness.ErrOwnBackbone) {
		return "", notChecked(err.Error())
	}
	return model(loaded, err)
}

// model looks at a model that was loaded, which has verified its checksum where
// there is one: does it embed the probe picture as where it was saved?
func model(m *likeness.Model, err error) (string, error) {
	if err != nil {
		return "", err
	}
	off, tolerance, err := m.ProbeDeviation()
	if errors.Is(err, likeness.ErrNoProbe) {
		return "", notChecked("no probe is stored: the file is of an earlier format, or its backbone has no form in float64")
	}
	if err != nil {
		return "", err
	}
	if !(off <= tolerance) {
		return "", errors.Errorf("the checksum holds, but the embedding of the probe picture is off by %.2g of its largest value, expected at most %.0e: it behaves otherwise here than where it was saved", off, tolerance)
	}
	identity, err := m.Identity()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v; the file's checksum holds, the embedding of the probe picture is off by %.1e of its largest value (%.0e allowed)", identity, off, tolerance), nil
}

// What the modified Hausdorff distance gets wrong of the 400 trials of Omniglot's
// official runs: 38.75 %, which its authors' demo prints as 38.8.
const (
	publishedTrials = 400
	publishedErrors = 155
)

// omniglot measures the published baseline from the official files.
func omniglot(folder string) (string, error) {
	if folder == "" {
		return "", notChecked("no folder with all_runs.zip is named")
	}
	path := filepath.Join(folder, "all_runs.zip")
	runs, err := datasets.OpenRuns(path, datasets.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		return "", notChecked("there is no " + path)
	}
	if err != nil {
		return "", err
	}
	return hausdorff(runs)
}

// hausdorff compares the errors on the runs with the published ones.
func hausdorff(runs []datasets.Run) (string, error) {
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
	found := fmt.Sprintf("the modified Hausdorff distance errs in %.2f %% of %d trials", 100*(1-score.Value), len(score.Trials))
	wrong := (1 - score.Value) * float64(len(score.Trials))
	if len(score.Trials) != publishedTrials || wrong < publishedErrors-0.5 || wrong > publishedErrors+0.5 {
		return "", errors.Errorf("%s, expected %.2f %% of %d", found, 100*float64(publishedErrors)/publishedTrials, publishedTrials)
	}
	return found + ", as published", nil
}

// inks are the ink of images of 105 × 105 bytes, ink 255.
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
