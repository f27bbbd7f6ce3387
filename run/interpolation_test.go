package run

import (
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/trainer"
)

// interpolating are settings of a training whose weights are interpolated, and which is repeated on
// all images.
func interpolating(out, share string) Settings {
	s := refitting(out)
	s.WeightInterpolation, s.LearningRate = share, 1e-2
	return s
}

func loadModel(t *testing.T, path string) *likeness.Model {
	t.Helper()
	model, err := likeness.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// expectBetween checks that the weights of a model lie between those of two others at a share.
func expectBetween(t *testing.T, name string, found, start, trained *likeness.Model, share float64) {
	t.Helper()
	moved := false
	for _, weight := range found.Weights.All() {
		from, to := start.Weights.Get(weight.Name).Value.Float32s(), trained.Weights.Get(weight.Name).Value.Float32s()
		for i, v := range weight.Value.Float32s() {
			want := (1-share)*float64(from[i]) + share*float64(to[i])
			if math.Abs(float64(v)-want) > 1e-6*max(1, math.Abs(want)) {
				t.Fatalf("%s: %s[%d] is %v, expected %v", name, weight.Name, i, v, want)
			}
			moved = moved || from[i] != to[i]
		}
	}
	if !moved {
		t.Errorf("%s: the training changed nothing", name)
	}
}

// With a share the measured model lies between the model to begin with and the trained one, and
// so does the one that is trained again on all images, between its own start and its own
// trained weights. The share 0 is the adapted model, and 1 the trained one, bit for bit.
func TestWeightInterpolation(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 28, 8)
	own := small(t)
	results := map[string]*Result{}
	for out, share := range map[string]string{"none": "", "all": "1", "start": "0", "quarter": "0.25"} {
		result, err := Train(t.Context(), interpolating(out, share), nil)
		if err != nil {
			t.Fatalf("share %s: %v", share, err)
		}
		results[out] = result
	}
	for _, file := range []string{"measured.safetensors", "model.safetensors"} {
		if read(t, "all", file) != read(t, "none", file) {
			t.Errorf("the share 1 gives another %s than no interpolation", file)
		}
		expectBetween(t, file, loadModel(t, "quarter/"+file), loadModel(t, "start/"+file), loadModel(t, "all/"+file), 0.25)
	}
	none, quarter, start := results["none"], results["quarter"], results["start"]
	if none.Report.Interpolation != nil || strings.Contains(read(t, "none", "result.json")+read(t, "none", "config.toml"), "interpolation") {
		t.Errorf("a training without interpolation records %v", none.Report.Interpolation)
	}
	if i := quarter.Report.Interpolation; i == nil || i.Share != 0.25 || i.Candidates != nil || !strings.Contains(quarter.Report.Protocol, "; weights interpolated between those before and after the training, with the share 0.25 of the trained ones;") {
		t.Errorf("found %v and the protocol %q", i, quarter.Report.Protocol)
	}
	if r := start.Report.Refit; r == nil || r.Steps != 0 || !strings.Contains(r.String(), "without training") || start.Refit.Steps != 0 {
		t.Errorf("found %v, expected no training for the share 0", r)
	}
	if !strings.Contains(read(t, "quarter", "report.html"), "the share of the trained weights is 0.25") {
		t.Error("the page does not say the share")
	}

	// The share 0 by the parts of the library.
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
	all, err := adaptation.Refit(t.Context(), embed(splits.Train))
	if err != nil {
		t.Fatal(err)
	}
	for file, a := range map[string]*adapt.Adaptation{"measured.safetensors": adaptation, "model.safetensors": all} {
		adapted, err := a.Model(own)
		if err != nil {
			t.Fatal(err)
		}
		if names := differing(adapted, loadModel(t, "start/"+file)); len(names) > 0 {
			t.Errorf("with the share 0, %s has other weights than the adapted model: %v", file, names)
		}
	}
	again, err := Evaluate(quarter.Folder, EvaluationOptions{}, nil)
	if err != nil || len(again.Differences) > 0 || !cmp.Equal(again.Report.Interpolation, quarter.Report.Interpolation) {
		t.Errorf("evaluated again: found %+v, %v", again, err)
	}
}

