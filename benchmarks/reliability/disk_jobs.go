package main

import (
	"bufio"
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// diskJobs returns the commands that write files, with earlier versions of the files.
func (m material) diskJobs(ctx context.Context) ([]diskJob, error) {
	folder := func(name string) string { return filepath.Join(m.folder, "seeds", name) }
	for _, name := range []string{"half", "whole", "vectors", "onnx", "gallery"} {
		if err := os.MkdirAll(folder(name), 0o777); err != nil {
			return nil, errors.WithStack(err)
		}
	}
	if err := m.trainHalf(ctx, folder("half")); err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(folder("whole"), "run"), os.DirFS(m.whole)); err != nil {
		return nil, errors.WithStack(err)
	}
	embed := func(class int) []string {
		return []string{"embed", m.images(class), "--model", m.whole, "--out", "vectors.npy"}
	}
	export := func(model string) []string {
		return []string{"export", "--model", model, "--onnx", "network.onnx", "--head", "head.onnx"}
	}
	enroll := func(class string, n int) []string {
		return []string{"enroll", class, m.images(n), "--gallery", "known.gallery", "--model", m.whole}
	}
	for name, args := range map[string][]string{"vectors": embed(0), "onnx": export("koch"), "gallery": enroll("first", 0)} {
		if err := m.likeness.run(ctx, folder(name), args...); err != nil {
			return nil, err
		}
	}
	jobs := []diskJob{
		{"train", "", 2, m.train("run"), []string{"run"}, m.checkTraining},
		{"train --resume", folder("half"), 2, []string{"train", "--resume", "run", "--tensorboard"}, []string{"run"}, m.checkTraining},
		{"eval --report", folder("whole"), 4, []string{"eval", "--run", "run", "--report"}, []string{"run"}, m.checkRun},
		{"embed", folder("vectors"), 4, embed(1), []string{"vectors.npy"}, oldOrNew(folder("vectors"))},
		{"export", folder("onnx"), 4, export(m.whole), []string{"network.onnx", "head.onnx"}, oldOrNew(folder("onnx"))},
		{"enroll", folder("gallery"), 4, enroll("second", 1), []string{"known.gallery"}, m.checkGallery("first", "second", enroll("second", 1))},
		{"enroll in a new gallery", "", 4, enroll("first", 0), []string{"known.gallery"}, m.checkGallery("", "first", enroll("first", 0))},
	}
	return jobs, nil
}

// trainHalf creates the run folder of an interrupted training. Since the training takes only a
// tenth of a second, it may finish before it handles the interrupt; then it is repeated.
func (m material) trainHalf(ctx context.Context, folder string) error {
	const attempts = 20
	for range attempts {
		half := m.likeness.command(ctx, folder, m.train("run")...)
		if err := interruptAt(half, "epoch 1: loss"); err != nil {
			return err
		}
		if exists(filepath.Join(folder, "run", "checkpoint.safetensors")) {
			return nil
		}
		if err := os.RemoveAll(filepath.Join(folder, "run")); err != nil {
			return errors.WithStack(err)
		}
	}
	return errors.Errorf("each of %d trainings finished before it was interrupted", attempts)
}

// checkTraining checks the run of a training on a disk: every file is intact, and with more
// space it can be resumed and gives the result of the undisturbed one.
func (m material) checkTraining(ctx context.Context, after, ample string, failed bool) error {
	run := filepath.Join(after, "run")
	if err := m.checkRun(ctx, after, ample, failed); err != nil {
		return err
	}
	switch {
	case !failed:
	case exists(filepath.Join(run, "config.toml")):
		if m.ended(run) { // only the last messages are missing
			break
		}
		if err := m.likeness.run(ctx, after, "train", "--resume", "run", "--tensorboard"); err != nil {
			return err
		}
	default:
		if err := m.likeness.run(ctx, after, m.train("run")...); err != nil {
			return err
		}
	}
	if err := m.checkRun(ctx, after, ample, false); err != nil {
		return err
	}
	return m.compare(run)
}

