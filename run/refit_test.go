package run

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// small writes a model of two convolutions, of which the first can be frozen, to own.safetensors.
func small(t *testing.T) *likeness.Model {
	t.Helper()
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, Padding: 1, Activation: "relu", Pool: 2},
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu", Pool: 4}, graph.Flatten{},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size, Mean: []float64{0.5}, StdDev: []float64{0.5}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	return model
}

// refitting are settings of a training that is repeated on all images.
func refitting(out string) Settings {
	return Settings{
		Data: "bars", From: "own.safetensors", Adapt: true, FreezeNorm: true, Freeze: List{"conv1"}, Refit: true,
		Objective: "supervised-contrastive", Batch: 16, Epochs: 4, StepsPerEpoch: 3, LearningRate: 3e-3, Out: out,
	}
}

// timeless is a report without what differs each time.
func timeless(r report.Report) report.Report {
	r.Seconds, r.ImagesPerSecond, r.MadeWith = 0, 0, nil
	if r.Refit != nil {
		again := *r.Refit
		again.Seconds = 0
		r.Refit = &again
	}
	return r
}

// After the measurement the model is trained again on all images, held-out ones included: the
// adaptation that was chosen and the steps to the best epoch. The figures are those of a training without this,
// which the file measured.safetensors has.
func TestRefit(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 28, 20)
	own := small(t)
	plain := refitting("plain")
	plain.Refit = false
	measured, err := Train(t.Context(), plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	var told []int
	var notes []string
	result, err := Train(t.Context(), refitting("run"), &Observer{
		Refit: func(images, classes, steps int) { told = []int{images, classes, steps} },
		Note:  func(note string) { notes = append(notes, note) },
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := 3 * measured.Training.BestEpoch
	if want := (report.Refit{Images: 560, Classes: 28, Steps: steps}); !slices.Equal(told, []int{560, 28, steps}) || *timeless(result.Report).Refit != want || result.Refit.Steps != steps {
		t.Errorf("found %v and %+v, expected %+v", told, result.Report.Refit, want)
	}
	found := timeless(result.Report)
	found.Refit = nil
	if !strings.HasSuffix(found.Protocol, "; measured before the model is trained again on all 560 images of 28 classes (refit)") {
		t.Errorf("found the protocol %q", found.Protocol)
	}
	found.Protocol = measured.Report.Protocol
	if diff := cmp.Diff(timeless(measured.Report), found); diff != "" {
		t.Errorf("the figures are others than without the last training (-without +with):\n%s", diff)
	}
	kept, err := likeness.Load(result.Folder.Measured())
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(measured.Model, kept); len(names) > 0 || *kept.Threshold != *measured.Model.Threshold {
		t.Errorf("measured.safetensors has other weights: %v", names)
	}
	if exists(measured.Folder.Measured()) {
		t.Error("a training without the last one wrote measured.safetensors")
	}
	if !slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, "the figures are those of the model before") }) {
		t.Errorf("found the notes %q", notes)
	}

	// The same by the parts of the library.
	splits, err := datasets.Open("bars", datasets.Options{Size: own.Preprocessing.Size})
	if err != nil {
		t.Fatal(err)
	}
	experiment, err := splits.Experiment(datasets.ExperimentOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	embed := func(images *datasets.Dataset) evaluate.Labeled {
		embeddings, err := own.EmbedAll(images, nil)
		if err != nil {
			t.Fatal(err)
		}
		return evaluate.Labeled{Embeddings: embeddings, Labels: images.Labels}
	}
	metric, err := own.Metric()
	if err != nil {
		t.Fatal(err)
	}
	adaptation, err := adapt.Fit(t.Context(), metric, embed(experiment.Train), adapt.Options{NoHead: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if adaptation, err = adaptation.Refit(t.Context(), embed(splits.Train)); err != nil {
		t.Fatal(err)
	}
	model, err := adaptation.Model(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Weights.FreezeStatistics(); err != nil {
		t.Fatal(err)
	}
	if err := model.Weights.Freeze("conv1"); err != nil {
		t.Fatal(err)
	}
	loss, _, err := objectives.Named("supervised-contrastive", "cosine", objectives.Options{})
	if err != nil {
		t.Fatal(err)
	}
	training := trainer.Trainer{
		Model: model, Loss: loss, Images: splits.Train, Batch: 16, Epochs: 4, StopAfter: measured.Training.BestEpoch, EpochSteps: 3, Seed: 1,
		Solver: solver.Config{Solver: "adam", LearningRate: 3e-3, Schedule: "cosine"},
	}
	if training.Sampler, err = datasets.DefaultSampler(loss.Kind(), splits.Train, 16, 4); err != nil {
		t.Fatal(err)
	}
	if _, err := training.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	saved, err := likeness.Load(result.Folder.Model())
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*likeness.Model{"the result": result.Model, "the file": saved} {
		if names := differing(model, other); len(names) > 0 {
			t.Errorf("%s has other weights than the training by parts: %v", name, names)
		}
		if other.Threshold == nil || *other.Threshold != *measured.Model.Threshold {
			t.Errorf("%s has the threshold %v, expected that of the measured model", name, other.Threshold)
		}
	}
	if len(differing(model, measured.Model)) == 0 {
		t.Error("the last training changed nothing")
	}
	again, err := Evaluate(result.Folder, EvaluationOptions{}, nil)
	if err != nil || len(again.Differences) > 0 || again.Report.Refit == nil {
		t.Errorf("evaluated again: found %+v, %v", again, err)
	}
	for _, checkpoint := range []string{result.Folder.Checkpoint(), result.Folder.refitCheckpoint()} {
		if exists(checkpoint) {
			t.Errorf("found %s after the end", checkpoint)
		}
	}
}

// A training that is interrupted at any place of the last training keeps the measured model, and
// resumes to the model of one without interruption. What was measured is not measured again once the
// last training has a checkpoint. Without LIKENESS_LONG it is interrupted in the middle only.
func TestRefitResumes(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 28, 8)
	small(t)
	whole, err := Train(t.Context(), refitting("whole"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		step   int // of the last training; 0 before its first
		remade bool
	}{{"before", 0, true}, {"first", 1, false}, {"middle", 4, false}} {
		if test.name != "middle" && os.Getenv("LIKENESS_LONG") == "" {
			continue
		}
		if test.step > whole.Refit.Steps {
			t.Fatalf("the last training has %d steps, expected more than %d", whole.Refit.Steps, test.step)
		}
		ctx, cancel := context.WithCancel(t.Context())
		refits := false
		interrupted, err := Train(ctx, refitting(test.name), &Observer{
			Refit: func(int, int, int) {
				if refits = true; test.step == 0 {
					cancel()
				}
			},
			Step: func(s trainer.Step) {
				if refits && s.Number == test.step {
					cancel()
				}
			},
		})
		cancel()
		if err != nil || interrupted.Refit == nil || interrupted.Refit.Stopped != trainer.Interrupted || interrupted.Report.Refit != nil {
			t.Fatalf("%s: found %+v, %v, expected an interruption", test.name, interrupted, err)
		}
		if read(t, test.name, "model.safetensors") != read(t, test.name, "measured.safetensors") {
			t.Errorf("%s: the model is not the one that was measured", test.name)
		}
		if _, err := Evaluate(interrupted.Folder, EvaluationOptions{}, nil); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		remade, reported := false, false
		resumed, err := Resume(t.Context(), interrupted.Folder, false, &Observer{
			Measured: func(int, int) { remade = true }, Report: func(report.Report) { reported = true },
		})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if remade != test.remade || !reported {
			t.Errorf("%s: measured again: %v, reported: %v, expected %v and a report", test.name, remade, reported, test.remade)
		}
		for _, file := range []string{"model.safetensors", "measured.safetensors"} {
			if read(t, test.name, file) != read(t, "whole", file) {
				t.Errorf("%s: the resumed training has another %s", test.name, file)
			}
		}
		if diff := cmp.Diff(timeless(whole.Report), timeless(resumed.Report)); diff != "" {
			t.Errorf("%s: report (-whole +resumed):\n%s", test.name, diff)
		}
		if _, err := Resume(t.Context(), interrupted.Folder, false, nil); err == nil || !strings.Contains(err.Error(), "is finished") {
			t.Errorf("%s: resumed after its end: %v", test.name, err)
		}
	}
}

// The last training needs images with classes of which some are held out, and works without
// a model to begin with, with a limit and with augmentation.
func TestRefitData(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 6)
	write(t, "pairs.csv", "a,b,different\nbars/bar0/0.png,bars/bar0/1.png,0\nbars/bar0/0.png,bars/bar1/1.png,1\n")
	for _, test := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Data: "pairs.csv", Size: "16x16x1", Backbone: "digits"}, "--refit: pairs lists pairs or triplets"},
		{Settings{Objective: "n-pair"}, "--refit: "},
	} {
		test.settings.Refit, test.settings.Out = true, "refused"
		if _, err := Train(t.Context(), test.settings, nil); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "leave out --refit") {
			t.Errorf("%s: found %v, expected %q", test.settings.Data, err, test.want)
		}
		if exists("refused") {
			t.Error("a training that is refused wrote its folder")
		}
	}
	for _, test := range []struct {
		name    string
		change  func(*Settings)
		images  int
		classes int
	}{
		{"from scratch", func(*Settings) {}, 36, 6},
		{"named classes", func(s *Settings) { s.Unseen = List{"bar0"} }, 36, 6},
		{"limit", func(s *Settings) { s.Limit = 30 }, 30, 6},
		{"augmentation", func(s *Settings) { s.Augment, s.Rotation = 0.5, 10 }, 36, 6},
	} {
		s := Settings{Data: "bars", Size: "16x16x1", Backbone: "digits", Objective: "contrastive", Batch: 4, Epochs: 1, StepsPerEpoch: 2, Refit: true, Out: test.name}
		test.change(&s)
		result, err := Train(t.Context(), s, nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if refit := result.Report.Refit; refit == nil || refit.Images != test.images || refit.Classes != test.classes || refit.Steps != 2 {
			t.Errorf("%s: found %+v, expected %d images of %d classes and 2 steps", test.name, refit, test.images, test.classes)
		}
	}
	// A limit draws other images for each of the two trainings; both have the results of frozen layers.
	small(t)
	bars(t, "bars", 24, 8)
	limited := refitting("limited")
	limited.Limit = 100
	if result, err := Train(t.Context(), limited, nil); err != nil || result.Report.Refit.Images != 100 {
		t.Errorf("a limit with frozen layers: found %+v, %v", result, err)
	}
	// Own folders test and val are not trained on, and if nothing else is held out nothing is done.
	for _, part := range []string{"train", "val", "test"} {
		bars(t, filepath.Join("parts", part), 3, 4)
	}
	var notes []string
	s := Settings{Data: "parts", Unseen: List{"none"}, Size: "16x16x1", Backbone: "digits", Objective: "contrastive", Batch: 4, Epochs: 1, Refit: true, Out: "own parts"}
	result, err := Train(t.Context(), s, &Observer{Prepared: func(p Preparation) { notes = p.Notes }})
	if err != nil {
		t.Fatal(err)
	}
	if result.Refit != nil || exists(result.Folder.Measured()) || exists(result.Folder.Checkpoint()) || !slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, "no more than the 12 images") }) {
		t.Errorf("found %+v and the notes %q, expected no last training", result.Refit, notes)
	}
}

