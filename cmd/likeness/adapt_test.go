package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
)

// The command writes a model that other commands use, and prints the candidates.
func TestAdapt(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 6, 4)
	saveModel(t, "model.safetensors", nil)
	stdout, stderr := tool(t, "adapt", "--data", "photos", "--model", "model.safetensors", "--features", "3", "--out", "adapted.safetensors")
	for _, text := range []string{"frozen ", "whitened, λ = 3 ", "  chosen\n", "threshold "} {
		if !strings.Contains(stdout, text) {
			t.Errorf("found the output\n%sexpected %q in it", stdout, text)
		}
	}
	if !strings.Contains(stderr, "to 24 images of 6 classes") || !strings.Contains(stderr, "wrote adapted.safetensors") {
		t.Errorf("found the messages\n%s", stderr)
	}
	tool(t, "compare", "photos/bar0/0.png", "photos/bar1/0.png", "--model", "adapted.safetensors")
	model, err := likeness.Load("adapted.safetensors")
	if err != nil {
		t.Fatal(err)
	}

	stdout, _ = tool(t, "adapt", "--data", "photos", "--model", "model.safetensors", "--features", "3", "--out", "again.safetensors", "--json")
	var found adaptResult
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	chosen := 0
	for _, c := range found.Candidates {
		if c.Chosen {
			chosen++
			if c.Features != 3 || c.Method == adapt.Frozen {
				t.Errorf("found %+v, expected 3 features", c)
			}
		}
	}
	if chosen != 1 || found.Images != 24 || found.Classes != 6 || found.Threshold != *model.Threshold || found.Skipped == nil {
		t.Errorf("found %+v, expected one chosen candidate, 24 images of 6 classes and the threshold %v", found, *model.Threshold)
	}
	if read(t, "adapted.safetensors") != read(t, "again.safetensors") {
		t.Error("the same command wrote two different models")
	}
}

// Mistakes are one line that names the flag or the file, and no model is written.
func TestAdaptRefuses(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 6, 2)
	bars(t, "few", 2, 2)
	bars(t, "broken", 6, 2)
	write(t, filepath.Join("broken", "bar1", "bad.png"), "no image")
	saveModel(t, "model.safetensors", nil)
	for _, test := range []struct {
		texts []string
		args  []string
	}{
		{[]string{"--data", "found 2 folders of two or more images among 2 folders", "at least 6"}, []string{"--data", "few", "--out", "a.safetensors"}},
		{[]string{"--data", "missing"}, []string{"--data", "missing", "--out", "a.safetensors"}},
		{[]string{"--out", "found no folder"}, []string{"--data", "photos", "--out", filepath.Join("no", "a.safetensors")}},
		{[]string{"--out", "is a folder"}, []string{"--data", "photos", "--out", "few"}},
		{[]string{"--features: found 9, expected 1 to 4"}, []string{"--data", "photos", "--out", "a.safetensors", "--features", "9"}},
		{[]string{"bad.png"}, []string{"--data", "broken", "--out", "a.safetensors"}},
	} {
		toolFails(t, failure, test.texts, append([]string{"adapt", "--model", "model.safetensors"}, test.args...)...)
	}
	if _, err := os.Stat("a.safetensors"); err == nil {
		t.Error("a model was written")
	}
	_, stderr := tool(t, "adapt", "--data", "broken", "--model", "model.safetensors", "--out", "a.safetensors", "--skip-broken")
	if !strings.Contains(stderr, "skipped      ") || !strings.Contains(stderr, "bad.png") {
		t.Errorf("found the messages\n%sexpected the skipped file", stderr)
	}
}
