package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

// childArguments makes the test binary the program itself.
const childArguments = "LIKENESS_TEST_ARGUMENTS"

func TestMain(m *testing.M) {
	if arguments := os.Getenv(childArguments); arguments != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := execute(ctx, strings.Split(arguments, "\n"), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	folder, err := os.MkdirTemp("", "likeness-cache-")
	if err != nil {
		panic(err)
	}
	os.Unsetenv("LIKENESS_NO_CACHE")
	os.Setenv("LIKENESS_CACHE", filepath.Join(folder, "embeddings.db")) // not that of the user
	code := m.Run()
	os.RemoveAll(folder)
	dropGalleries()
	os.Exit(code)
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
	arguments := tiny("--epochs", "20", "--ema-decay", "0.9", "--augment", "0.5")
	start := time.Now()
	tool(t, append(arguments, "--out", "whole")...)
	whole := time.Since(start)

	kills := 3
	if testutil.Long() {
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
	if code, _, said := runTool("train", "--resume", "killed"); code != failure || !strings.Contains(said, "is finished") {
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
		if _, err := run.Load(path); err != nil {
			t.Errorf("after a kill: %v", err)
		}
	}
	if path := filepath.Join(folder, "result.json"); exists(path) {
		if _, err := report.Load(path); err != nil {
			t.Errorf("after a kill: %v", err)
		}
	}
}

// contents are the files of a folder, but for the lock, by name.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != run.LockName {
			files[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// awaitCheckpoint waits until a training in another process has written one.
func awaitCheckpoint(t *testing.T, folder string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !exists(filepath.Join(folder, "checkpoint.safetensors")); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s has no checkpoint", folder)
		}
	}
}

// A resumption that is refused changes nothing in the run folder.
func TestRefusedResumeTouchesNothing(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	ctx, cancel := context.WithCancel(context.Background())
	var out, said bytes.Buffer
	cancel()
	if code := execute(ctx, tiny("--epochs", "40", "--out", "run"), &out, &said); code != failure {
		t.Fatalf("interrupted before it began: code %d, %s", code, &said)
	}
	training := child(t, tiny("--epochs", "4000", "--out", "run")...)
	awaitCheckpoint(t, "run")
	training.Process.Kill()
	training.Wait()

	config, checkpoint := read(t, "run", "config.toml"), read(t, "run", "checkpoint.safetensors")
	write(t, filepath.Join("run", "model.safetensors"), "what is not to be lost")
	for name, change := range map[string]func(){
		"another training": func() {
			write(t, filepath.Join("run", "config.toml"), strings.Replace(config, "margin = 1.0", "margin = 2.0", 1))
		},
		"another network": func() {
			write(t, filepath.Join("run", "config.toml"), strings.Replace(config, `activation = "relu"`, `activation = "tanh"`, 1))
		},
		"a truncated checkpoint": func() {
			write(t, filepath.Join("run", "checkpoint.safetensors"), checkpoint[:len(checkpoint)/2])
		},
		"a broken config": func() { write(t, filepath.Join("run", "config.toml"), config+"\n= =") },
		"no data":         func() { write(t, filepath.Join("run", "config.toml"), strings.Replace(config, "bars", "rods", 1)) },
	} {
		write(t, filepath.Join("run", "config.toml"), config)
		write(t, filepath.Join("run", "checkpoint.safetensors"), checkpoint)
		change()
		if now := read(t, "run", "config.toml") + read(t, "run", "checkpoint.safetensors"); now == config+checkpoint {
			t.Fatalf("%s: nothing differs", name)
		}
		before := contents(t, "run")
		code, _, said := runTool("train", "--resume", "run", "--tensorboard")
		if code != failure || strings.Contains(said, "last weights") {
			t.Errorf("%s: code %d, %s", name, code, said)
		}
		if diff := cmp.Diff(before, contents(t, "run")); diff != "" {
			t.Errorf("%s: the folder has changed (%d bytes of difference), after %s", name, len(diff), said)
		}
	}
}

// Two processes do not write to one run folder, whether the second resumes the run
// or begins one.
func TestOneProcessInARunFolder(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	training := child(t, tiny("--epochs", "4000", "--out", "run")...)
	defer func() {
		training.Process.Kill()
		training.Wait()
	}()
	awaitCheckpoint(t, "run")
	toolFails(t, failure, []string{"another process", "run", "--out"}, "train", "--resume", "run")
	toolFails(t, failure, []string{"run", "contains"}, tiny("--out", "run")...)

	// Of many that begin at one moment in one folder, one does.
	const many = 4
	codes := make([]error, many)
	var wait sync.WaitGroup
	for i := range many {
		started := child(t, tiny("--epochs", "10", "--out", "same")...)
		wait.Go(func() { codes[i] = started.Wait() })
	}
	wait.Wait()
	begun := 0
	for _, err := range codes {
		if err == nil {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("found %d trainings in one folder, expected 1: %v", begun, codes)
	}
	if epochs := timeless(t, "same"); len(epochs) != 10 {
		t.Errorf("the one left %d epochs, expected 10", len(epochs))
	}
}
