package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/sweep"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// comparison compares all losses of labeled images with equal budgets: with their defaults, and
// with settings that successive halving chooses on held-out classes.
type comparison struct {
	work               string // folder of the rows and the searches
	pictures, omniglot string
	seeds              int
	trials, steps      int // of each search and of each training on Caltech-101
	drawnTrials        int // the same on Omniglot; 0 for as many
	drawnSteps         int
	only               string
	record             bool // writes the record of the finished rows, and measures nothing
	out                string
	commit             string
	command            string
	trainings          run.Trials
	last               time.Time // when the last row was added
}

// epochs of each training, after each of which it is validated and a rung may end.
const compareEpochs = 9

// task is a set of images with its settings and its test.
type task struct {
	name     string
	primary  string // the metric of the chart
	metrics  []string
	trials   int    // of each search
	steps    int    // of each training
	rates    string // learning rates that are searched
	settings run.Settings
	given    map[string]bool
	start    string // the baseline that is the model before the first step; empty if baseline has it
	test     func(ctx context.Context, model *likeness.Model) (map[string]evaluate.Estimate, error)
	baseline func(ctx context.Context) ([]row, error)
}

func (c *comparison) run(ctx context.Context) error {
	c.drawnTrials, c.drawnSteps = cmp.Or(c.drawnTrials, c.trials), cmp.Or(c.drawnSteps, c.steps)
	for _, number := range []struct {
		flag         string
		value, least int
	}{
		{"trials", c.trials, 1}, {"omniglot-trials", c.drawnTrials, 1}, {"seeds", c.seeds, 1},
		{"steps", c.steps, compareEpochs}, {"omniglot-steps", c.drawnSteps, compareEpochs},
	} {
		if number.value < number.least || number.value%number.least != 0 {
			return errors.Errorf("-%s: found %d, expected a multiple of %d above 0", number.flag, number.value, number.least)
		}
	}
	var err error
	if c.commit, err = record.Commit(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.work, 0o777); err != nil {
		return err
	}
	c.last = time.Now()
	var tasks []*task
	if c.pictures != "" {
		t, err := c.caltech()
		if err != nil {
			return err
		}
		tasks = append(tasks, t)
	}
	if c.omniglot != "" {
		t, err := c.drawings()
		if err != nil {
			return err
		}
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return errors.New("-pictures and -omniglot: found neither, expected Caltech-101's folder 101_ObjectCategories, that of Omniglot's files, or both")
	}
	// The searches are last, so that a comparison that was stopped has all losses with their defaults.
	for _, part := range []func(context.Context, *task) error{c.measureBaselines, c.measureDefaults, c.measureSearched} {
		for _, t := range tasks {
			if c.record {
				continue
			}
			if err := part(ctx, t); err != nil {
				return errors.WithMessage(err, t.name)
			}
		}
	}
	if c.only != "" {
		log.Print("no record, because -only leaves out losses")
		return nil
	}
	rows, err := c.rows()
	if err != nil {
		return err
	}
	took := 0.0
	for _, r := range rows {
		took += r.Took
	}
	return c.write(tasks, rows, time.Duration(took*float64(time.Second)))
}

// losses are those that use labels. Losses without labels are not selected by validation, and
// need augmented images, of which frozen layers cannot be computed once.
func (c *comparison) losses() (names []string) {
	for _, name := range objectives.Names {
		loss, _, err := objectives.Named(name, headOf(name), objectives.Options{Features: 1})
		if err == nil && loss.Kind() != datasets.Views && strings.Contains(name, c.only) {
			names = append(names, name)
		}
	}
	return names
}

// headOf is the distance of a loss: its default one, which prototypical does not support.
func headOf(loss string) string {
	head := objectives.DefaultHead(loss)
	if _, _, err := objectives.Named(loss, head, objectives.Options{Features: 1}); err != nil {
		return "cosine"
	}
	return head
}

// finished are the rows of a task that were measured before, by their keys.
func (c *comparison) finished(t *task) (map[string]bool, error) {
	rows, err := c.rows()
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, r := range rows {
		done[r.key()] = true
		if r.Set == t.name && r.Variant == "" && r.Method != t.start {
			done[""] = true
		}
	}
	return done, nil
}

// measureBaselines adds the baselines of a task.
func (c *comparison) measureBaselines(ctx context.Context, t *task) error {
	done, err := c.finished(t)
	if err != nil || done[""] {
		return err
	}
	rows, err := t.baseline(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		r.Set = t.name
		if err := c.add(r); err != nil {
			return err
		}
	}
	return nil
}

