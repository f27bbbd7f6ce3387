package sweep

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Search is a search for the best settings of a training. Parameters and Out are required.
type Search struct {
	// Settings are those of all trials, and the seed of the search; zeros are defaults. Out is not
	// used. ValidationClasses is 0.2 unless it is given.
	Settings run.Settings
	Config   string          // a settings file, see run.Configure; may be empty
	Given    map[string]bool // the keys of Settings that replace those of Config; nil means all that are not zero

	Parameters []Parameter
	Trials     int    // 0 means 20
	Eta        int    // one trial in Eta goes on to the next rung; 0 means 3
	MinEpochs  int    // of the first rung; 0 means 1
	Out        string // folder to write, which is new, or has the same search to continue

	// Trainings keeps what trials have in common from one search to the next; may be nil.
	Trainings *run.Trials
}

// Trial is a training with drawn settings.
type Trial struct {
	Number int `json:"trial,omitempty"` // from 1
	// Values are the drawn values by the keys of their settings, as the flags have them. Options
	// that have no effect beside the others are left out.
	Values map[string]string `json:"values,omitempty"`
	Epochs int               `json:"epochs,omitempty"` // to the end of the last rung that it was trained in
	Steps  int               `json:"steps,omitempty"`
	// Validation is the largest of an epoch so far; nil if there is none.
	Validation *float64 `json:"validation,omitempty"`
	BestEpoch  int      `json:"best_epoch,omitempty"`
	Failed     string   `json:"failed,omitempty"` // why the trial is worse than all others; empty if it is not
	Seconds    float64  `json:"seconds,omitempty"`
	Curve      []Point  `json:"curve,omitempty"`

	settings run.Settings
	refused  bool // by its settings, in this process
}

// Point is the validation after a number of steps.
type Point struct {
	Steps      int     `json:"steps,omitempty"`
	Validation float64 `json:"validation,omitempty"`
}

// String describes a trial by its number and values.
func (t Trial) String() string { return fmt.Sprintf("trial %d (%s)", t.Number, textOf(t.Values)) }

// Result is the result of a search.
type Result struct {
	Folder  Folder
	Rungs   []Rung
	Measure string  // what the validation measures
	Trials  []Trial // the best first, failed ones last
	Best    Trial
	// Settings are those of the best trial, as run.Configure returns them.
	Settings run.Settings
	// Run is the training of the best trial, measured; nil after Choose.
	Run *run.Result
}

// Observer receives the progress of a search. A nil Observer and nil functions are allowed.
type Observer struct {
	// Began is called before the first trial, with what the search will do.
	Began func(rungs []Rung, continued bool)
	// Trial is called when a trial of a rung, both counted from 1, has been trained or has failed.
	Trial func(rung int, trial Trial)
	// Chosen is called with the trials, the best first, before the best one is measured.
	Chosen func(result *Result)
	// Training observes the training of each trial, and Best that of the best one, which ends
	// with its measurement.
	Training, Best *run.Observer
}

// ErrAllFailed is the error of a search of which no trial could be trained.
var ErrAllFailed = errors.New("all trials failed")

// allFailed is an ErrAllFailed with its reason.
type allFailed struct{ error }

func (a allFailed) Is(target error) bool { return target == ErrAllFailed }
func (a allFailed) Unwrap() error        { return a.error }

const (
	defaultTrials = 20
	defaultEta    = 3
	// defaultValidationClasses are more than those of a training, because a choice among many
	// trials follows chance more than that among the epochs of one.
	defaultValidationClasses = 0.2
)

