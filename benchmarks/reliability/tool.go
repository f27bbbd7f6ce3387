package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// tool is the program likeness as its users have it, built from the code at hand.
type tool struct {
	path string
}

// buildTool builds likeness into a folder.
func buildTool(ctx context.Context, folder string) (tool, error) {
	path, err := filepath.Abs(filepath.Join(folder, "likeness"))
	if err != nil {
		return tool{}, errors.WithStack(err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/likeness-go/likeness/cmd/likeness")
	if said, err := build.CombinedOutput(); err != nil {
		return tool{}, errors.Wrapf(err, "build likeness: %s", said)
	}
	return tool{path}, nil
}

// temporary is a folder with the tool in it, and a function that removes it.
func temporary(ctx context.Context) (folder string, t tool, remove func(), err error) {
	if folder, err = os.MkdirTemp("", "reliability-"); err != nil {
		return "", tool{}, nil, errors.WithStack(err)
	}
	remove = func() { os.RemoveAll(folder) }
	if t, err = buildTool(ctx, folder); err != nil {
		remove()
	}
	return folder, t, remove, err
}

// command is the tool in a folder, not yet started.
func (t tool) command(ctx context.Context, folder string, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, t.path, arguments...)
	c.Dir = folder
	return c
}

// run runs the tool in a folder to its end, which must be a success.
func (t tool) run(ctx context.Context, folder string, arguments ...string) error {
	var said bytes.Buffer
	c := t.command(ctx, folder, arguments...)
	c.Stderr = &said
	return errors.Wrapf(c.Run(), "likeness %s: %s", strings.Join(arguments, " "), &said)
}
