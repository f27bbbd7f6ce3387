package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The command searches, prints the table with the best trial first, and writes the run folder of
// the best trial; a mistake names its flag and writes nothing.
func TestSweep(t *testing.T) {
	inFolder(t)
	for i, part := range []string{"train", "train", "train", "val", "val", "test", "test"} {
		for image := range 4 {
			write(t, filepath.Join("drawings", part, "bar"+strconv.Itoa(i), strconv.Itoa(image)+".png"), bar(t, i, uint64(image), 12))
		}
	}
	args := strings.Fields("sweep --data drawings --size 28x28x1 --objective n-pair --features 4 --epochs 2 --steps-per-epoch 1 --batch 6 --images-per-class 2 --trials 2 --eta 2 --out found")
	for want, more := range map[string]string{
		"--over margin=2..1: found the range":           "--over margin=2..1",
		"did you mean learning-rate?":                   "--over lerning-rate=1..2",
		"--trials: found 0, expected at least 1":        "--over margin=1,2 --trials 0",
		"--eta: found 1, expected at least 2":           "--over margin=1,2 --eta 1",
		"--min-epochs: found 3, expected 1 to 2":        "--over temperature=1,2 --min-epochs 3",
		"no trial has this setting":                     "--over margin=1,2",
		"--temperature: found 1, but --over":            "--over temperature=0.1..1 --temperature 1",
		"--out: drawings already contains":              "--over temperature=0.1..1 --out drawings",
		"--validation-classes: trials are compared on":  "--over temperature=0.1..1 --data drawings/train",
		"--over temperature=1,2: the setting is there":  "--over temperature=0.1..1 --over temperature=1,2",
		"--over steps-per-epoch=1,2: --steps-per-epoch": "--over steps-per-epoch=1,2",
	} {
		toolFails(t, failure, []string{want}, append(args, strings.Fields(more)...)...)
	}
	toolFails(t, misuse, []string{"missing flags: --over"}, args...)
	toolFails(t, failure, []string{"--out: found no folder"}, "sweep", "--over", "margin=1,2")
	if exists("found/trials.csv") {
		t.Error("a refused search writes a table")
	}
	stdout, stderr := tool(t, append(args, "--over", "temperature=0.1..1", "--over", "learning-rate=1e-4,1e-3")...)
	if lines := strings.Split(stdout, "\n"); !strings.HasPrefix(lines[0], "trial  state") || !strings.Contains(lines[1], "best") || !strings.Contains(lines[2], "stopped") {
		t.Errorf("found the table\n%s", stdout)
	}
	for _, want := range []string{"rung 1       2 trials until epoch 1", "rung 2       1 trials until epoch 2", "rung 2: trial ", "likeness train --config found/best/config.toml"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("want %q in\n%s", want, stderr)
		}
	}
	for _, path := range []string{"found/sweep.json", "found/trials.csv", "found/sweep.svg", "found/sweep.png", "found/best/model.safetensors", "found/best/result.json", "found/best/report.html"} {
		if !exists(path) {
			t.Errorf("found no %s", path)
		}
	}
}

// The documentation lists the settings of which the logarithm is drawn.
func TestLogarithmicSettingsAreDocumented(t *testing.T) {
	text := strings.Join(strings.Fields(read(t, "..", "..", "docs", "walkthrough.md")), " ")
	if list := "`" + strings.Join(logFlags(), "`, `") + "`"; !strings.Contains(text, list) {
		t.Errorf("docs/walkthrough.md lacks the list %s", list)
	}
}
