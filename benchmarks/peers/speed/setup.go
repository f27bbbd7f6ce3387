package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// packages are what the peers need, with what they need in turn.
var packages = []string{"torch", "numpy", "safetensors", "onnx", "onnxscript", "onnxruntime"}

// room is the space in KiB that the environment needs while it is made.
const room = 10 << 20

func defaultEnvironment() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "likeness-peers"
	}
	return filepath.Join(cache, "likeness-peers")
}

// makeEnvironment makes the virtual environment with the newest versions of the
// packages.
func makeEnvironment(folder, python string) error {
	if python == "" {
		python = "python3"
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.Wrap(err, "set up")
	}
	free, err := freeSpace(folder)
	if err != nil {
		return errors.Wrap(err, "set up")
	}
	if free < room {
		return errors.Errorf("set up: found %d MiB free at %s, expected at least %d", free>>10, folder, room>>10)
	}
	install := append([]string{"-m", "pip", "install", "--upgrade", "--no-cache-dir"}, packages...)
	for _, command := range []*exec.Cmd{
		exec.Command(python, "-m", "venv", folder),
		exec.Command(filepath.Join(folder, "bin", "python"), install...),
	} {
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			return errors.Wrapf(err, "set up: %s", command)
		}
	}
	return nil
}

// freeSpace is what df says is available to the folder, in KiB.
func freeSpace(folder string) (kib int64, err error) {
	text, err := exec.Command("df", "-Pk", folder).Output()
	if err != nil {
		return 0, errors.Wrap(err, "df")
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var device string
	var size, used int64
	_, err = fmt.Sscan(lines[len(lines)-1], &device, &size, &used, &kib)
	return kib, errors.Wrap(err, "df")
}

// versions are those of the peers' frameworks.
func versions(python string) ([]string, error) {
	const program = `
import platform, torch, onnxruntime
print("Python", platform.python_version())
print("torch", torch.__version__, "(" + torch.backends.cpu.get_cpu_capability() + ")")
print("onnxruntime", onnxruntime.__version__)
`
	text, err := exec.Command(python, "-c", program).Output()
	if err != nil {
		return nil, errors.Wrapf(err, "%s cannot import torch and onnxruntime: make an environment with -setup", python)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