// Run searches, trains the best trial to its end and measures it on the test data, as run.Train
// does. The run folder of the best trial equals that of run.Train with its settings, bit for bit,
// but for the times. A search that did not end continues where it was; other settings in the same
// folder are an error, and nothing is changed. A trial that fails counts as the worst. If all fail,
// the error is that of the first one, an ErrAllFailed.
func (s Search) Run(ctx context.Context, observer *Observer) (*Result, error) {
	if observer == nil {
		observer = &Observer{}
	}
	result, unlock, err := s.choose(ctx, observer)
	if err != nil {
		return nil, err
	}
	defer unlock()
	folder := result.Folder.Best()
	if exists(folder.Report()) && !exists(folder.Checkpoint()) {
		return nil, errors.Errorf("--out: the search in %s is finished: see likeness eval --run %s, or choose another folder", s.Out, folder)
	}
	if !exists(folder.Config()) {
		if err := s.begin(result, folder); err != nil {
			return nil, err
		}
	}
	if result.Run, err = run.Resume(ctx, folder, false, observer.Best); err != nil {
		return nil, errors.WithMessagef(err, "train the best of the trials, %v", result.Best)
	}
	if result.Run.Training.Stopped == trainer.Interrupted || result.Run.Refit != nil && result.Run.Refit.Stopped == trainer.Interrupted {
		return nil, errors.Errorf("interrupted: the same command with --out %s continues", s.Out)
	}
	return result, s.removeCheckpoints(pointers(result.Trials), nil)
}

// Choose is Run without the measurement of the best trial, which reads no test data. A search that
// has chosen is not searched again.
func (s Search) Choose(ctx context.Context, observer *Observer) (*Result, error) {
	if observer == nil {
		observer = &Observer{}
	}
	result, unlock, err := s.choose(ctx, observer)
	if err != nil {
		return nil, err
	}
	unlock()
	return result, nil
}

// choose trains the trials. The folder stays locked until unlock.
func (s Search) choose(ctx context.Context, observer *Observer) (result *Result, unlock func(), err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("a function of the observer panics: %v", cause)
		}
		if err != nil && unlock != nil {
			unlock()
			unlock = nil
		}
	}()
	if ctx == nil {
		return nil, nil, errors.New("sweep: found no context")
	}
	s, state, err := s.prepare()
	if err != nil {
		return nil, nil, err
	}
	trials, err := s.draw()
	if err != nil {
		return nil, nil, err
	}
	base, err := s.with(nil)
	if err != nil {
		return nil, nil, err
	}
	if err := s.Trainings.Check(base, observer.Training); err != nil && !errors.Is(err, run.ErrRefused) {
		return nil, nil, explained(err)
	}
	folder := Folder(s.Out)
	if unlock, err = folder.open(state); err != nil {
		return nil, unlock, err
	}
	continued := len(state.Results) > 0
	all := make([]*Trial, len(trials))
	for i := range trials {
		all[i] = &trials[i]
		if done := state.find(trials[i].Number); done != nil {
			if !maps.Equal(done.Values, trials[i].Values) {
				return nil, unlock, errors.Errorf("--out: %s has trial %d with %s, expected %s: another version drew it, choose another folder", folder.State(), done.Number, textOf(done.Values), textOf(trials[i].Values))
			}
			settings := trials[i].settings
			trials[i] = *done
			trials[i].settings = settings
		}
	}
	if observer.Began != nil {
		observer.Began(slices.Clone(state.Rungs), continued)
	}
	candidates := slices.Clone(all)
	for k, rung := range state.Rungs {
		if k > 0 {
			candidates = promoted(candidates, rung.Trials)
		}
		for i := 0; i < len(candidates); i++ {
			if err := s.advance(ctx, candidates[i], k, state, observer); err != nil {
				return nil, unlock, err
			}
			if k > 0 && i == len(candidates)-1 && len(promoted(candidates, 1)) == 0 {
				// All failed that were promoted: the best of the others is trained in their place.
				others := slices.DeleteFunc(slices.Clone(all), func(t *Trial) bool { return t.Failed != "" })
				rank(others)
				slices.SortStableFunc(others, func(a, b *Trial) int { return cmp.Compare(b.Epochs, a.Epochs) })
				candidates = append(candidates, others[:min(1, len(others))]...)
			}
		}
		if err := s.removeCheckpoints(all, candidates); err != nil {
			return nil, unlock, err
		}
	}
	if refusal := allRefused(all); refusal != nil {
		// The folder stays free for corrected settings.
		if err := os.Remove(folder.State()); err != nil {
			return nil, unlock, errors.Wrap(err, "--out")
		}
		return nil, unlock, allFailed{errors.Errorf("none of the %d trials can be trained: %v: %s", len(all), refusal, refusal.Failed)}
	}
	rank(all)
	result = &Result{Folder: folder, Rungs: state.Rungs, Measure: state.Measure}
	for _, trial := range finalOrder(all, candidates) {
		result.Trials = append(result.Trials, *trial)
	}
	if err := folder.writeTables(result); err != nil {
		return nil, unlock, err
	}
	if result.Best = result.Trials[0]; result.Best.Failed != "" {
		return nil, unlock, allFailed{errors.Errorf("all %d trials failed, %s lists them; %v: %s", len(trials), folder.Table(), trials[0], trials[0].Failed)}
	}
	result.Settings = result.Best.settings
	state.Best = result.Best.Number
	if err := folder.save(state); err != nil {
		return nil, unlock, err
	}
	if observer.Chosen != nil {
		observer.Chosen(result)
	}
	return result, unlock, nil
}

