package run

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
)

// flatten moves the images of all classes into one folder.
func flatten(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	found, err := imaging.Find(from)
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range found.Files {
		if err := os.Rename(file, filepath.Join(to, fmt.Sprintf("%03d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// sample is 20 pictures of one kind.
func sample(name, kind string, size imaging.Size) *datasets.Dataset {
	d := &datasets.Dataset{Name: name, Size: size}
	for i := range 20 {
		d.Images = append(d.Images, picture(kind, size, i))
	}
	return d
}

// The automatic augmentation of a loss that compares views is never none: contrastive for
// photographs, with larger crops of small images, and drawing for drawings.
func TestAugmentationOfViews(t *testing.T) {
	inFolder(t)
	color, gray, large := imaging.Size{Height: 20, Width: 20, Channels: 3}, imaging.Size{Height: 20, Width: 20, Channels: 1}, imaging.Size{Height: 128, Width: 128, Channels: 3}
	for _, test := range []struct {
		name, kind, want string
		size             imaging.Size
		crop             float64
	}{
		{"photographs", "photograph", "contrastive", color, 0.2},
		{"large photographs", "photograph", "contrastive", large, 0.08},
		{"drawings", "drawing", "drawing", color, 0},
		{"gray drawings", "drawing", "drawing", gray, 0},
	} {
		images := sample(test.name, test.kind, test.size)
		s := configured(t, "", Settings{Data: "photos", Objective: "simclr"}, "data", "objective")
		note, err := s.decideAugmentation(images)
		if err != nil || s.Augmentation != test.want || s.CropScaleMin != test.crop || !strings.HasPrefix(note, "augmentation "+test.want+": ") {
			t.Errorf("%s: found %q with crops of %v and the note %q (%v), expected %s with %v", test.name, s.Augmentation, s.CropScaleMin, note, err, test.want, test.crop)
		}
		if augment := s.augmentation(); augment == nil || augment.Validate() != nil {
			t.Errorf("%s: found the augmentation %+v", test.name, augment)
		}
		again, err := throughFile(s)
		if err != nil || !cmp.Equal(again.augmentation(), s.augmentation()) {
			t.Errorf("%s: a saved file has the augmentation %+v, expected %+v (%v)", test.name, again.augmentation(), s.augmentation(), err)
		}
	}
	// Photographs are fine-tuned, without what needs labels.
	pictures(t, "photos", "photograph", 2, 3, imaging.Size{Height: 110, Width: 130, Channels: 3})
	s := configured(t, "", Settings{Data: "photos", Objective: "vicreg"}, "data", "objective")
	if s.From != "photo" || s.Adapt || s.Refit || s.Patience != 0 || s.Augmentation != "auto" {
		t.Errorf("found from %q, adapt %v, refit %v, patience %d, augmentation %q", s.From, s.Adapt, s.Refit, s.Patience, s.Augmentation)
	}
}

// A loss without labels trains on a folder without classes, where nothing is measured, and on one of
// classes, where unseen classes are measured and no model is selected. Saved settings repeat it, and
// it is resumed.
func TestTrainWithoutLabels(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	bars(t, "other", 6, 8)
	flatten(t, "other", "flat")
	for _, objective := range []string{"simclr", "vicreg", "barlow-twins"} {
		var prepared Preparation
		observer := &Observer{Prepared: func(p Preparation) { prepared = p }}
		s := Settings{Data: "flat", Backbone: "tiny.toml", Objective: objective, Batch: 8, Epochs: 2, Projection: List{"6", "5"}, Out: objective}
		first, err := Train(t.Context(), s, observer)
		if err != nil {
			t.Fatal(err)
		}
		if prepared.Data != "flat, 48 images without classes at 12x12x1" || !strings.Contains(prepared.Objective, "(projection 6,5) with cosine") || prepared.Validation != "" {
			t.Errorf("%s: found %q, %q, validated by %q", objective, prepared.Data, prepared.Objective, prepared.Validation)
		}
		if !slices.ContainsFunc(prepared.Notes, func(note string) bool { return strings.Contains(note, "nothing is measured") }) {
			t.Errorf("%s: found the notes %q", objective, prepared.Notes)
		}
		if len(first.Report.Metrics) != 0 || first.Model.Threshold != nil {
			t.Errorf("%s: found the metrics %v", objective, first.Report.Metrics)
		}
		evaluated, err := Evaluate(first.Folder, EvaluationOptions{Data: "bars"}, nil)
		if err != nil || evaluated.Report.Metrics["verification_auc"].Value == 0 {
			t.Errorf("%s: on a folder of classes found %v (%v)", objective, evaluated, err)
		}
		saved, err := Load(first.Folder.Config())
		if err != nil {
			t.Fatal(err)
		}
		saved.Out = objective + " again"
		second, err := Train(t.Context(), saved, nil)
		if err != nil {
			t.Fatal(err)
		}
		if names := differing(first.Model, second.Model); len(names) != 0 {
			t.Errorf("%s: the saved settings train another model: %v", objective, names)
		}
		s.Data, s.Out = "bars", objective+" of classes"
		third, err := Train(t.Context(), s, observer)
		if err != nil {
			t.Fatal(err)
		}
		if third.Report.Metrics["verification_auc"].Value == 0 || !strings.Contains(third.Report.Protocol, "no model selected, because the loss uses no labels") {
			t.Errorf("%s: found the metrics %v by the protocol %q", objective, third.Report.Metrics, third.Report.Protocol)
		}
		for _, epoch := range third.Training.Epochs {
			if epoch.Validation != nil {
				t.Errorf("%s: epoch %d was validated", objective, epoch.Epoch)
			}
		}
	}
}

// What a training without labels refuses.
func TestViewsRefuse(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 3, 4)
	bars(t, "other", 3, 4)
	flatten(t, "other", "flat")
	for want, change := range map[string]func(*Settings){
		"--augmentation: found none, but simclr compares two augmented views":       func(s *Settings) { s.Augmentation = "none" },
		"--patience: found 2, but simclr uses no labels":                            func(s *Settings) { s.Data, s.Patience = "bars", 2 },
		"--unseen: found a, but flat has images without classes":                    func(s *Settings) { s.Unseen = List{"a"} },
		"flat has images without classes: --symmetries and --grouped need classes":  func(s *Settings) { s.Symmetries = true },
		"--grouped: simclr is a loss of pairs, triplets or views":                   func(s *Settings) { s.Data, s.Grouped = "bars", true },
		"--refit: flat has images without classes":                                  func(s *Settings) { s.Refit = true },
		`--projection: found "x", expected the units of each layer such as 256,128`: func(s *Settings) { s.Projection = List{"x"} },
		"--projection: projection of simclr: found 0 units in layer 1":              func(s *Settings) { s.Projection = List{"0"} },
		"--projection: projection of arcface: its class vectors are compared with":  func(s *Settings) { s.Data, s.Objective, s.Projection = "bars", "arcface", List{"4"} },
		"vicreg with weighted-l1: the loss does not depend on distances":            func(s *Settings) { s.Objective, s.Head = "vicreg", "weighted-l1" },
		"expected a folder of images for each class, at least two":                  func(s *Settings) { s.Objective = "n-pair"; s.Augmentation = "" },
		"barlow-twins has no option temperature":                                    func(s *Settings) { s.Objective, s.Temperature = "barlow-twins", 1 },
		"--redundancy: found -1, expected a number of 0 or more":                    func(s *Settings) { s.Objective, s.Redundancy = "barlow-twins", -1 },
	} {
		s := Settings{Data: "flat", Backbone: "tiny.toml", Objective: "simclr", Batch: 4, Epochs: 1, Out: "out"}
		change(&s)
		if _, err := Train(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %s", err, want)
		}
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("a training that was refused has written a run folder")
	}
	if !comparesViews("vicreg") || comparesViews("n-pair") || comparesViews("none") || comparesViews(objectives.KoLeo{}.Name()) {
		t.Error("comparesViews is wrong")
	}
}
