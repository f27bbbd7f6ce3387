package run

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
)

// givenDefaults makes the test independent of what the default job is.
func givenDefaults(t *testing.T) {
	t.Helper()
	before := generalDefaults
	t.Cleanup(func() { generalDefaults = before })
	generalDefaults = Settings{Backbone: "conv4", Width: 32, BatchNorm: true, Objective: "contrastive", Batch: 128, Schedule: "cosine"}
}

// Flags take precedence over the file, and the file over the defaults. An option does not
// outlive the choice that it belongs to.
func TestPrecedence(t *testing.T) {
	inFolder(t)
	givenDefaults(t)
	tests := []struct {
		name, file string
		flags      Settings
		given      string
		want       func(*Settings)
	}{
		{"nothing", "", Settings{}, "", func(*Settings) {}},
		{"a file", "batch = 5\nseed = 9", Settings{}, "", func(s *Settings) { s.Batch, s.Seed = 5, 9 }},
		{"a flag over a file", "batch = 5\nseed = 9", Settings{Batch: 7}, "batch", func(s *Settings) { s.Batch, s.Seed = 7, 9 }},
		{"a flag of zero", "limit = 5", Settings{}, "limit", func(*Settings) {}},
		{"another backbone", "", Settings{Backbone: "koch"}, "backbone", func(s *Settings) { s.Backbone, s.Width, s.BatchNorm = "koch", 0, false }},
		{"another backbone with its width", "backbone = \"residual\"\nwidth = 8", Settings{}, "", func(s *Settings) { s.Backbone, s.Width, s.BatchNorm = "residual", 8, false }},
		{"back to the default backbone", "backbone = \"residual\"\nwidth = 8", Settings{Backbone: "conv4"}, "backbone", func(*Settings) {}},
		{"the same backbone", "backbone = \"conv4\"\nwidth = 8", Settings{Backbone: "conv4"}, "backbone", func(s *Settings) { s.Width = 8 }},
		{"another objective", "margin = 3.0\nhead = \"l1\"", Settings{Objective: "triplet"}, "objective", func(s *Settings) { s.Objective, s.Head = "triplet", "l1" }},
		{"another schedule", "schedule = \"exponential\"\ndecay = 0.9", Settings{Schedule: "constant"}, "schedule", func(s *Settings) { s.Schedule = "constant" }},
		{"a model to start from", "", Settings{From: "run"}, "from", func(s *Settings) { s.From, s.Backbone, s.Width, s.BatchNorm = "run", "", 0, false }},
	}
	for _, test := range tests {
		write(t, "config.toml", test.file)
		given := map[string]bool{}
		for _, key := range strings.Fields(test.given) {
			given[key] = true
		}
		got, _, err := Configure("config.toml", test.flags, given)
		want := generalDefaults
		test.want(&want)
		if diff := cmp.Diff(want, got, settingsEqual); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// An option of two choices that change at once is the same each time.
func TestPrecedenceOfTwoChoices(t *testing.T) {
	givenDefaults(t)
	before := Settings{Backbone: "residual", Width: 8}
	above := Settings{Backbone: "conv4", From: "run"} // the default backbone, which has a width, and another model, which has its own
	for range 20 {
		got := before.under(above, map[string]bool{"backbone": true, "from": true})
		if diff := cmp.Diff(above, got, settingsEqual); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// Only what somebody chose is said to differ from the default.
func TestChanges(t *testing.T) {
	givenDefaults(t)
	s := generalDefaults.under(Settings{Backbone: "residual", Batch: 64, Margin: 2}, map[string]bool{"backbone": true, "batch": true, "margin": true})
	want := []string{"backbone = residual (default conv4)", "margin = 2", "batch = 64 (default 128)"}
	if diff := cmp.Diff(want, s.changes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if changes := generalDefaults.changes(); len(changes) > 0 {
		t.Errorf("the defaults differ from themselves: %q", changes)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]string{
		"": "0x0x0", "32": "32x32x0", "32x48": "32x48x0", "32x48x3": "32x48x3",
		"32x": "", "32x48x3x1": "", "0x5": "", "-4": "", "a": "",
	} {
		size, err := ParseSize(text)
		if got := fmt.Sprint(size); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%q: found %s, %v; want %q", text, got, err, want)
		}
	}
}

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "unlimited": math.MaxInt64, "512MiB": 512 << 20, "1.5GiB": 3 << 29, "2GB": 2e9, "1KiB": 1024, "1TiB": 1 << 40, "3KB": 3000,
		"0GiB": -1, "-1GiB": -1, "2": -1, "GiB": -1, "2 GiB": -1, "2gib": -1, "9e9TiB": -1, "NaNGiB": -1, "InfGiB": -1, "0.0001KiB": -1, "none": -1,
	} {
		found, err := ParseMemory(text)
		if err == nil && found != want || (err != nil) != (want < 0) {
			t.Errorf("%q: found %d, %v; want %d", text, found, err, want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "found ") {
			t.Errorf("%q: found error %v", text, err)
		}
	}
	if err := (Settings{Memory: "1 GB"}).Check(); err == nil || !strings.Contains(err.Error(), `--memory: found "1 GB", expected a number above 0 with the unit KiB`) {
		t.Errorf("found error %v", err)
	}
}

// Every setting that is a number is refused, by the name of its flag, where it is
// not finite or below or above what any training can have, also where another
// setting turns it off.
func TestEveryNumberIsChecked(t *testing.T) {
	checked := 0
	for field := range fields() {
		var wrong []any
		switch field.Type.Kind() {
		case reflect.Float64:
			wrong = []any{math.NaN(), math.Inf(1), math.Inf(-1), -1.}
		case reflect.Int:
			wrong = []any{-1, math.MinInt}
		default:
			continue
		}
		checked++
		lowest, highest, err := limits(field)
		if err != nil {
			t.Fatal(err)
		}
		if field.Type.Kind() == reflect.Float64 && !math.IsInf(highest, 1) {
			wrong = append(wrong, highest*1.001)
		} else if !math.IsInf(highest, 1) {
			wrong = append(wrong, int(highest)+1)
		}
		if lowest > 0 {
			wrong = append(wrong, reflect.Zero(field.Type).Interface())
		}
		key := keyOf(field)
		for _, value := range wrong {
			s := generalDefaults
			s.field(key).Set(reflect.ValueOf(value))
			want := fmt.Sprintf("--%s: found %v, expected ", FlagName(key), value)
			if err := s.check(); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s = %v: found %v, expected %s…", key, value, err, want)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d settings are numbers", checked)
	}
	if err := generalDefaults.check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// A config file of one choice and a flag of another are the training that the flag
// makes on its own: no option of the earlier choice stays. It holds for every pair of
// objectives and heads, of solvers and of schedules, so that an option which is added
// to them cannot be forgotten.
func TestNoOptionOutlivesItsChoice(t *testing.T) {
	inFolder(t)
	type choice struct{ objective, head string }
	var choices []choice
	for _, objective := range objectives.Names {
		for _, head := range append([]string{""}, heads.Names...) {
			s := generalDefaults.under(Settings{Objective: objective, Head: head}, map[string]bool{"objective": true, "head": head != ""})
			if _, err := spelledOut(s); err == nil && head != "signed-weighted-l1" {
				choices = append(choices, choice{objective, head})
			}
		}
	}
	if len(choices) < 60 {
		t.Fatalf("found only %d pairs of objectives and heads", len(choices))
	}
	apply := func(s Settings, c choice) Settings {
		return s.under(Settings{Objective: c.objective, Head: c.head}, map[string]bool{"objective": true, "head": c.head != ""})
	}
	for i, earlier := range choices {
		from, err := spelledOut(apply(generalDefaults, earlier))
		if err != nil {
			t.Fatal(err)
		}
		if from, err = throughFile(from); err != nil {
			t.Fatal(err)
		}
		for j, later := range choices {
			if (i+j)%8 != 0 && !testutil.Long() {
				continue // each choice still comes before and after an eighth of the others
			}
			if later.head == "" && earlier.head != "" {
				later.head = earlier.head // a head that was chosen stays
				if !slices.Contains(choices, later) {
					continue
				}
			}
			found, err := spelledOut(apply(from, later))
			if err != nil {
				t.Errorf("%v after %v: %v", later, earlier, err)
				continue
			}
			want, err := spelledOut(apply(generalDefaults, later))
			if err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(want, found) {
				continue // cmp.Diff of equal settings would take most of the test's time
			}
			if diff := cmp.Diff(want, found, settingsEqual, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%v after %v (-alone +after):\n%s", later, earlier, diff)
			}
		}
	}

	// All that each solver and schedule takes, so that whatever it is goes.
	full := map[string]Settings{
		"solver sgd":           {Momentum: 0.9, MomentumStart: 0.5, MomentumEpochs: 2, Nesterov: true, L2: 1e-4},
		"solver adam":          {Beta1: 0.8, Beta2: 0.99, Epsilon: 1e-7, L2: 1e-4},
		"solver adamw":         {Beta1: 0.8, Beta2: 0.99, Epsilon: 1e-7, WeightDecay: 1e-4},
		"schedule constant":    {},
		"schedule step":        {Decay: 0.5, DecayEpochs: 2},
		"schedule exponential": {Decay: 0.5},
		"schedule cosine":      {FinalLearningRate: 1e-5},
	}
	for earlier, options := range full {
		kind, name, _ := strings.Cut(earlier, " ")
		chosen := func(name string) (Settings, map[string]bool) {
			return Settings{Solver: name, Schedule: name}, map[string]bool{kind: true}
		}
		from := generalDefaults.under(chosen(name))
		for _, key := range optionsOf(kind) {
			from.set(key, options)
		}
		if err := from.check(); err != nil {
			t.Errorf("%s: %v", earlier, err)
		}
		for later := range full {
			laterKind, name, _ := strings.Cut(later, " ")
			if laterKind != kind || later == earlier {
				continue
			}
			want := generalDefaults.under(chosen(name))
			if kind == "schedule" && name == "step" || name == "exponential" {
				want.Decay = 0 // which these demand, and have no default of
			}
			if diff := cmp.Diff(want, from.under(chosen(name)), settingsEqual); diff != "" {
				t.Errorf("%s after %s (-alone +after):\n%s", later, earlier, diff)
			}
		}
	}
}

// spelledOut is what config.toml has of the objective and the head.
func spelledOut(s Settings) (Settings, error) {
	if s.Head == "" {
		s.Head = objectives.DefaultHead(s.Objective)
	}
	_, _, err := s.lossAndHead(16)
	return s, err
}

// throughFile writes settings to a file and reads them with --config.
func throughFile(s Settings) (Settings, error) {
	if err := s.Save("saved.toml"); err != nil {
		return Settings{}, err
	}
	read, _, err := Configure("saved.toml", Settings{}, nil)
	return read, err
}

// What a file sets of its data does not stay with other data, and that is said; the
// same data by another path are the same.
func TestOptionsOfOtherData(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 2)
	bars(t, "rods", 2, 2)
	write(t, "of.toml", "data = \"bars\"\nsize = \"28x28x1\"\nunseen = [\"bar0\"]\nalphabets = \"small1\"")
	write(t, "alone.toml", "size = \"28x28x1\"")
	for _, test := range []struct {
		file, data, size string
		notes            int
	}{{"of.toml", "rods", "", 3}, {"of.toml", filepath.Join(".", "bars", "..", "bars"), "28x28x1", 0}, {"alone.toml", "rods", "28x28x1", 0}} {
		found, notes, err := Configure(test.file, Settings{Data: test.data}, map[string]bool{"data": true})
		if err != nil || found.Size != test.size || len(notes) != test.notes {
			t.Errorf("%s with %s: found the size %q and the notes %q (%v), expected %q and %d notes", test.file, test.data, found.Size, notes, err, test.size, test.notes)
		}
		if test.notes > 0 && (found.Unseen != nil || found.Alphabets != generalDefaults.Alphabets) {
			t.Errorf("%s with %s: found %v and %s", test.file, test.data, found.Unseen, found.Alphabets)
		}
	}
	_, notes, err := Configure("", Settings{Data: "bars", Rotation: 20, CropMin: 0.5, Augment: 0}, map[string]bool{"data": true, "rotation": true, "crop_min": true})
	if err != nil || len(notes) != 2 || !strings.Contains(notes[0]+notes[1], "--rotation has no effect without --augment") {
		t.Errorf("found the notes %q (%v), expected one of each flag without effect", notes, err)
	}
}