// With auto, the best of five shares by the validation on held-out classes is taken.
func TestWeightInterpolationByValidation(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 28, 8)
	small(t)
	s := interpolating("auto", "auto")
	s.ValidationClasses = 0.2
	var notes []string
	result, err := Train(t.Context(), s, &Observer{Note: func(note string) { notes = append(notes, note) }})
	if err != nil {
		t.Fatal(err)
	}
	chosen := result.Report.Interpolation
	if chosen == nil || len(chosen.Candidates) != 5 {
		t.Fatalf("found %v, expected five candidates", chosen)
	}
	best := chosen.Candidates[0]
	for _, candidate := range chosen.Candidates {
		if candidate.Validation > best.Validation {
			best = candidate
		}
	}
	if chosen.Share != best.Share {
		t.Errorf("chose %v", chosen)
	}
	if last := *result.Training.Epochs[result.Training.BestEpoch-1].Validation; chosen.Candidates[4].Validation != last {
		t.Errorf("the trained weights have the validation %v, the best epoch had %v", chosen.Candidates[4].Validation, last)
	}
	if p := result.Report.Protocol; !strings.Contains(p, "of 4 classes held out for validation") || !strings.Contains(p, "with the share of the trained ones that is best in the same validation") {
		t.Errorf("found the protocol %q", p)
	}
	if !slices.Contains(notes, "choosing the share of the trained weights by validation") {
		t.Errorf("found the notes %q", notes)
	}
	fixed := interpolating("fixed", format(chosen.Share))
	fixed.ValidationClasses = 0.2
	if _, err := Train(t.Context(), fixed, nil); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"measured.safetensors", "model.safetensors"} {
		if read(t, "auto", file) != read(t, "fixed", file) {
			t.Errorf("%s is another with the chosen share as a setting", file)
		}
	}

	// Few classes leave none for validation, and images of the training classes do not choose.
	bars(t, "few", 6, 20)
	s = interpolating("half", "auto")
	s.Data = "few"
	if result, err = Train(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	if i := result.Report.Interpolation; i == nil || i.Share != 0.5 || i.Candidates != nil || !strings.Contains(result.Report.Protocol, "with the share 0.5 of the trained ones, because no classes are held out for validation") {
		t.Errorf("with few classes: found %v and the protocol %q", i, result.Report.Protocol)
	}
}

// A training that is interrupted at any place and resumed has the files of one without
// interruption.
func TestWeightInterpolationResumes(t *testing.T) {
	if os.Getenv("LIKENESS_LONG") == "" {
		t.Skip("TestRefitResumes interrupts a training with the same checkpoints: set LIKENESS_LONG=1 for this one")
	}
	inFolder(t)
	bars(t, "bars", 28, 8)
	small(t)
	for _, share := range []string{"auto", "0"} {
		whole, err := Train(t.Context(), interpolating("whole"+share, share), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name string
			step int // of the last training if refit, 0 before its first
			last bool
		}{{"training", 4, false}, {"before", 0, true}, {"middle", 2, true}} {
			if share == "0" && test.step != 4 { // the share 0 has no last training
				continue
			}
			out := test.name + share
			ctx, cancel := context.WithCancel(t.Context())
			refits := false
			interrupted, err := Train(ctx, interpolating(out, share), &Observer{
				Refit: func(int, int, int) {
					if refits = true; test.last && test.step == 0 {
						cancel()
					}
				},
				Step: func(s trainer.Step) {
					if refits == test.last && s.Number == test.step {
						cancel()
					}
				},
			})
			cancel()
			if err != nil || interrupted.Report.Interpolation == nil {
				t.Fatalf("%s: found %+v, %v", out, interrupted, err)
			}
			if whole.Refit.Steps > 0 && interrupted.Report.Refit != nil {
				t.Fatalf("%s: was not interrupted", out)
			}
			resumed, err := Resume(t.Context(), interrupted.Folder, false, nil)
			if err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			for _, file := range []string{"model.safetensors", "measured.safetensors"} {
				if read(t, out, file) != read(t, "whole"+share, file) {
					t.Errorf("%s: the resumed training has another %s", out, file)
				}
			}
			if diff := cmp.Diff(timeless(whole.Report), timeless(resumed.Report)); diff != "" {
				t.Errorf("%s: report (-whole +resumed):\n%s", out, diff)
			}
		}
	}
}