// Photographs are trained on again unless classes to hold out are named or it is turned off.
func TestRefitDefault(t *testing.T) {
	inFolder(t)
	pictures(t, "photos", "photograph", 2, 3, imaging.Size{Height: 110, Width: 130, Channels: 3})
	for _, test := range []struct {
		flags Settings
		given string
		want  bool
	}{
		{Settings{Data: "photos"}, "data", true},
		{Settings{Data: "photos", Unseen: List{"none"}}, "data unseen", true},
		{Settings{Data: "photos", Unseen: List{"class0"}}, "data unseen", false},
		{Settings{Data: "photos", Unseen: List{"class0"}, Refit: true}, "data unseen refit", true},
		{Settings{Data: "photos"}, "data refit", false},
		{Settings{Data: "photos", From: "none"}, "data from", false},
		{Settings{}, "", false},
	} {
		given := map[string]bool{}
		for _, key := range strings.Fields(test.given) {
			given[key] = true
		}
		settings, _, err := Configure("", test.flags, given)
		if err != nil || settings.Refit != test.want {
			t.Errorf("%s: found refit %v, %v, expected %v", test.given, settings.Refit, err, test.want)
		}
		if test.want {
			continue
		}
		if err := settings.Save("config.toml"); err != nil || strings.Contains(read(t, "config.toml"), "refit") {
			t.Errorf("%s: the file has the key refit, %v", test.given, err)
		}
		if loaded, err := Load("config.toml"); err != nil || loaded.Refit {
			t.Errorf("%s: found refit after loading, %v", test.given, err)
		}
	}
}
