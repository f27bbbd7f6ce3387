package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Each setting has a flag of its key's name, but those that TOML alone can say.
func TestFlagsAndKeysAreOne(t *testing.T) {
	var flags struct {
		Settings `embed:""`
	}
	parser, err := kong.New(&flags, kong.Vars{"backbones": "", "published": ""})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, flag := range parser.Model.Flags {
		if flag.Name != "help" {
			found = append(found, flagKey(flag.Name))
			if flag.Help == "" {
				t.Errorf("flag --%s has no help", flag.Name)
			}
		}
	}
	var want []string
	for _, key := range keys() {
		if key != "network" && key != "layers" {
			want = append(want, key)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-keys +flags):\n%s", diff)
	}
}

// givenDefaults makes the test independent of what the default job is.
func givenDefaults(t *testing.T) {
	t.Helper()
	before := defaults
	t.Cleanup(func() { defaults = before })
	defaults = Settings{Backbone: "conv4", Width: 32, BatchNorm: true, Objective: "contrastive", Batch: 128, Schedule: "cosine"}
}

// A flag goes over the file, and the file over the defaults. An option does not
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
		got, _, err := configure("config.toml", test.flags, given)
		want := defaults
		test.want(&want)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
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
		if diff := cmp.Diff(above, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// Only what somebody chose is said to differ from the default.
func TestChanges(t *testing.T) {
	givenDefaults(t)
	s := defaults.under(Settings{Backbone: "residual", Batch: 64, Margin: 2}, map[string]bool{"backbone": true, "batch": true, "margin": true})
	want := []string{"backbone = residual (default conv4)", "margin = 2", "batch = 64 (default 128)"}
	if diff := cmp.Diff(want, s.changes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if changes := defaults.changes(); len(changes) > 0 {
		t.Errorf("the defaults differ from themselves: %q", changes)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]string{
		"": "0x0x0", "32": "32x32x0", "32x48": "32x48x0", "32x48x3": "32x48x3",
		"32x": "", "32x48x3x1": "", "0x5": "", "-4": "", "a": "",
	} {
		size, err := parseSize(text)
		if got := fmt.Sprint(size); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%q: found %s, %v; want %q", text, got, err, want)
		}
	}
}

// What is mistyped or makes no sense is refused, with the name that was meant
// or the reason.
func TestRefusals(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 3)
	train := func(more ...string) []string { return append([]string{"train", "--data", "bars"}, more...) }
	for name, test := range map[string]struct {
		code int
		say  []string
		args []string
	}{
		"command":     {misuse, []string{`unexpected argument trian, did you mean "train"`}, []string{"trian"}},
		"flag":        {misuse, []string{`unknown flag --epoch, did you mean`, "--epochs"}, train("--epoch", "1")},
		"number":      {misuse, []string{"--batch", `"many"`}, train("--batch", "many")},
		"objective":   {failure, []string{`unknown objective "contrastiv": did you mean "contrastive"?`}, train("--objective", "contrastiv")},
		"head":        {failure, []string{`unknown head "l3": did you mean "l1"?`}, train("--head", "l3")},
		"backbone":    {failure, []string{`unknown backbone "conv5": did you mean "conv4"?`, ".toml"}, train("--backbone", "conv5")},
		"combination": {failure, []string{"cross-entropy with cosine", "use l2 or weighted-l1"}, train("--objective", "cross-entropy", "--head", "cosine")},
		"option":      {failure, []string{"cross-entropy has no option margin"}, train("--objective", "cross-entropy", "--margin", "1")},
		"scale":       {failure, []string{"contrastive has no option scale"}, train("--scale", "2")},
		"width":       {failure, []string{"koch has no option width"}, train("--backbone", "koch", "--width", "8")},
		"block width": {failure, []string{"width", "change the blocks"}, train("--backbone", "tiny.toml", "--width", "8")},
		"fixed size":  {failure, []string{"size", "28x28", "105x105x1"}, train("--backbone", "koch", "--size", "28x28")},
		"odd size":    {failure, []string{"size", `"28by28"`, "64x64"}, train("--size", "28by28")},
		"negative":    {failure, []string{"limit: found -1"}, train("--limit=-1")},
		"seed":        {failure, []string{"seed: found 9223372036854775808"}, train("--seed", "9223372036854775808")},
		"no network":  {failure, []string{"missing.toml"}, train("--backbone", "missing.toml")},
		"no data":     {failure, []string{"nowhere", "no such file"}, []string{"train", "--data", "nowhere"}},
		"no config":   {failure, []string{"config", "missing.toml"}, train("--config", "missing.toml")},
		"no model":    {failure, []string{"from", "nowhere"}, train("--from", "nowhere")},
		"penalty":     {failure, []string{"penalty", `"conv1=much"`, "conv1=0.001"}, train("--size", "16", "--penalty", "conv1=much")},
		"unseen":      {failure, []string{"unseen", `"bar9"`, "bar0, bar1"}, train("--unseen", "bar9")},
		"solver":      {failure, []string{"solver", `"adm"`, "adamw"}, train("--solver", "adm", "--size", "16")},
		"patience":    {failure, []string{"--patience: found 3", "nothing to validate by"}, train("--size", "16", "--patience", "3")},
		"penalised":   {failure, []string{`penalty "conv9"`, "conv1.weight"}, train("--size", "16", "--penalty", "conv9=1")},
		"epochs":      {failure, []string{"--epochs: found 0, expected a number of 1 or more"}, train("--size", "16", "--epochs", "0")},
		"augment":     {failure, []string{"--augment: found 7, expected a number from 0 to 1"}, train("--size", "16", "--augment", "7")},
		"grouped":     {failure, []string{"grouped", "contrastive", "n-pair"}, train("--size", "16", "--grouped")},
		"temperature": {failure, []string{"contrastive has no option temperature"}, train("--temperature", "2")},
		"crop":        {failure, []string{"crop: margin is 0.5, expected 1 to 16"}, train("--size", "16", "--crop", "0.5")},
		"oblong":      {failure, []string{"symmetries", "40x36x1", "square"}, train("--size", "40x36x1", "--symmetries")},
		"few":         {failure, []string{"--limit 1", "raise it"}, train("--size", "16", "--limit", "1")},
		"huge size":   {failure, []string{"--size", "10000x10000", "67108864 pixels"}, train("--size", "10000x10000")},
		"average":     {failure, []string{"--average: found 1"}, train("--average", "1")},
		"bend":        {failure, []string{"smoothness is 0"}, train("--elastic", "3", "--smoothness", "0")},
		"scales":      {failure, []string{"--scale-min: found 0.8", "--scale-max, which is 0.5"}, train("--scale-max", "0.5")},
		"empty data":  {misuse, []string{"--data: found an empty value", "not set"}, []string{"train", "--data", ""}},
		"empty list":  {misuse, []string{"--unseen: found an empty value"}, train("--unseen", "")},
		"empty model": {misuse, []string{"--model: found an empty value"}, []string{"compare", "a.png", "b.png", "--model", ""}},
		"empty image": {misuse, []string{"<a>: found an empty value"}, []string{"compare", "", "b.png"}},
		"empty out":   {misuse, []string{"--out: found an empty value"}, train("--out=")},
		"no run":      {failure, []string{"config.toml", "no such file"}, []string{"eval", "--run", "nowhere"}},
	} {
		t.Run(name, func(t *testing.T) { toolFails(t, test.code, test.say, test.args...) })
	}
	for name, test := range map[string]struct{ text, want string }{
		"key":         {"epoch = 3", `did you mean "epochs"?`},
		"nested key":  {"[[layers]]\nname = \"conv1\"\nratescale = 1.0", `did you mean "rate_scale"?`},
		"layer":       {"size = \"16\"\n[[layers]]\nname = \"conv9\"\nrate_scale = 0.5", `layer "conv9": matches no parameter, expected one of ["norm1.weight"`},
		"syntax":      {"epochs = = 3", "config.toml: line 1"},
		"type":        {"epochs = \"many\"", "epochs"},
		"network too": {"backbone = \"conv4\"\n[network]\nname = \"x\"", "expected one of the two"},
	} {
		t.Run("TOML "+name, func(t *testing.T) {
			write(t, "config.toml", test.text)
			toolFails(t, failure, []string{test.want}, train("--config", "config.toml")...)
		})
	}
	if _, err := os.Stat("runs"); err == nil {
		t.Error("a refused training leaves a run folder behind")
	}
}

