package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// attack runs the likeness command as a careless or hostile user would, and counts the
// correct errors. Each kind of attack once revealed a defect.
func attack(ctx context.Context, s settings) ([]measured, error) {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	only := flags.String("only", "", "`name` of one kind of attack; empty runs all")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	m, err := newMaterial(ctx, likeness, folder)
	if err != nil {
		return nil, err
	}
	return m.attackAll(ctx, *only, s.note)
}

// attacks lists all kinds. Each function returns the number of attacks and an error for the
// first that had a wrong result.
var attacks = []struct {
	name, what string
	run        func(m material, ctx context.Context) (count int, err error)
}{
	{"resume", "resuming a changed or damaged training: an error without a change in the run folder", material.attackResume},
	{"lock", "processes that use a run folder in use: an error, and one training is intact", material.attackLock},
	{"options", "settings files combined with flags: equal to a new run", material.attackOptions},
	{"numbers", "invalid numbers: an error that names the flag", material.attackNumbers},
	{"empty", "empty values: an error that names the flag or argument", material.attackEmpty},
	{"models", "other files and models with NaN as a model: an error that states the reason", material.attackModels},
	{"choice", "commands without --model next to a newer run folder: a named model is used, or an error", material.attackChoice},
	{"images", "damaged and hostile images: an error that names the file", material.attackImages},
	{"orientation", "images in the eight EXIF orientations: equal", material.attackOrientation},
	{"litter", "other files next to images: skipped and counted", material.attackLitter},
	{"descriptors", "images read with few file descriptors: none counts as broken", material.attackDescriptors},
	{"lists", "contradictory lists of pairs and pairs in two splits: a warning", material.attackLists},
	{"names", "class names with control characters or invalid UTF-8: an error of the command and of the server", material.attackNames},
	{"enroll", "processes that create the same gallery concurrently: all enrollments are in it", material.attackEnroll},
	{"serve", "requests with too many pixels: refused before decoding", material.attackServe},
	{"environment", "invalid values of environment variables: an error", material.attackEnvironment},
}

func (m material) attackAll(ctx context.Context, only string, note func(string, ...any)) (findings []measured, err error) {
	total := 0
	for _, a := range attacks {
		if only != "" && only != a.name {
			continue
		}
		note("attack: %s", a.name)
		start := time.Now()
		count, err := a.run(m, ctx)
		if err != nil {
			return nil, errors.Wrapf(err, "%s", a.name)
		}
		if count == 0 {
			return nil, errors.Errorf("%s: found no attacks", a.name)
		}
		total += count
		findings = append(findings, newMeasured(a.what, "%d", count))
		note("attack: %s, %d in %.0f s", a.name, count, time.Since(start).Seconds())
	}
	if len(findings) == 0 {
		return nil, errors.Errorf("-only is %q, expected the name of an attack", only)
	}
	return append([]measured{newMeasured("attacks in total, each with the correct result", "%d", total)}, findings...), nil
}

// said is the result of a run of the likeness command.
type said struct {
	command  string
	code     int
	out, err string
}

// longest is the maximum duration of one attack.
const longest = 2 * time.Minute

// ask runs the likeness command in the material's folder. A panic, a signal or a timeout is an
// error in any case.
func (m material) ask(ctx context.Context, arguments ...string) (said, error) {
	return m.askBy(ctx, func(*exec.Cmd) {}, arguments...)
}

func (m material) askBy(ctx context.Context, change func(*exec.Cmd), arguments ...string) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c := m.likeness.command(ctx, m.folder, arguments...)
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	change(c)
	failure := c.Run()
	found := said{"likeness " + strings.Join(arguments, " "), c.ProcessState.ExitCode(), out.String(), err.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return found, errors.Errorf("%s: not finished after %v", found.command, longest)
	case failure != nil && !errors.As(failure, &exit):
		return found, errors.Wrap(failure, found.command)
	case found.code < 0 || found.code > 2 || strings.Contains(found.err, "goroutine ") || strings.Contains(found.err, "panic:"):
		return found, errors.Errorf("%s: exit code %d\n%s", found.command, found.code, found.err)
	}
	return found, nil
}

// refused runs the likeness command, which must fail, print no result, and report each of the texts.
func (m material) refused(ctx context.Context, texts []string, arguments ...string) error {
	found, err := m.ask(ctx, arguments...)
	if err != nil {
		return err
	}
	return found.isRefusal(texts...)
}

func (s said) isRefusal(texts ...string) error {
	if s.code == 0 || s.out != "" {
		return errors.Errorf("%q: expected an error, found exit code %d, output %q and messages\n%s", s.command, s.code, s.out, s.err)
	}
	return s.says(texts...)
}

// accepted runs the likeness command, which must succeed.
func (m material) accepted(ctx context.Context, arguments ...string) (said, error) {
	found, err := m.ask(ctx, arguments...)
	if err == nil && found.code != 0 {
		err = errors.Errorf("%q: exit code %d\n%s", found.command, found.code, found.err)
	}
	return found, err
}

func (s said) says(texts ...string) error {
	for _, text := range texts {
		if !strings.Contains(s.err, text) {
			return errors.Errorf("%q: expected %q in\n%s", s.command, text, s.err)
		}
	}
	return nil
}

// write writes a file in the material's folder and returns its path.
func (m material) write(content []byte, path ...string) (string, error) {
	file := filepath.Join(append([]string{m.folder}, path...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", errors.WithStack(err)
	}
	return file, errors.WithStack(os.WriteFile(file, content, 0o666))
}

// snapshot returns the contents of the files in a folder, except locks, by path.
func snapshot(folder string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == ".lock" {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	return files, errors.WithStack(err)
}

// short returns the arguments of a short training, with more arguments that override them.
func (m material) short(run string, more ...string) []string {
	arguments := append(slices.Clone(m.training), "--out", run)
	for i, argument := range arguments {
		if argument == "--epochs" {
			arguments[i+1] = "2"
		}
	}
	return append(arguments, more...)
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }
