package main

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes the fixture of the present format, where there is none:
// go test ./cmd/likeness -run TestEverySettingsFormatIsRead -update
var update = flag.Bool("update", false, "write the settings of the present format to testdata")

// settingsFormats are those that there ever were, the newest last. A fixture is
// written once, by the program whose format it is, and never again.
var settingsFormats = []string{"config-0", "config-1"} // 0 is from before there were numbers

// fixtureSettings differ from the defaults in each kind of value: texts, lists,
// numbers, truths, tables.
func fixtureSettings(t *testing.T) Settings {
	t.Helper()
	settings := defaults
	settings.Data, settings.Unseen, settings.Size = "/data/photos", []string{"alice", "bob"}, "12x12x1"
	settings.Crop, settings.Symmetries, settings.Objective, settings.Margin = 1.15, true, "triplet", 0.5
	settings.Head, settings.Seed, settings.Freeze, settings.Penalty = "l2", 7, []string{"conv1"}, []string{"0.001"}
	network, _, err := readConfig(filepath.Join("testdata", "network.toml"))
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
			if err := want.save(path); err != nil {
				t.Fatal(err)
			}
		}
		found, keys, err := readConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, defaults.under(found, keys)); diff != "" {
			t.Errorf("%s (-want +found):\n%s", path, diff)
		}
	}
}

// Settings of a format to come are refused with both versions, not with a key
// that this one does not know.
func TestFutureSettingsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, "format = \"likeness-settings/9\"\nfuture = 1\n")
	_, _, err := readConfig(path)
	want := path + `: format: found "likeness-settings/9", expected "likeness-settings/1" or none`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
