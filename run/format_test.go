package run

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes the fixture of the current format if there is none: go test ./run -run
// TestEverySettingsFormatIsRead -update
var update = flag.Bool("update", false, "write the settings of the present format to testdata")

// settingsFormats are those that there ever were, the newest last. A fixture is
// written once, by the program whose format it is, and never again.
var settingsFormats = []string{"config-0", "config-1", "config-2"} // 0 is from before there were numbers, and 2 has learning_rate and other new keys

// fixtureSettings differ from the defaults in each kind of value: texts, lists,
// numbers, truths, tables.
func fixtureSettings(t *testing.T) Settings {
	t.Helper()
	settings := generalDefaults
	settings.Data, settings.Unseen, settings.Size = "/data/photos", []string{"alice", "bob"}, "12x12x1"
	settings.Crop, settings.Symmetries, settings.Objective, settings.Margin = 1.15, true, "triplet", 0.5
	settings.Head, settings.Seed, settings.Freeze, settings.Penalty = "l2", 7, []string{"conv1"}, []string{"0.001"}
	network, _, _, err := readConfig(filepath.Join("testdata", "network.toml"))
	if err != nil {
		t.Fatal(err)
	}
	settings.Backbone, settings.Network = "", network.Network
	return settings
}

// The settings of every format are read as they were written.
func TestEverySettingsFormatIsRead(t *testing.T) {
	want := fixtureSettings(t)
	for i, name := range settingsFormats {
		path := filepath.Join("testdata", name+".toml")
		if *update && i == len(settingsFormats)-1 {
			if exists(path) {
				t.Fatalf("%s is there already: a fixture is never written again", path)
			}
			if err := want.Save(path); err != nil {
				t.Fatal(err)
			}
		}
		found, keys, _, err := readConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, generalDefaults.under(found, keys), settingsEqual); diff != "" {
			t.Errorf("%s (-want +found):\n%s", path, diff)
		}
	}
}

// A file of an earlier version, with all keys that have other names now, is the
// settings that it was.
func TestFormerKeysAreRead(t *testing.T) {
	path := filepath.Join("testdata", "config-1-former.toml")
	found, notes, err := Configure(path, Settings{}, nil)
	if err != nil || len(notes) > 0 {
		t.Fatalf("found the notes %q (%v), expected none: a program wrote the file", notes, err)
	}
	for key, want := range map[string]any{
		"crop_min": 0.3, "soft_margin": true, "steps_per_epoch": 3, "images_per_class": 5, "elastic_sigma": 3., "erosion": 0.5,
		"dilation": 0.6, "learning_rate": 0.01, "final_learning_rate": 0.001, "clip_norm": 1., "ema_decay": 0.9,
	} {
		if value := found.Value(key); value != want {
			t.Errorf("%s: found %v, expected %v", key, value, want)
		}
	}
	former := FormerKeys()
	if len(former) != 11 {
		t.Errorf("found %d former keys, expected the 11 that the file has: %v", len(former), former)
	}
	text := read(t, path)
	for was, now := range former {
		if !strings.Contains(text, "\n"+was+" = ") || found.Value(now) == nil {
			t.Errorf("%s is now %s: the file does not have the one or Settings the other", was, now)
		}
	}

	// A person's file with former keys is read, with one warning.
	path = filepath.Join(t.TempDir(), "mine.toml")
	write(t, path, "data = \"mnist\"\nrate = 0.5\nsoft = true\nobjective = \"triplet\"\n")
	found, notes, err = Configure(path, Settings{}, nil)
	if want := []string{"warning: " + path + ": soft is now soft_margin, rate is now learning_rate"}; !cmp.Equal(notes, want) || err != nil || found.LearningRate != 0.5 || !found.SoftMargin {
		t.Errorf("found the learning rate %v, the soft margin %v and the notes %q (%v), expected %q", found.LearningRate, found.SoftMargin, notes, err, want)
	}
	write(t, path, "epochs = 1\n")
	if _, notes, err = Configure(path, Settings{}, nil); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "no key data, which means mnist") {
		t.Errorf("a file without data: found the notes %q (%v), expected that it means mnist", notes, err)
	}
	write(t, path, "rate = 0.5\nlearning_rate = 0.5\n")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "found both learning_rate and rate") {
		t.Errorf("found %v", err)
	}
}

// An unknown key is answered with the one that is meant, never with a former one.
func TestUnknownKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for key, want := range map[string]string{
		"lr": "learning_rate", "loss": "objective", "model_name": "backbone", "batch_size": "batch", "num_epochs": "epochs",
		"optimizer": "solver", "embedding_dim": "features", "image_size": "size", "learning-rate": "learning_rate",
		"learningrate": "learning_rate", "rates": "", "epoch": "epochs", "temp": "temperature", "m_per_class": "images_per_class",
	} {
		write(t, path, key+" = 1\n")
		_, err := Load(path)
		if want != "" && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("unknown key %q: did you mean %q?", key, want))) {
			t.Errorf("%s: found %v, expected %s", key, err, want)
		}
		if err == nil || strings.Contains(err.Error(), "epoch_steps") || strings.Contains(err.Error(), `"rate"`) {
			t.Errorf("%s: found %v, which suggests a former key", key, err)
		}
	}
}

// A list may be a text, as a flag has it.
func TestListsOfText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]Settings{
		`unseen = "none"`:         {Unseen: List{"none"}},
		`unseen = ["none"]`:       {Unseen: List{"none"}},
		`unseen = "7,8"`:          {Unseen: List{"7", "8"}},
		`unseen = []`:             {Unseen: List{}},
		`freeze = "conv1"`:        {Freeze: List{"conv1"}},
		`penalty = "conv1=0.001"`: {Penalty: List{"conv1=0.001"}},
	} {
		write(t, path, text)
		found, err := Load(path)
		if err != nil || !cmp.Equal(want.Unseen, found.Unseen) || !cmp.Equal(want.Freeze, found.Freeze) || !cmp.Equal(want.Penalty, found.Penalty) {
			t.Errorf("%s: found %q, %q, %q (%v)", text, found.Unseen, found.Freeze, found.Penalty, err)
		}
	}
	for _, text := range []string{`unseen = ""`, `unseen = 7`, `unseen = [7]`, `unseen = ["a", 7]`, `unseen = {a = "b"}`, `[unseen]`} {
		write(t, path, text)
		if found, err := Load(path); err == nil || !strings.Contains(err.Error(), "unseen") && !strings.Contains(err.Error(), "list") {
			t.Errorf("%s: found %q, %v, expected an error that names the key or the list", text, found.Unseen, err)
		}
	}
}

// Settings of a format to come are refused with both versions, not with a key
// that this one does not know.
func TestFutureSettingsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, "format = \"likeness-settings/9\"\nfuture = 1\n")
	_, err := Load(path)
	want := path + `: format: found "likeness-settings/9", expected "likeness-settings/2", "likeness-settings/1" or none`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