// allRefused returns the first trial if none has taken a step or could.
func allRefused(trials []*Trial) *Trial {
	for _, trial := range trials {
		if !trial.refused {
			return nil
		}
	}
	return trials[0]
}

func pointers(trials []Trial) (all []*Trial) {
	for i := range trials {
		all = append(all, &trials[i])
	}
	return all
}

// finalOrder orders the trials for the table: those of the last rung, with the best first, and
// then the others. A trial that was trained for fewer epochs is not better than one of the last rung.
func finalOrder(ranked, last []*Trial) []*Trial {
	isLast := func(t *Trial) bool { return t.Failed == "" && slices.Contains(last, t) }
	order := slices.Clone(ranked)
	slices.SortStableFunc(order, func(a, b *Trial) int {
		side := func(t *Trial) int {
			switch {
			case isLast(t):
				return 0
			case t.Failed == "":
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(side(a), side(b)), cmp.Compare(b.Epochs, a.Epochs))
	})
	return order
}

// prepare replaces zeros by defaults, and checks.
func (s Search) prepare() (Search, *state, error) {
	s.Trials, s.Eta, s.MinEpochs = cmp.Or(s.Trials, defaultTrials), cmp.Or(s.Eta, defaultEta), cmp.Or(s.MinEpochs, 1)
	if s.Given == nil {
		s.Given = map[string]bool{}
		for _, key := range run.Keys() {
			if value := s.Settings.Value(key); !isZero(value) {
				s.Given[key] = true
			}
		}
	}
	s.Given = maps.Clone(s.Given)
	if s.Trainings == nil {
		s.Trainings = &run.Trials{}
	}
	switch {
	case s.Out == "":
		return s, nil, errors.New("--out: found no folder, expected one to write the trials to")
	case len(s.Parameters) == 0:
		return s, nil, errors.New("--over: found no setting to search, expected one or more such as --over learning-rate=1e-4..1e-2")
	case s.Settings.TensorBoard:
		return s, nil, errors.New("--tensorboard: a search writes no event files: leave it out")
	}
	for i, p := range s.Parameters {
		if err := p.check(); err != nil {
			return s, nil, errors.WithMessagef(err, "--over %v", p)
		}
		if slices.ContainsFunc(s.Parameters[:i], func(other Parameter) bool { return other.Key == p.Key }) {
			return s, nil, errors.Errorf("--over %v: the setting is there twice", p)
		}
		if s.Given[p.Key] {
			return s, nil, errors.Errorf("--%s: found %v, but --over %v searches it: leave out one of the two", run.FlagName(p.Key), s.Settings.Value(p.Key), p)
		}
	}
	base, err := s.with(nil)
	if err != nil {
		return s, nil, err
	}
	if !s.Given["validation_classes"] && base.ValidationClasses == 0 {
		s.Settings.ValidationClasses, s.Given["validation_classes"] = defaultValidationClasses, true
		if base, err = s.with(nil); err != nil {
			return s, nil, err
		}
	}
	if err := base.Check(); err != nil {
		return s, nil, err
	}
	rungs, err := Rungs(s.Trials, base.Epochs, s.Eta, s.MinEpochs)
	if err != nil {
		return s, nil, err
	}
	described, err := s.describe(base, rungs)
	return s, described, err
}

// with are the settings of a trial: those of all trials and, as if they were given, its own.
func (s Search) with(values map[string]string) (run.Settings, error) {
	settings, given := s.Settings, maps.Clone(s.Given)
	for key, value := range values {
		if err := settings.Parse(key, value); err != nil {
			return run.Settings{}, err
		}
		given[key] = true
	}
	settings.Out = ""
	configured, _, err := run.Configure(s.Config, settings, given)
	return configured, err
}

// seed is that of the search.
func (s Search) seed() uint64 {
	if s.Given["seed"] {
		return s.Settings.Seed
	}
	if base, err := s.with(nil); err == nil {
		return base.Seed
	}
	return 1
}

// advance trains a trial in a rung, unless that was done before, and saves what became of it.
func (s Search) advance(ctx context.Context, trial *Trial, k int, state *state, observer *Observer) error {
	rung := state.Rungs[k]
	if trial.Failed != "" || trial.Epochs >= rung.Epochs {
		return nil
	}
	if err := s.train(ctx, trial, rung, state, observer.Training); err != nil {
		if ctx.Err() != nil {
			return errors.Errorf("interrupted: the same command with --out %s continues", s.Out)
		}
		return errors.WithMessagef(err, "%v", trial)
	}
	state.keep(*trial)
	if err := Folder(s.Out).save(state); err != nil {
		return err
	}
	if observer.Trial != nil {
		observer.Trial(k+1, *trial)
	}
	return nil
}

// train trains a trial until the end of a rung.
func (s Search) train(ctx context.Context, trial *Trial, rung Rung, state *state, observer *run.Observer) error {
	part, err := s.Trainings.Train(ctx, trial.settings, Folder(s.Out).Trial(trial.Number), rung.Epochs, observer)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, trainer.ErrNotFinite), errors.Is(err, run.ErrRefused):
		trial.Failed, trial.refused = err.Error(), errors.Is(err, run.ErrRefused)
		return nil
	case err != nil:
		return explained(err)
	}
	trial.Epochs, trial.BestEpoch = rung.Epochs, part.Training.BestEpoch
	trial.Steps, trial.Seconds, trial.Curve, trial.Validation = part.Training.Steps, part.Training.Seconds, nil, nil
	state.Measure = part.Measure
	for i, epoch := range part.Training.Epochs {
		if epoch.Validation == nil {
			continue
		}
		steps := part.Training.Steps * (i + 1) / len(part.Training.Epochs)
		trial.Curve = append(trial.Curve, Point{steps, *epoch.Validation})
		if trial.Validation == nil || *epoch.Validation > *trial.Validation {
			trial.Validation = epoch.Validation
		}
	}
	trial.Failed = part.Collapsed
	return nil
}

