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

// attack runs the tool as a careless or hostile user would, from outside, and
// counts what it refuses as it must. Each kind of attack once found a defect.
func attack(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	only := flags.String("only", "", "the `name` of one kind of attack; empty runs all")
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

// attacks are all kinds, by name. Each returns how many attacks there were, and an
// error for the first that was not answered as it must be.
var attacks = []struct {
	name, what string
	run        func(m material, ctx context.Context) (count int, err error)
}{
	{"resume", "resumptions of another training or a damaged one, refused without a change in the run folder", material.attackResume},
	{"lock", "processes that wanted a run folder in use, refused, one training left whole", material.attackLock},
	{"options", "settings files under other choices, equal to a fresh run", material.attackOptions},
	{"numbers", "numbers that no setting can have, refused by the name of the flag", material.attackNumbers},
	{"empty", "empty values, refused by the name of the flag or argument", material.attackEmpty},
	{"models", "files that are no model, or one with NaN, refused by what they are", material.attackModels},
	{"choice", "commands without --model beside a newer run folder, answered by a named model or refused", material.attackChoice},
	{"images", "damaged and hostile images, refused with the file's name", material.attackImages},
	{"orientation", "pictures in the eight EXIF orientations, all the same picture", material.attackOrientation},
	{"litter", "files that lie beside images, passed over and counted", material.attackLitter},
	{"descriptors", "images read with few file descriptors, none called broken", material.attackDescriptors},
	{"lists", "contradictory and leaking lists of pairs, warned of", material.attackLists},
	{"names", "names that forge lines or lose bytes, refused by the tool and the server alike", material.attackNames},
	{"enroll", "processes that made one gallery at one moment, all enrollments there", material.attackEnroll},
	{"serve", "requests of too many pixels, refused before they are decoded", material.attackServe},
	{"environment", "environment variables with values that mean nothing, refused", material.attackEnvironment},
}

func (m material) attackAll(ctx context.Context, only string, note func(string, ...any)) (findings []Finding, err error) {
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
			return nil, errors.Errorf("%s: there were no attacks", a.name)
		}
		total += count
		findings = append(findings, finding(a.what, "%d", count))
		note("attack: %s, %d in %.0f s", a.name, count, time.Since(start).Seconds())
	}
	if len(findings) == 0 {
		return nil, errors.Errorf("found the name %q, expected one of the attacks", only)
	}
	return append([]Finding{finding("attacks in all, each answered as it must be", "%d", total)}, findings...), nil
}

// said is what a run of the tool ended with.
type said struct {
	command  string
	code     int
	out, err string
}

// longest is how long one attack may take, on a machine that does other work, too.
const longest = 2 * time.Minute

// ask runs the tool in the material's folder to its end. A panic, a signal or no
// end at all is an error whatever the attack.
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
		return found, errors.Errorf("%s: no end after %v", found.command, longest)
	case failure != nil && !errors.As(failure, &exit):
		return found, errors.Wrap(failure, found.command)
	case found.code < 0 || found.code > 2 || strings.Contains(found.err, "goroutine ") || strings.Contains(found.err, "panic:"):
		return found, errors.Errorf("%s: exit code %d\n%s", found.command, found.code, found.err)
	}
	return found, nil
}

// refused runs the tool, which must fail, print no result and say each of the texts.
func (m material) refused(ctx context.Context, texts []string, arguments ...string) error {
	found, err := m.ask(ctx, arguments...)
	if err != nil {
		return err
	}
	return found.isRefusal(texts...)
}

func (s said) isRefusal(texts ...string) error {
	if s.code == 0 || s.out != "" {
		return errors.Errorf("%q: accepted, exit code %d, it printed %q and said\n%s", s.command, s.code, s.out, s.err)
	}
	return s.says(texts...)
}

// accepted runs the tool, which must succeed.
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

// write writes a file of the material's folder and returns its path.
func (m material) write(content []byte, path ...string) (string, error) {
	file := filepath.Join(append([]string{m.folder}, path...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", errors.WithStack(err)
	}
	return file, errors.WithStack(os.WriteFile(file, content, 0o666))
}

// snapshot is what a folder holds, but for locks, by path.
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

// short is the training of the material with other arguments after it, which go over
// it.
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
