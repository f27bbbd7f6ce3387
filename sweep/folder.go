package sweep

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"github.com/gofrs/flock"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// Folder is the path of the folder that a search writes.
type Folder string

// State returns the path of sweep.json: the settings, parameters, rungs and results of the search.
func (f Folder) State() string { return filepath.Join(string(f), "sweep.json") }

// Table returns the path of trials.csv: a line for each trial, the best first.
func (f Folder) Table() string { return filepath.Join(string(f), "trials.csv") }

// Chart returns the path of sweep.svg: the validation of each trial after each epoch. The same
// chart is in sweep.png.
func (f Folder) Chart() string { return filepath.Join(string(f), "sweep.svg") }

// Trial returns the run folder of a trial, by its number from 1, which is not finished and has no model.
func (f Folder) Trial(number int) run.Folder {
	return run.Folder(filepath.Join(string(f), "trials", fmt.Sprintf("%03d", number)))
}

// Best returns the run folder of the best trial, as run.Train writes it.
func (f Folder) Best() run.Folder { return run.Folder(filepath.Join(string(f), "best")) }

// stateFormat is the version of sweep.json.
const stateFormat = "likeness-sweep/1"

// state is the content of sweep.json.
type state struct {
	Format string `json:"format"`
	// What must be equal for a search to continue.
	Settings   map[string]json.RawMessage `json:"settings"` // by their keys
	Parameters []string                   `json:"over"`
	Trials     int                        `json:"trials"`
	Eta        int                        `json:"eta"`
	Rungs      []Rung                     `json:"rungs"`

	Measure string  `json:"measure,omitempty"`
	Best    int     `json:"best,omitempty"` // the number of the best trial; 0 before it is chosen
	Results []Trial `json:"results,omitempty"`
}

// describe is the state of the search before its first trial.
func (s Search) describe(base run.Settings, rungs []Rung) (*state, error) {
	described := &state{Format: stateFormat, Settings: map[string]json.RawMessage{}, Trials: s.Trials, Eta: s.Eta, Rungs: rungs}
	for _, key := range run.Keys() {
		if key == "threads" || key == "memory" { // without an effect on the weights
			continue
		}
		value, err := json.Marshal(base.Value(key))
		if err != nil {
			return nil, errors.Wrapf(err, "setting %s", key)
		}
		described.Settings[key] = value
	}
	for _, p := range s.Parameters {
		described.Parameters = append(described.Parameters, p.String())
	}
	slices.Sort(described.Parameters)
	return described, nil
}

// find returns the result of a trial, nil if there is none.
func (s *state) find(number int) *Trial {
	for i := range s.Results {
		if s.Results[i].Number == number {
			return &s.Results[i]
		}
	}
	return nil
}

// keep replaces the result of a trial.
func (s *state) keep(trial Trial) {
	if known := s.find(trial.Number); known != nil {
		*known = trial
		return
	}
	s.Results = append(s.Results, trial)
	slices.SortFunc(s.Results, func(a, b Trial) int { return a.Number - b.Number })
}

// open makes the folder, or takes up the results of the same search in it, and locks it until
// unlock.
func (f Folder) open(s *state) (unlock func(), err error) {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Wrap(err, "--out")
	}
	for _, entry := range entries {
		if !exists(f.State()) && !atomicfile.IsTemporary(entry.Name()) && entry.Name() != run.LockName {
			return nil, errors.Errorf("--out: %s already contains %s, and no sweep.json of a search to continue: choose another folder", f, entry.Name())
		}
	}
	if err := os.MkdirAll(string(f), 0o777); err != nil {
		return nil, errors.Wrap(err, "--out")
	}
	lock := flock.New(filepath.Join(string(f), run.LockName))
	locked, err := lock.TryLock()
	unlock = func() { _ = lock.Close() }
	if err == nil && !locked {
		return unlock, errors.Errorf("--out: another process is searching in %s: wait until it ends, or choose another folder", f)
	} // some network file systems have no locks
	if err := f.load(s); err != nil {
		return unlock, err
	}
	if err := atomicfile.Sweep(string(f)); err != nil {
		return unlock, err
	}
	return unlock, f.save(s)
}