// measureDefaults adds the missing rows of the losses with their defaults.
func (c *comparison) measureDefaults(ctx context.Context, t *task) error {
	done, err := c.finished(t)
	if err != nil {
		return err
	}
	for _, loss := range c.losses() {
		for seed := uint64(1); seed <= uint64(c.seeds); seed++ {
			r := row{Set: t.name, Method: loss, Variant: "defaults", Seed: seed, Steps: t.steps}
			if done[r.key()] {
				continue
			}
			if err := c.train(ctx, t, &r, nil); err != nil {
				return errors.WithMessage(err, loss)
			}
		}
	}
	return nil
}

// measureSearched adds the missing rows of the losses with the settings that a search has chosen.
func (c *comparison) measureSearched(ctx context.Context, t *task) error {
	done, err := c.finished(t)
	if err != nil {
		return err
	}
	for _, loss := range c.losses() {
		r := row{Set: t.name, Method: loss, Variant: "searched", Trials: t.trials, Steps: t.steps}
		missing := false
		for r.Seed = 1; r.Seed <= uint64(c.seeds); r.Seed++ {
			missing = missing || !done[r.key()]
		}
		if !missing {
			continue
		}
		found, seconds, err := c.search(ctx, t, loss)
		failed := errors.Is(err, sweep.ErrAllFailed)
		if err != nil && !failed {
			return errors.WithMessage(err, loss)
		}
		for r.Seed = 1; r.Seed <= uint64(c.seeds); r.Seed++ {
			if done[r.key()] {
				continue
			}
			r.Search = seconds
			if failed {
				if err := c.add(row{Set: r.Set, Method: r.Method, Variant: r.Variant, Seed: r.Seed, Trials: r.Trials, Steps: r.Steps, Failed: err.Error()}); err != nil {
					return err
				}
				continue
			}
			if err := c.train(ctx, t, &r, found); err != nil {
				return errors.WithMessage(err, loss)
			}
		}
	}
	return nil
}

// train trains a loss, with the values that a search has chosen or with defaults, measures it on
// the test classes and adds the row.
func (c *comparison) train(ctx context.Context, t *task, r *row, values map[string]string) error {
	settings, given := t.settings, maps.Clone(t.given)
	settings.Objective, settings.Seed = r.Method, r.Seed
	given["objective"], given["seed"] = true, true
	if head := headOf(r.Method); head != objectives.DefaultHead(r.Method) {
		settings.Head, given["head"] = head, true
	}
	for key, value := range values {
		if err := settings.Parse(key, value); err != nil {
			return err
		}
		given[key] = true
	}
	configured, _, err := run.Configure("", settings, given)
	if err != nil {
		return err
	}
	folder := filepath.Join(c.work, "training") // one at a time
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	var steps stopwatch
	trained, err := c.trainings.Train(ctx, configured, run.Folder(folder), configured.Epochs, steps.observer())
	switch {
	case errors.Is(err, trainer.ErrNotFinite), errors.Is(err, run.ErrRefused):
		r.Failed = err.Error()
	case err != nil:
		return err
	default:
		estimates, err := t.test(ctx, trained.Model)
		if err != nil {
			return err
		}
		if err := c.addStart(ctx, t, trained); err != nil {
			return err
		}
		r.fill(estimates)
		r.Seconds, r.Failed = steps.seconds(), trained.Collapsed
		for _, epoch := range trained.Training.Epochs {
			if epoch.Epoch == trained.Training.BestEpoch && epoch.Validation != nil {
				r.Chosen = *epoch.Validation
			}
		}
	}
	r.Settings = values
	return c.add(*r)
}

// addStart adds the baseline that is the model before the first step, once for each seed.
func (c *comparison) addStart(ctx context.Context, t *task, trained *run.Trial) error {
	if t.start == "" {
		return nil
	}
	start := row{Set: t.name, Method: t.start, Seed: trained.Settings.Seed}
	done, err := c.finished(t)
	if err != nil || done[start.key()] {
		return err
	}
	estimates, err := t.test(ctx, trained.Start)
	if err != nil {
		return err
	}
	start.fill(estimates)
	return c.add(start)
}

func (r *row) fill(estimates map[string]evaluate.Estimate) {
	r.Values, r.Low, r.High = map[string]float64{}, map[string]float64{}, map[string]float64{}
	for name, e := range estimates {
		r.Values[name], r.Low[name], r.High[name] = e.Value, e.Low, e.High
	}
}

