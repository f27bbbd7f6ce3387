package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/trainer"
)

const leftover = ".config.toml.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp" // as atomicfile names it

// full is standard output that goes to a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Results that could not be printed are no success, of commands that check and
// of those that only print.
func TestResultsThatAreNotPrinted(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 2)
	image := filepath.Join("bars", "bar0", "0.png")
	for _, arguments := range [][]string{
		{"compare", image, image, "--model", "koch"},
		{"search", image, "--in", "bars", "--model", "koch", "--anyway"},
	} {
		var said strings.Builder
		if code := run(context.Background(), arguments, full{}, &said); code != failure || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("%v: exit code %d, said %s", arguments, code, said.String())
		}
	}
}

// watcher is standard error that does something when a text is said, once.
type watcher struct {
	strings.Builder
	text string
	do   func()
}

func (w *watcher) Write(text []byte) (int, error) {
	if w.do != nil && strings.Contains(string(text), w.text) {
		w.do()
		w.do = nil
	}
	return w.Builder.Write(text)
}

// A training whose progress cannot be written down ends there, with an error
// that names the file, and goes on once it can.
func TestProgressThatIsNotKept(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	tool(t, tiny("--epochs", "6", "--out", "whole")...)
	metrics := filepath.Join("run", "metrics.jsonl")
	said := watcher{text: "epoch 2: loss", do: func() {
		if err := os.Remove(metrics); err != nil {
			t.Error(err)
		}
		write(t, filepath.Join(metrics, "in the way"), "")
	}}
	code := run(context.Background(), tiny("--epochs", "6", "--out", "run"), &strings.Builder{}, &said)
	for _, text := range []string{"write " + metrics, "with the last weights in", "to go on: likeness train --resume run"} {
		if code != failure || !strings.Contains(said.String(), text) {
			t.Errorf("exit code %d, want %q in\n%s", code, text, said.String())
		}
	}
	if strings.Contains(said.String(), "epoch 3: loss") {
		t.Errorf("the training went on:\n%s", said.String())
	}
	if err := os.RemoveAll(metrics); err != nil {
		t.Fatal(err)
	}
	tool(t, "train", "--resume", "run")
	if read(t, "run", "model.safetensors") != read(t, "whole", "model.safetensors") {
		t.Error("the models differ")
	}
	if diff := cmp.Diff(timeless(t, "whole"), timeless(t, "run")); diff != "" {
		t.Errorf("epochs (-whole +run):\n%s", diff)
	}
}

// What a killed training was writing is in nobody's way and goes.
func TestLeftoversGo(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	for _, folder := range []string{"run", filepath.Join("run", "plots"), filepath.Join("run", "tensorboard")} {
		write(t, filepath.Join(folder, leftover), "half")
	}
	toolFails(t, failure, []string{"run holds plots already"}, tiny("--out", "run")...)
	for _, folder := range []string{"plots", "tensorboard"} {
		if err := os.RemoveAll(filepath.Join("run", folder)); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, tiny("--out", "run")...)
	left, err := filepath.Glob(filepath.Join("run", ".*"))
	if diff := cmp.Diff([]string{filepath.Join("run", lockName)}, left); err != nil || diff != "" {
		t.Errorf("left behind %v (%v)", left, err)
	}
}

// It goes from the plots and from TensorBoard's folder, too, and nothing else does.
func TestSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	folders := []string{"run", filepath.Join("run", "plots"), filepath.Join("run", "tensorboard")}
	for _, folder := range folders {
		write(t, filepath.Join(folder, leftover), "half")
		write(t, filepath.Join(folder, "kept"), "whole")
	}
	if err := runFolder("run").sweep(); err != nil {
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
	folder := runFolder(t.TempDir())
	m := &metrics{path: folder.metrics()}
	one, two, three := trainer.Epoch{Epoch: 1}, trainer.Epoch{Epoch: 2}, trainer.Epoch{Epoch: 3}
	for _, err := range []error{m.write(nil), m.append(one), m.append(two), m.write([]trainer.Epoch{one}), m.append(three)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := folder.epochs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]trainer.Epoch{one, three}, found); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}
