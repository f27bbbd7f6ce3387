package run

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/trainer"
)

// It goes from the plots and from TensorBoard's folder, too, and nothing else does.
func TestSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	folders := []string{"run", filepath.Join("run", "plots"), filepath.Join("run", "tensorboard")}
	for _, folder := range folders {
		write(t, filepath.Join(folder, leftover), "half")
		write(t, filepath.Join(folder, "kept"), "whole")
	}
	if err := Folder("run").sweep(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if exists(filepath.Join(folder, leftover)) || !exists(filepath.Join(folder, "kept")) {
			t.Errorf("%s: left over: %v; kept: %v", folder, exists(filepath.Join(folder, leftover)), exists(filepath.Join(folder, "kept")))
		}
	}
}

// metrics.jsonl has the lines of the epochs that were kept, no others.
func TestMetrics(t *testing.T) {
	folder := Folder(t.TempDir())
	m := &metrics{path: folder.Metrics()}
	one, two, three := trainer.Epoch{Epoch: 1}, trainer.Epoch{Epoch: 2}, trainer.Epoch{Epoch: 3}
	for _, err := range []error{m.write(nil), m.append(one), m.append(two), m.write([]trainer.Epoch{one}), m.append(three)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := folder.Epochs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]trainer.Epoch{one, three}, found); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}

const leftover = ".config.toml.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp" // as atomicfile names it