// checkRun checks that all files of a run are intact and that there are no temporary files.
func (m material) checkRun(_ context.Context, after, _ string, _ bool) error {
	left, err := inspect(filepath.Join(after, "run"))
	if err == nil && left != (leftovers{}) {
		err = errors.Errorf("found leftovers: %+v", left)
	}
	return err
}

// oldOrNew checks that each file has its old or its new content and that there are no other
// files.
func oldOrNew(seed string) func(context.Context, string, string, bool) error {
	return func(_ context.Context, after, ample string, failed bool) error {
		entries, err := os.ReadDir(after)
		if err != nil {
			return errors.WithStack(err)
		}
		for _, entry := range entries {
			is, err := os.ReadFile(filepath.Join(after, entry.Name()))
			if err != nil {
				return errors.WithStack(err)
			}
			was, _ := os.ReadFile(filepath.Join(seed, entry.Name()))
			becomes, _ := os.ReadFile(filepath.Join(ample, entry.Name()))
			if !bytes.Equal(is, becomes) && (!failed || !bytes.Equal(is, was)) {
				return errors.Errorf("%s has neither its old nor its new content", entry.Name())
			}
		}
		old, err := os.ReadDir(seed)
		if err == nil && len(entries) != len(old) {
			err = errors.Errorf("found %v, expected %v", entries, old)
		}
		return errors.WithStack(err)
	}
}

// checkGallery checks that the gallery has the old class and, unless the command failed, the
// new one, and that the new one can be enrolled with more space.
func (m material) checkGallery(old, fresh string, args []string) func(context.Context, string, string, bool) error {
	return func(ctx context.Context, after, _ string, failed bool) error {
		path := filepath.Join(after, "known.gallery")
		has := func(classes ...string) error {
			out, err := m.likeness.command(ctx, after, "classes", "--gallery", path).Output()
			if err != nil {
				return errors.Wrapf(err, "classes")
			}
			if found, expected := strings.Count(string(out), "\n"), len(classes); found != expected {
				return errors.Errorf("found %q, expected the classes %q", out, classes)
			}
			for _, class := range classes {
				if !strings.Contains(string(out), "20  "+class+"\n") { // all images
					return errors.Errorf("found %q, expected 20 examples of %s", out, class)
				}
			}
			return nil
		}
		before := []string{}
		if old != "" {
			before = append(before, old)
		}
		both := append(before[:len(before):len(before)], fresh)
		if !failed {
			return has(both...)
		}
		if exists(path) || old != "" {
			if err := has(before...); err != nil {
				return err
			}
		}
		if err := m.likeness.run(ctx, after, args...); err != nil {
			return err
		}
		entries, err := os.ReadDir(after)
		if err == nil && len(entries) != 1 {
			err = errors.Errorf("found leftovers: %v", entries)
		}
		if err != nil {
			return err
		}
		return has(both...)
	}
}

// sameFolders checks that two folders have the same files; an empty name stands for an empty
// folder.
func sameFolders(before, after string) error {
	read := func(folder string) (map[string]string, error) {
		files := map[string]string{}
		if folder == "" {
			return files, nil
		}
		return files, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			files[strings.TrimPrefix(path, folder)] = string(content)
			return err
		})
	}
	was, err := read(before)
	if err != nil {
		return errors.WithStack(err)
	}
	is, err := read(after)
	if err != nil {
		return errors.WithStack(err)
	}
	if len(was) != len(is) {
		return errors.Errorf("found %d files, expected %d", len(is), len(was))
	}
	for name, content := range was {
		if is[name] != content {
			return errors.Errorf("%s has changed", name)
		}
	}
	return nil
}

// interruptAt starts a command and interrupts it when its messages contain a text.
func interruptAt(c *exec.Cmd, text string) error {
	messages, err := c.StderrPipe()
	if err != nil {
		return errors.WithStack(err)
	}
	if err := c.Start(); err != nil {
		return errors.WithStack(err)
	}
	for lines := bufio.NewScanner(messages); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			if err := c.Process.Signal(os.Interrupt); err != nil {
				return errors.WithStack(err)
			}
		}
	}
	return errors.WithStack(c.Wait())
}
