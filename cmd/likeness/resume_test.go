package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
)

// childArguments makes the test binary the program itself.
const childArguments = "LIKENESS_TEST_ARGUMENTS"

func TestMain(m *testing.M) {
	if arguments := os.Getenv(childArguments); arguments != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := run(ctx, strings.Split(arguments, "\n"), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// child starts the program in a process of its own.
func child(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), childArguments+"="+strings.Join(arguments, "\n"))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command
}

// timeless are the epochs of a run without what differs each time.
func timeless(t *testing.T, folder string) (epochs []trainer.Epoch) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(read(t, folder, "metrics.jsonl")), "\n") {
		var epoch trainer.Epoch
		if err := json.Unmarshal([]byte(line), &epoch); err != nil {
			t.Fatalf("%s: %v in %q", folder, err, line)
		}
		epoch.Seconds, epoch.ImagesPerSecond = 0, 0
		epochs = append(epochs, epoch)
	}
	return epochs
}

// A training that is killed again and again, at any moment, leaves whole files
// only, and comes to the same model and the same epochs as one that was left
// alone.
func TestKilledAndResumed(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	arguments := tiny("--epochs", "40", "--average", "0.9", "--augment", "0.5")
	start := time.Now()
	tool(t, append(arguments, "--out", "whole")...)
	whole := time.Since(start)

	kills := 5
	if os.Getenv("LIKENESS_LONG") != "" {
		kills = 200
	}
	r := random.New(uint64(kills), "kill")
	next := append(arguments, "--out", "killed")
	for killed := 0; ; {
		training := child(t, next...)
		ended := make(chan error, 1)
		go func() { ended <- training.Wait() }()
		var err error
		select {
		case err = <-ended:
		case <-time.After(time.Duration(float64(whole) * (0.02 + 0.5*r.Float64()))):
			if killed < kills {
				killed++
				training.Process.Kill()
				<-ended
				wholeFiles(t, "killed")
				next = []string{"train", "--resume", "killed"}
				begun := exists(filepath.Join("killed", "config.toml"))
				atItsEnd := exists(filepath.Join("killed", "result.json")) && !exists(filepath.Join("killed", "checkpoint.safetensors"))
				if !begun || atItsEnd && killed < kills {
					os.RemoveAll("killed") // once more from the beginning
					next = append(arguments, "--out", "killed")
				}
				continue
			}
			err = <-ended
		}
		if err != nil {
			t.Fatalf("after %d kills: %v", killed, err)
		}
		break
	}
	if diff := cmp.Diff(read(t, "whole", "model.safetensors"), read(t, "killed", "model.safetensors")); diff != "" {
		t.Error("the models differ")
	}
	if diff := cmp.Diff(timeless(t, "whole"), timeless(t, "killed")); diff != "" {
		t.Errorf("epochs (-left alone +killed):\n%s", diff)
	}
	for _, folder := range []string{"whole", "killed"} {
		if exists(filepath.Join(folder, "checkpoint.safetensors")) {
			t.Errorf("%s has a checkpoint after its end", folder)
		}
	}
	if code, _, said := runTool("train", "--resume", "killed"); code != failure || !strings.Contains(said, "has come to its end") {
		t.Errorf("resumed after the end: %d %s", code, said)
	}
}

// wholeFiles checks that whatever is there can be read to its end.
func wholeFiles(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"checkpoint.safetensors", "model.safetensors"} {
		if path := filepath.Join(folder, name); exists(path) {
			if _, err := safetensors.ReadFile(path); err != nil {
				t.Errorf("after a kill: %v", err)
			}
		}
	}
	if path := filepath.Join(folder, "config.toml"); exists(path) {
		if _, _, err := readConfig(path); err != nil {
			t.Errorf("after a kill: %v", err)
		}
	}
	if path := filepath.Join(folder, "result.json"); exists(path) {
		if _, err := report.Load(path); err != nil {
			t.Errorf("after a kill: %v", err)
		}
	}
}