// Each command's help teaches: what it does, an example, what there is to set.
func TestHelp(t *testing.T) {
	for command, texts := range map[string][]string{
		"train":           {"Train a network", "likeness train --data photos", "config.toml", "Ctrl-C", "--objective=NAME", "[128]"},
		"eval":            {"Print the table", "likeness eval --run runs/", "result.json"},
		"embed":           {"Turn images into vectors", "likeness embed photos", ".npy", "file,e0,e1"},
		"compare":         {"how alike two images", "likeness compare a.png b.png", "threshold", "--json"},
		"near-duplicates": {"nearly the same", "likeness near-duplicates scans", "--threshold", "more than 20 % is coloured", "--anyway", "--sheet"},
		"search":          {"nearest to one", "likeness search drawing.png --in scans", "--nearest", "more than 40 % is ink", "--anyway"},
		"fetch":           {"Download a published data set", "likeness fetch omniglot", "SHA-256", "mnist, fashion-mnist, omniglot, cifar-10", "--to"},
		"enroll":          {"known to a gallery", "likeness enroll alice alice1.jpg", "--folder people", "--rule=RULE"},
		"identify":        {"unknown", "likeness identify photo.jpg", "-k", "--json"},
		"verify":          {"of a class", "likeness verify alice photo.jpg", "threshold"},
		"forget":          {"Remove a class", "likeness forget alice"},
		"classes":         {"List the classes", "likeness classes --gallery"},
		"calibrate":       {"says unknown", "likeness calibrate --gallery", "ten over RATE"},
	} {
		stdout, stderr := tool(t, command, "--help")
		for _, text := range texts {
			if !strings.Contains(stdout, text) {
				t.Errorf("%s --help lacks %q:\n%s", command, text, stdout)
			}
		}
		if stderr != "" {
			t.Errorf("%s --help complains: %s", command, stderr)
		}
	}
}

