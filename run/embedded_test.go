package run

import (
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Which defaults apply depends on the data and on the objective, of the flags or else of
// the file; a file without data keeps the meaning that it always had.
func TestDefaultsOfTheData(t *testing.T) {
	inFolder(t)
	write(t, "old.toml", "epochs = 2")
	write(t, "empty.toml", "data = \"\"\nobjective = \"triplet\"")
	write(t, "new.toml", "data = \"omniglot-small1\"\nobjective = \"n-pair\"")
	for _, test := range []struct {
		name, file string
		flags      Settings
		data, loss string
		backbone   string
		rate       float64
		grouped    bool
	}{
		{"nothing", "", Settings{}, "omniglot-small1", "n-pair", "conv7", 3e-3, true},
		{"an objective", "", Settings{Objective: "triplet"}, "omniglot-small1", "triplet", "conv7", 6e-3, false},
		{"mnist", "", Settings{Data: "mnist"}, "mnist", "contrastive", "lenet", 3e-3, false},
		{"a folder", "", Settings{Data: "photos"}, "photos", "contrastive", "lenet", 3e-3, false},
		{"a file without data", "old.toml", Settings{}, "", "contrastive", "lenet", 3e-3, false},
		{"a file with empty data", "empty.toml", Settings{}, "", "triplet", "lenet", 3e-3, false},
		{"a file and data", "old.toml", Settings{Data: "omniglot-small1"}, "omniglot-small1", "n-pair", "conv7", 3e-3, true},
		{"a file with the data", "new.toml", Settings{}, "omniglot-small1", "n-pair", "conv7", 3e-3, true},
		{"a file with other data than the flag", "new.toml", Settings{Data: "photos"}, "photos", "n-pair", "lenet", 3e-3, false},
	} {
		given := map[string]bool{"data": test.flags.Data != "", "objective": test.flags.Objective != ""}
		found, _, err := Configure(test.file, test.flags, given)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if found.Data != test.data || found.Objective != test.loss || found.Backbone != test.backbone || found.LearningRate != test.rate || found.Grouped != test.grouped {
			t.Errorf("%s: found %q, %s, %s, %v, grouped %v", test.name, found.Data, found.Objective, found.Backbone, found.LearningRate, found.Grouped)
		}
		if test.file == "" && (test.flags.Data == "" || test.flags.Data == "mnist") {
			if changes := found.changes(); len(changes) > 1 { // the objective or the data
				t.Errorf("%s: found the changes %q of the defaults", test.name, changes)
			}
		}
	}
}

// Each loss has a training of the embedded data with one flag.
func TestDefaultsOfEachObjective(t *testing.T) {
	for _, name := range objectives.Names {
		s, _, err := Configure("", Settings{Objective: name}, map[string]bool{"objective": true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		loss, _, err := s.lossAndHead(8)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if grouped := loss.Kind() == datasets.Labeled; s.Grouped != grouped {
			t.Errorf("%s: found grouped %v, expected %v", name, s.Grouped, grouped)
		}
	}
}

// The embedded data is trained on whole, and tested on characters of other alphabets.
func TestEmbeddedData(t *testing.T) {
	inFolder(t)
	s := Defaults()
	setup, err := s.prepare(nil)
	if err != nil {
		t.Fatal(err)
	}
	images := setup.data.images()
	if images.Len() != 2720 || images.Populated(1) != 136 || images.Size != embeddedSize {
		t.Errorf("found %d images of %d classes at %v", images.Len(), images.Populated(1), images.Size)
	}
	if tested := setup.data.projected(); tested.Len() != 800 || slices.Contains(tested.Classes, images.Classes[0]) {
		t.Errorf("found %d test images", tested.Len())
	}
	if validation, _, err := setup.data.validation(1); validation != nil || err != nil {
		t.Errorf("found a validation (%v), expected none: nothing is held out", err)
	}
	if _, ok := setup.loss.(objectives.NPair); !ok || setup.head != (heads.Cosine{}) || setup.settings.Data != "omniglot-small1" {
		t.Errorf("found %T with %T on %s", setup.loss, setup.head, setup.settings.Data)
	}
	// Of its five alphabets, whole ones are held out for validation on request.
	s.ValidationClasses = 0.2
	if setup, err = s.prepare(nil); err != nil {
		t.Fatal(err)
	}
	held := setup.data.(embedded).validationClasses()
	alphabet, _, _ := strings.Cut(held.Classes[0], "/")
	if len(held.Groups()) != 1 || held.Len() != 20*held.Populated(1) || held.Len()+setup.data.images().Len() != 2720 {
		t.Errorf("found %d held-out images of the alphabets %v and %d for training", held.Len(), held.Groups(), setup.data.images().Len())
	}
	for _, class := range setup.data.images().Classes {
		if strings.HasPrefix(class, alphabet+"/") {
			t.Errorf("trains on %s, whose alphabet is held out", class)
		}
	}
	if !setup.data.unseenValidation(1) || !strings.Contains(setup.plan.Protocol, "held out for validation; model selected by the 20-way") {
		t.Errorf("found the protocol %q", setup.plan.Protocol)
	}
	s.Validation = "map-at-r"
	if setup, err = s.prepare(nil); err != nil {
		t.Fatal(err)
	}
	if _, measure, err := setup.data.validation(1); err != nil || !strings.HasPrefix(measure, "MAP@R on ") {
		t.Errorf("found the validation %q, %v", measure, err)
	}
	s.Validation, s.ValidationClasses, s.Limit, s.TestLimit = "", 0, 100, 1
	if setup, err = s.prepare(nil); err != nil {
		t.Fatal(err)
	}
	if n, m := setup.data.images().Len(), setup.data.projected().Len(); n != 100 || m != 80 || !strings.Contains(setup.plan.Protocol, "100 training images") {
		t.Errorf("found %d and %d images, expected 100 and those of two runs, and %q", n, m, setup.plan.Protocol)
	}
	for want, change := range map[string]func(*Settings){
		"--unseen":       func(s *Settings) { s.Unseen = List{"Greek/character01"} },
		"--alphabets":    func(s *Settings) { s.Alphabets = "small2" },
		"--validation: ": func(s *Settings) { s.Validation = "accuracy" },
		"--size":         func(s *Settings) { s.Size = "28x28x3x3" },
	} {
		s := Defaults()
		change(&s)
		if _, err := s.prepare(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found the error %v, expected one of %s", err, want)
		}
	}
	// A file or folder of that name takes precedence over the name.
	bars(t, "omniglot-small1", 4, 6)
	s = Defaults()
	s.Alphabets, s.Grouped = "", false
	if setup, err = s.prepare(nil); err != nil {
		t.Fatal(err)
	}
	if n := setup.data.images().Populated(1); n > 4 {
		t.Errorf("found %d classes, expected those of the folder", n)
	}
}