// explained says what to do about data of which no classes are held out.
func explained(err error) error {
	if !errors.Is(err, run.ErrNoValidationClasses) {
		return err
	}
	return errors.New("--validation-classes: trials are compared on classes that are held out for validation, and this data has none: at least twenty classes for training are needed, or a folder val with other classes, and a loss that uses labels")
}

// removeCheckpoints removes those of trials that are not trained any more after a rung.
func (s Search) removeCheckpoints(all, candidates []*Trial) error {
	for _, trial := range all {
		if slices.Contains(candidates, trial) && trial.Failed == "" {
			continue
		}
		if err := os.Remove(Folder(s.Out).Trial(trial.Number).Checkpoint()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Wrap(err, "remove the checkpoint of a trial that is not continued")
		}
	}
	return nil
}

// begin makes the run folder of the best trial, which run.Resume brings to its end. Its
// config.toml, without which it is made again, is the last file.
func (s Search) begin(result *Result, folder run.Folder) error {
	trial := result.Folder.Trial(result.Best.Number)
	if err := os.MkdirAll(string(folder), 0o777); err != nil {
		return errors.Wrap(err, "continue the best trial")
	}
	for _, file := range []func(run.Folder) string{run.Folder.Checkpoint, run.Folder.Metrics, run.Folder.Config} {
		content, err := os.ReadFile(file(trial))
		if err != nil {
			return errors.Wrap(err, "continue the best trial")
		}
		err = atomicfile.WriteFile(file(folder), func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
		if err != nil {
			return errors.Wrap(err, "continue the best trial")
		}
	}
	return nil
}