// The help of train names every network, objective and head.
func TestHelpNamesAll(t *testing.T) {
	stdout, _ := tool(t, "train", "--help")
	help := strings.Join(strings.Fields(stdout), " ")
	for _, name := range slices.Concat(backbone.Names, objectives.Names, heads.Names) {
		if name != "signed-weighted-l1" && !strings.Contains(help, name) {
			t.Errorf("train --help does not name %s", name)
		}
	}
}

// Every setting that is a number is refused, by the name of its flag, where it is
// not finite or below or above what any training can have, also where another
// setting turns it off.
func TestEveryNumberIsChecked(t *testing.T) {
	checked := 0
	for field := range reflect.TypeFor[Settings]().Fields() {
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
		least, most, err := limits(field)
		if err != nil {
			t.Fatal(err)
		}
		if field.Type.Kind() == reflect.Float64 && !math.IsInf(most, 1) {
			wrong = append(wrong, most*1.001)
		} else if !math.IsInf(most, 1) {
			wrong = append(wrong, int(most)+1)
		}
		if least > 0 {
			wrong = append(wrong, reflect.Zero(field.Type).Interface())
		}
		key := keyOf(field)
		for _, value := range wrong {
			s := defaults
			s.field(key).Set(reflect.ValueOf(value))
			want := fmt.Sprintf("--%s: found %v, expected ", flagName(key), value)
			if err := s.check(); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s = %v: found %v, expected %s…", key, value, err, want)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d settings are numbers", checked)
	}
	if err := defaults.check(); err != nil {
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
			s := defaults.under(Settings{Objective: objective, Head: head}, map[string]bool{"objective": true, "head": head != ""})
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
	for _, earlier := range choices {
		from, err := spelledOut(apply(defaults, earlier))
		if err != nil {
			t.Fatal(err)
		}
		if from, err = throughFile(from); err != nil {
			t.Fatal(err)
		}
		for _, later := range choices {
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
			want, err := spelledOut(apply(defaults, later))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, found, cmpopts.EquateEmpty()); diff != "" {
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
		"schedule cosine":      {FinalRate: 1e-5},
	}
	for earlier, options := range full {
		kind, name, _ := strings.Cut(earlier, " ")
		chosen := func(name string) (Settings, map[string]bool) {
			return Settings{Solver: name, Schedule: name}, map[string]bool{kind: true}
		}
		from := defaults.under(chosen(name))
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
			want := defaults.under(chosen(name))
			if kind == "schedule" && name == "step" || name == "exponential" {
				want.Decay = 0 // which these demand, and have no default of
			}
			if diff := cmp.Diff(want, from.under(chosen(name))); diff != "" {
				t.Errorf("%s after %s (-alone +after):\n%s", later, earlier, diff)
			}
		}
	}
}

// spelledOut is what config.toml has of the objective and the head.
func spelledOut(s Settings) (Settings, error) {
	if s.Head == "" {
		s.Head = usualHead(s.Objective)
	}
	_, _, err := s.judge(16)
	return s, err
}

// throughFile writes settings to a file and reads them with --config.
func throughFile(s Settings) (Settings, error) {
	if err := s.save("saved.toml"); err != nil {
		return Settings{}, err
	}
	read, _, err := configure("saved.toml", Settings{}, nil)
	return read, err
}

// A settings file that is not text is refused, whatever a decoder would make of it.
func TestConfigOfGarbage(t *testing.T) {
	inFolder(t)
	for _, text := range []string{"\xff\xfe", "\xfe\xff", "\x00", "seed = 1\n\x00", "\xff", "# \xff\nseed = 1", "\x89PNG\r\n\x1a\n"} {
		write(t, "config.toml", text)
		toolFails(t, failure, []string{"config.toml", "expected text in UTF-8"}, "train", "--data", "nowhere", "--config", "config.toml")
	}
}

// --version says which program it is.
func TestVersion(t *testing.T) {
	stdout, _ := tool(t, "--version")
	if !strings.HasPrefix(stdout, "likeness ") || !strings.Contains(stdout, runtime.Version()) || !strings.Contains(stdout, runtime.GOARCH) {
		t.Errorf("found %q", stdout)
	}
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
		found, notes, err := configure(test.file, Settings{Data: test.data}, map[string]bool{"data": true})
		if err != nil || found.Size != test.size || len(notes) != test.notes {
			t.Errorf("%s with %s: found the size %q and the notes %q (%v), expected %q and %d notes", test.file, test.data, found.Size, notes, err, test.size, test.notes)
		}
		if test.notes > 0 && (found.Unseen != nil || found.Alphabets != defaults.Alphabets) {
			t.Errorf("%s with %s: found %v and %s", test.file, test.data, found.Unseen, found.Alphabets)
		}
	}
	_, notes, err := configure("", Settings{Rotation: 20, CropLeast: 0.5, Augment: 0}, map[string]bool{"rotation": true, "crop_least": true})
	if err != nil || len(notes) != 2 || !strings.Contains(notes[0]+notes[1], "--rotation has no effect without --augment") {
		t.Errorf("found the notes %q (%v), expected one of each flag without effect", notes, err)
	}
}
