package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With --tensorboard the run folder has an event file with every step and epoch.
func TestTensorBoard(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	tool(t, tiny("--out", "run", "--tensorboard")...)
	files, err := filepath.Glob(filepath.Join("run", "tensorboard", "*tfevents*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("found %v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	epochs := strings.Count(read(t, "run", "metrics.jsonl"), "\n")
	for tag, times := range map[string]int{"epoch/loss": epochs, "epoch/validation": epochs, "epoch/rate": epochs} {
		if found := strings.Count(string(content), tag); found != times {
			t.Errorf("%s is there %d times, expected %d", tag, found, times)
		}
	}
	// Two classes of 20 images are unseen.
	for _, name := range []string{"tensors.tsv", "metadata.tsv"} {
		if found := strings.Count(read(t, "run", "tensorboard", name), "\n"); found != 40 {
			t.Errorf("%s has %d lines, expected 40", name, found)
		}
	}
	if found := strings.Count(string(content), "step/loss"); found < 2*epochs {
		t.Errorf("step/loss is there %d times, expected every step of %d epochs", found, epochs)
	}
}
