package run

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// differing are the names of the weights of a that b does not have, bit for bit.
func differing(a, b *likeness.Model) (names []string) {
	for _, weight := range a.Weights.All() {
		other := b.Weights.Get(weight.Name)
		if other == nil || !slices.Equal(weight.Value.Float32s(), other.Value.Float32s()) {
			names = append(names, weight.Name)
		}
	}
	return names
}

// A folder of class folders becomes a model in one call, and the same model as by the
// parts of the library; images are resized.
func TestTrainIsTheTrainerWithItsParts(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 3, 6)
	settings := Settings{
		Data: "bars", Unseen: List{"none"}, Size: "20x20x1", Backbone: "digits",
		Objective: "contrastive", Head: "l2", Batch: 4, Epochs: 1, LearningRate: 1e-3, Out: "run",
	}
	result, err := Train(t.Context(), settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	size := imaging.Size{Height: 20, Width: 20, Channels: 1}
	splits, err := datasets.Open("bars", datasets.Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	experiment, err := splits.Experiment(datasets.ExperimentOptions{NoUnseen: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	network, err := backbone.Named("digits", backbone.Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	loss, _, err := objectives.Named("contrastive", "l2", objectives.Options{})
	if err != nil {
		t.Fatal(err)
	}
	model, err := likeness.New(network, heads.L2{}, experiment.Train.Preprocessing(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(differing(result.Model, model)) == 0 {
		t.Error("the model has the weights of an untrained one")
	}
	training := trainer.Trainer{
		Model: model, Loss: loss, Images: experiment.Train, Batch: 4, Epochs: 1, Seed: 1,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-3, Schedule: "cosine"},
	}
	if _, err := training.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := differing(model, result.Model); len(names) > 0 {
		t.Errorf("the weights %s by the parts and by Train differ", names)
	}
	saved, err := likeness.Load(result.Folder.Model())
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(model, saved); len(names) > 0 {
		t.Errorf("the weights %s by the parts and in the file differ", names)
	}
}

// However few images stay in memory, a training gives the same files, its report with
// pictures included; it says that not all of them do.
func TestMemoryChangesNothing(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	files := map[string][]string{}
	for _, memory := range []string{"", "1KiB", "unlimited"} {
		settings := Settings{
			Data: "bars", Memory: memory, Size: "16x16x1", Backbone: "digits", Symmetries: true, Augment: 0.5,
			Batch: 8, Epochs: 2, StepsPerEpoch: 3, TensorBoard: true, Out: "run" + memory,
		}
		var notes []string
		result, err := Train(t.Context(), settings, &Observer{Prepared: func(p Preparation) { notes = p.Notes }})
		if err != nil {
			t.Fatalf("%q: %v", memory, err)
		}
		if noted := slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, "(--memory)") }); noted != (memory == "1KiB") {
			t.Errorf("memory %q: found the notes %q", memory, notes)
		}
		if has := strings.Contains(read(t, result.Folder.Config()), "memory"); has != (memory != "") {
			t.Errorf("memory %q: config.toml has the key: %v", memory, has)
		}
		for _, name := range []string{"model.safetensors", filepath.Join("plots", "map-pca.png"), filepath.Join("tensorboard", "sprite.png")} {
			content, err := os.ReadFile(filepath.Join(string(result.Folder), name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = append(files[name], string(content))
		}
		result.Report.Seconds, result.Report.ImagesPerSecond, result.Report.MadeWith = 0, 0, nil
		figures, err := json.Marshal(result.Report)
		if err != nil {
			t.Fatal(err)
		}
		files["result"] = append(files["result"], string(figures))
		files["pictures"] = append(files["pictures"], strings.Join(regexp.MustCompile(`data:image/png;base64,[A-Za-z0-9+/=]+`).FindAllString(read(t, result.Folder.Page()), -1), " "))
		again, err := Evaluate(result.Folder, EvaluationOptions{}, nil)
		if err != nil || len(again.Differences) > 0 {
			t.Errorf("memory %q: evaluated again: %v, %v", memory, again, err)
		}
	}
	for name, contents := range files {
		if contents[0] == "" || contents[1] != contents[0] || contents[2] != contents[0] {
			t.Errorf("%s depends on --memory", name)
		}
	}
}

// A training in bfloat16 says how many products that concerns, or that it has no effect.
func TestPrecisionNotes(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 3, 6)
	settings := Settings{
		Data: "bars", Unseen: List{"none"}, Size: "16x16x1", Objective: "contrastive", Head: "l2", Batch: 4, Epochs: 1, LearningRate: 1e-3,
	}
	for name, c := range map[string]struct {
		backbone, precision, want string
	}{
		"rounded": {"digits", "bfloat16", "--precision bfloat16 rounds the factors of"},
		"none":    {"net.toml", "bfloat16", "warning: --precision bfloat16 has no effect on the layers of this network"},
		"float32": {"digits", "float32", ""},
	} {
		write(t, "net.toml", "[input]\nheight = 16\nwidth = 16\nchannels = 1\n[[block]]\nkind = \"conv\"\nfilters = 8\nkernel = 5\nactivation = \"relu\"\npool = 4\n[[block]]\nkind = \"flatten\"\n")
		settings.Backbone, settings.Precision, settings.Out = c.backbone, c.precision, name
		var notes []string
		if _, err := Train(t.Context(), settings, &Observer{Prepared: func(p Preparation) { notes = p.Notes }}); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(notes, "; "); c.want == "" && strings.Contains(text, "precision") || !strings.Contains(text, c.want) {
			t.Errorf("%s: found the notes %q, expected %q", name, notes, c.want)
		}
	}
	settings.Precision = "float16"
	if err := settings.Check(); err == nil || !strings.Contains(err.Error(), `--precision: found "float16", expected float32 or bfloat16`) {
		t.Errorf("found error %v", err)
	}
}

// A training that is refused says why, and leaves no folder.
func TestTrainRefuses(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 4)
	for _, test := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Data: "nowhere"}, "nowhere"},
		{Settings{Backbone: "conv5"}, "conv5"},
		{Settings{Objective: "contrastve"}, "contrastve"},
		{Settings{Head: "squared-l2"}, "squared-l2"},
		{Settings{Batch: -1}, "--batch: found -1"},
		{Settings{Epochs: -1}, "--epochs: found -1"},
		{Settings{LearningRate: -1}, "--learning-rate: found -1"},
		{Settings{Penalty: List{"much"}}, `--penalty: found "much"`},
	} {
		if test.settings.Data == "" {
			test.settings.Data = "bars"
		}
		test.settings.Size, test.settings.Out = "16x16x1", "run"
		result, err := Train(t.Context(), test.settings, nil)
		if err == nil || result != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found %v, error %v, expected one with %q", result, err, test.want)
		}
		if exists("run") {
			t.Fatalf("%q: a run folder is left", test.want)
		}
	}
	//lint:ignore SA1012 what a nil context does is what is tested
	if _, err := Train(nil, Settings{}, nil); err == nil {
		t.Error("no context: found no error")
	}
	if _, err := Resume(t.Context(), "bars", false, nil); err == nil || !strings.Contains(err.Error(), "not a run folder") {
		t.Errorf("found %v", err)
	}
	bars(t, "one", 3, 1)
	if _, err := Train(t.Context(), Settings{Data: "one", Backbone: "tiny.toml"}, nil); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("one image of each class: found error %v, expected ErrTooFew", err)
	}
}