// load takes up the results of a search that is the same.
func (f Folder) load(s *state) error {
	text, err := os.ReadFile(f.State())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errors.Wrap(err, "--out")
	}
	var found state
	if err := json.Unmarshal(text, &found); err != nil {
		return errors.Wrapf(err, "--out: read %s", f.State())
	}
	if found.Format != stateFormat {
		return errors.Errorf("--out: %s has the format %q, expected %q: choose another folder", f.State(), found.Format, stateFormat)
	}
	other := func(flag string, was, is any) error {
		return errors.Errorf("--out: %s has a search with %s %v, found %v: repeat its settings to continue it, or choose another folder", f, flag, was, is)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Settings)) {
		if was, is := string(found.Settings[key]), string(s.Settings[key]); !sameJSON(was, is) {
			return other("--"+run.FlagName(key), was, is)
		}
	}
	switch {
	case !slices.Equal(found.Parameters, s.Parameters):
		return other("--over", found.Parameters, s.Parameters)
	case found.Trials != s.Trials:
		return other("--trials", found.Trials, s.Trials)
	case found.Eta != s.Eta:
		return other("--eta", found.Eta, s.Eta)
	case !slices.Equal(found.Rungs, s.Rungs):
		return other("--min-epochs and the rungs", found.Rungs, s.Rungs)
	}
	s.Measure, s.Best, s.Results = found.Measure, found.Best, found.Results
	return nil
}

// sameJSON compares two values, which may be written with different spaces.
func sameJSON(a, b string) bool {
	var first, second any
	if json.Unmarshal([]byte(a), &first) != nil || json.Unmarshal([]byte(b), &second) != nil {
		return a == b
	}
	return reflect.DeepEqual(first, second)
}

// save writes the state, whole or not at all.
func (f Folder) save(s *state) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return errors.Wrap(err, "save the search")
	}
	return atomicfile.WriteFile(f.State(), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// Columns returns the title and the cells of the table of trials, the best first: the number, what became
// of the trial, its epochs and steps, the validation, and the drawn values. A value without an
// effect is empty.
func (r *Result) Columns() (title []string, rows [][]string) {
	if r == nil {
		return nil, nil
	}
	keys := map[string]bool{}
	for _, trial := range r.Trials {
		for key := range trial.Values {
			keys[key] = true
		}
	}
	title = []string{"trial", "state", "epochs", "steps", "validation"}
	sorted := slices.Sorted(maps.Keys(keys))
	for _, key := range sorted {
		title = append(title, run.FlagName(key))
	}
	for i, trial := range r.Trials {
		state := "stopped"
		switch {
		case trial.Failed != "":
			state = trial.Failed
		case i == 0:
			state = "best"
		case len(r.Rungs) > 0 && trial.Epochs == r.Rungs[len(r.Rungs)-1].Epochs:
			state = "finished"
		}
		validation := ""
		if trial.Validation != nil && trial.Failed == "" {
			validation = strconv.FormatFloat(*trial.Validation, 'f', 4, 64)
		}
		row := []string{strconv.Itoa(trial.Number), state, strconv.Itoa(trial.Epochs), strconv.Itoa(trial.Steps), validation}
		for _, key := range sorted {
			row = append(row, trial.Values[key])
		}
		rows = append(rows, row)
	}
	return title, rows
}

// writeTables writes the table and the chart.
func (f Folder) writeTables(r *Result) error {
	title, rows := r.Columns()
	err := atomicfile.WriteFile(f.Table(), func(w io.Writer) error {
		table := csv.NewWriter(w)
		_ = table.Write(title) // WriteAll returns its error
		return table.WriteAll(rows)
	})
	if err != nil {
		return err
	}
	return f.drawChart(r)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isZero(value any) bool { return reflect.ValueOf(value).IsZero() }