// Values that are no share are refused before anything is written. Without a model to begin with
// the setting changes nothing, which is said.
func TestWeightInterpolationRefuses(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 6)
	small(t)
	for _, share := range []string{"1.5", "-0.1", "NaN", "half", "1e400", "0,5"} {
		_, err := Train(t.Context(), interpolating("run", share), nil)
		if want := "--weight-interpolation: found \"" + share + "\", expected the share of the trained weights, a number from 0 to 1 such as 0.5, or auto"; err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
	s := interpolating("run", "0.5")
	s.ValidationClasses = 1
	if _, err := Train(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "--validation-classes: found 1, expected a number from 0 to 0.9") {
		t.Errorf("found %v", err)
	}
	if exists("run") {
		t.Error("a training that is refused wrote its folder")
	}
	s = Settings{Data: "bars", Size: "16x16x1", Backbone: "digits", Objective: "contrastive", Batch: 4, Epochs: 1, StepsPerEpoch: 2, WeightInterpolation: "0.5", Out: "scratch"}
	if result, err := Train(t.Context(), s, nil); err != nil || result.Report.Interpolation != nil || strings.Contains(result.Report.Protocol, "interpolated") {
		t.Errorf("from scratch: found %+v, %v", result, err)
	}
	_, notes, err := Configure("", s, map[string]bool{"data": true, "backbone": true, "weight_interpolation": true})
	if err != nil || !slices.Contains(notes, "warning: --weight-interpolation has no effect without --from") {
		t.Errorf("found the notes %q, %v", notes, err)
	}
}

// Photographs have it by default, with more classes for validation, and other data have neither.
func TestWeightInterpolationDefault(t *testing.T) {
	inFolder(t)
	pictures(t, "photos", "photograph", 2, 3, imaging.Size{Height: 110, Width: 130, Channels: 3})
	for _, test := range []struct {
		flags   Settings
		given   string
		share   string
		classes float64
	}{
		{Settings{Data: "photos"}, "data", "auto", 0.2},
		{Settings{Data: "photos", WeightInterpolation: "1"}, "data weight_interpolation", "1", 0.2},
		{Settings{Data: "photos", From: "none"}, "data from", "", 0},
		{Settings{Data: "photos", Objective: "simclr"}, "data objective", "", 0},
		{Settings{Data: "photos", From: "own"}, "data from", "", 0},
		{Settings{}, "", "", 0},
	} {
		given := map[string]bool{}
		for _, key := range strings.Fields(test.given) {
			given[key] = true
		}
		settings, _, err := Configure("", test.flags, given)
		if err != nil || settings.WeightInterpolation != test.share || settings.ValidationClasses != test.classes {
			t.Errorf("%s: found %q and %v, %v, expected %q and %v", test.given, settings.WeightInterpolation, settings.ValidationClasses, err, test.share, test.classes)
		}
		if err := settings.Save("config.toml"); err != nil {
			t.Fatal(err)
		}
		if text := read(t, "config.toml"); strings.Contains(text, "weight_interpolation") != (test.share != "") || strings.Contains(text, "validation_classes") != (test.classes != 0) {
			t.Errorf("%s: the file is\n%s", test.given, text)
		}
		if loaded, err := Load("config.toml"); err != nil || loaded.WeightInterpolation != test.share || loaded.ValidationClasses != test.classes {
			t.Errorf("%s: loaded %q and %v, %v", test.given, loaded.WeightInterpolation, loaded.ValidationClasses, err)
		}
	}
}