// The observer receives everything in order, and a panic of its functions is an error.
func TestObserver(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	settings := Settings{Data: "bars", Backbone: "tiny.toml", Batch: 8, Epochs: 2, Out: "run"}
	var told []string
	tell := func(what string) {
		if len(told) == 0 || told[len(told)-1] != what {
			told = append(told, what)
		}
	}
	files := 0
	ctx, cancel := context.WithCancel(t.Context())
	observer := &Observer{
		Read: func(read, total int) {
			tell("read")
			if files = read; total != 120 {
				t.Errorf("%d of %d files are read, expected 120", read, total)
			}
		},
		Prepared: func(p Preparation) {
			tell("prepared")
			if exists("run") || !strings.Contains(p.Data, "classes at 12x12x1") || p.Settings.Margin != 1 || p.Validation == "" {
				t.Errorf("found %+v", p)
			}
		},
		Folder:   func(f Folder) { tell("folder " + string(f)) },
		Resumed:  func(done, epochs int) { tell("resumed") },
		Step:     func(trainer.Step) { tell("step") },
		Epoch:    func(trainer.Epoch) { tell("epoch"); cancel() },
		Note:     func(string) { tell("note") },
		Warning:  func(text string) { tell("warning " + text) },
		Measured: func(done, total int) { tell("measured") },
		Report:   func(report.Report) { tell("report") },
	}
	result, err := Train(ctx, settings, observer)
	if err != nil || result.Training.Stopped != trainer.Interrupted {
		t.Fatalf("found %v, %v", result, err)
	}
	want := []string{"read", "prepared", "folder run", "step", "epoch", "note", "measured", "report"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("a training that is interrupted (-want +told):\n%s", diff)
	}
	if files != 120 {
		t.Errorf("%d files were read at last, expected 120", files)
	}
	told = nil
	observer.Prepared = nil
	if result, err = Resume(t.Context(), "run", false, observer); err != nil {
		t.Fatal(err)
	}
	want = []string{"read", "folder run", "resumed", "step", "epoch", "measured", "report"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("its resumption (-want +told):\n%s", diff)
	}
	settings.Out = "whole"
	whole, err := Train(t.Context(), settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(whole.Model, result.Model); len(names) > 0 {
		t.Errorf("the weights %s of the whole training and of the resumed one differ", names)
	}
	settings.Out = "panicked"
	for _, observer := range []*Observer{{Prepared: func(Preparation) { panic("not yet") }}, {Read: func(read, total int) { panic("not yet") }}} {
		if _, err := Train(t.Context(), settings, observer); err == nil || !strings.Contains(err.Error(), "not yet") {
			t.Errorf("found %v, expected the panic", err)
		}
	}
}

// Evaluate gives the same figures again, or those that are recorded.
func TestEvaluate(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	result, err := Train(t.Context(), Settings{Data: "bars", Backbone: "tiny.toml", Batch: 8, Epochs: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Evaluate(result.Folder, EvaluationOptions{}, nil)
	if err != nil || again.Missing != nil || len(again.Differences) > 0 {
		t.Fatalf("found %+v, %v", again, err)
	}
	if diff := cmp.Diff(result.Report, again.Report); diff != "" {
		t.Errorf("(-Train +Evaluate):\n%s", diff)
	}
	found, err := Evaluate(result.Folder, EvaluationOptions{Data: "moved"}, nil)
	if err != nil || found.Missing == nil || !cmp.Equal(found.Report, result.Report) {
		t.Errorf("without its data: found %+v, %v", found, err)
	}
	if _, err := Evaluate("nowhere", EvaluationOptions{}, nil); err == nil || !strings.Contains(err.Error(), filepath.Join("nowhere", "config.toml")) {
		t.Errorf("found %v", err)
	}
}