// search chooses the settings of a loss on held-out classes, with the seed 1.
func (c *comparison) search(ctx context.Context, t *task, loss string) (map[string]string, float64, error) {
	s := sweep.Search{Settings: t.settings, Given: maps.Clone(t.given), Trials: t.trials, Trainings: &c.trainings}
	s.Settings.Objective, s.Settings.Seed = loss, 1
	s.Given["objective"], s.Given["seed"] = true, true
	if head := headOf(loss); head != objectives.DefaultHead(loss) {
		s.Settings.Head, s.Given["head"] = head, true
	}
	s.Out = filepath.Join(c.work, fmt.Sprintf("%s-%s-%d-%d", t.name, loss, t.trials, t.steps))
	for _, text := range append([]string{"learning-rate=" + t.rates}, spaceOf(loss)...) {
		p, err := sweep.ParseParameter(text)
		if err != nil {
			return nil, 0, err
		}
		s.Parameters = append(s.Parameters, p)
		delete(s.Given, p.Key)
	}
	var steps stopwatch
	result, err := s.Choose(ctx, &sweep.Observer{Training: steps.observer()})
	if err != nil {
		return nil, 0, err
	}
	// A search that continues has taken some steps in another process.
	count := 0
	for _, trial := range result.Trials {
		count += trial.Steps
	}
	seconds := steps.median() * float64(count)
	for _, trial := range result.Trials {
		if err := os.RemoveAll(string(result.Folder.Trial(trial.Number))); err != nil { // checkpoints are large
			return nil, 0, err
		}
	}
	return result.Best.Values, seconds, nil
}

// stopwatch takes the time of steps. Its seconds are the median of a step times their number, so
// that a pause, or other programs for a while, do not count.
type stopwatch struct {
	last  time.Time // zero at the beginning and after a validation
	steps []float64 // seconds of each that is measured
	count int
}

func (s *stopwatch) observer() *run.Observer {
	return &run.Observer{
		Step: func(trainer.Step) {
			now := time.Now()
			if s.count++; !s.last.IsZero() {
				s.steps = append(s.steps, now.Sub(s.last).Seconds())
			}
			s.last = now
		},
		Epoch: func(trainer.Epoch) { s.last = time.Time{} },
	}
}

// median is the median of the seconds of a step; 0 if none was measured.
func (s *stopwatch) median() float64 {
	if len(s.steps) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.steps))
	return sorted[len(sorted)/2]
}

func (s *stopwatch) seconds() float64 { return s.median() * float64(s.count) }

// spaceOf is what is searched for a loss beside the learning rate: its numbers around those of its paper.
func spaceOf(loss string) []string {
	switch loss {
	case "contrastive", "batch-contrastive":
		return []string{"margin=0.1..1"}
	case "triplet", "batch-all", "batch-hard", "semi-hard":
		return []string{"margin=0.02..0.5"}
	case "triplet-ratio", "batch-ratio":
		return []string{"scale=5..80"}
	case "n-pair", "supervised-contrastive", "nca", "prototypical":
		return []string{"temperature=0.02..0.5"}
	case "normalized-softmax", "proxy-nca++", "proxy-nca":
		return []string{"temperature=0.02..0.5", "loss-rate=1..1000"}
	case "smooth-ap":
		return []string{"temperature=0.003..0.1"}
	case "multi-similarity":
		return []string{"positive-scale=1..10", "negative-scale=10..100", "base=0.3..1"}
	case "circle":
		return []string{"margin=0.1..0.5", "scale=16..256"}
	case "tuplet-margin":
		return []string{"margin=2..12", "scale=16..128"}
	case "angular":
		return []string{"angle=25..55"}
	case "margin":
		return []string{"margin=0.05..0.5", "beta=0.6..1.4"}
	case "fastap":
		return []string{"bins=5..40"}
	case "lifted-structure":
		return []string{"margin=0.2..2"}
	case "arcface", "subcenter-arcface":
		return []string{"margin=5..40", "scale=8..64", "loss-rate=1..1000"}
	case "cosface":
		return []string{"margin=0.05..0.5", "scale=8..64", "loss-rate=1..1000"}
	case "soft-triple":
		return []string{"margin=0.005..0.1", "scale=8..64", "loss-rate=1..1000"}
	case "proxy-anchor":
		return []string{"margin=0.02..0.4", "scale=8..64", "loss-rate=1..1000"}
	}
	return nil // cross-entropy and batch-cross-entropy have no numbers
}

// adapted measures what likeness adapt makes of embeddings.
func adapted(ctx context.Context, metric evaluate.Metric, training, test evaluate.Labeled, o adapt.Options) (evaluate.Labeled, float64, error) {
	start := time.Now()
	fitted, err := adapt.Fit(ctx, metric, training, o)
	if err != nil {
		return test, 0, err
	}
	seconds := time.Since(start).Seconds()
	embeddings, err := fitted.Apply(test.Embeddings)
	return evaluate.Labeled{Embeddings: embeddings, Labels: test.Labels}, seconds, err
}
