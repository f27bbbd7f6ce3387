package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/pkg/errors"
)

const explanation = `All numbers agree to within %v, relative to the value, or absolute where that is below 1.

## Networks in ONNX Runtime

Batches of 1 and 7 images, as float32 from 0 to 255; inversion and normalization are
part of the file. The weights that the Python package safetensors reads from
model.safetensors are bitwise equal to those of the same names in the ONNX file.

| backbone | embeddings, batch of 1 | batch of 7 | weights equal | onnx.checker | agrees |
|---|---|---|---|---|---|
%s
## Heads in ONNX Runtime

| head | distances, batch of 1 | batch of 7 | probabilities | onnx.checker | agrees |
|---|---|---|---|---|---|
%s
## Networks imported from PyTorch

Trained in PyTorch for a few steps, saved by safetensors.torch and imported by package pytorch.

| network | embeddings, batch of 1 | batch of 7 | agrees |
|---|---|---|---|
%s`

func main() {
	python := flag.String("python", "python3", "Python `interpreter` that runs the peer")
	script := flag.String("script", "benchmarks/peers/onnx_runtime.py", "`file` of the peer")
	out := flag.String("out", "benchmarks/results", "`folder` to write onnx.md to")
	flag.Parse()
	if err := run(*python, *script, *out); err != nil {
		fmt.Fprintln(os.Stderr, "onnx:", err)
		os.Exit(1)
	}
}

func run(python, script, out string) error {
	start := time.Now()
	folder, err := os.MkdirTemp("", "onnx-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	peer := func(arguments ...string) (string, error) { return ask(python, script, arguments...) }
	versions, err := peer("versions")
	if err != nil {
		return err
	}
	networks, err := networks()
	if err != nil {
		return err
	}
	networkRows, err := check(peer, "network", filepath.Join(folder, "network"), networks, exported.writeNetwork)
	if err != nil {
		return err
	}
	heads, err := comparers()
	if err != nil {
		return err
	}
	headRows, err := check(peer, "head", filepath.Join(folder, "head"), heads, exported.writeHead)
	if err != nil {
		return err
	}
	importRows, err := checkImports(peer, filepath.Join(folder, "imports"))
	if err != nil {
		return err
	}
	result := fmt.Sprintf(explanation, tolerance, networkRows, headRows, importRows)
	fmt.Print(result)
	return record.Record{
		Title:   "Agreement with ONNX Runtime",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/onnx"}, os.Args[1:]...), " "),
		Tools:   strings.Split(strings.TrimSpace(versions), "\n"),
		Took:    time.Since(start),
		Result:  result,
	}.WriteFile(filepath.Join(out, "onnx.md"))
}

// ask runs the peer and returns its standard output. It returns an error if anything
// disagrees.
func ask(python, script string, arguments ...string) (string, error) {
	command := exec.Command(python, append([]string{"-B", script}, arguments...)...) // -B: leave no compiled files beside the script
	command.Stderr = os.Stderr
	answer, err := command.Output()
	return string(answer), errors.Wrapf(err, "%s %s %s\n%s", python, script, strings.Join(arguments, " "), answer)
}

// asking is ask with the interpreter and the script of the flags.
type asking func(arguments ...string) (string, error)

// check returns the rows of exported models. The folder holds one case at a time, because
// Koch's network is large.
func check(peer asking, what, folder string, all []exported, write func(exported, string) error) (string, error) {
	rows := ""
	for _, each := range all {
		if err := write(each, folder); err != nil {
			return "", errors.Wrap(err, each.name)
		}
		row, err := peer(what, folder, each.name)
		if err != nil {
			return "", err
		}
		rows += row
	}
	return rows, nil
}

// checkImports returns the rows of imported networks.
func checkImports(peer asking, folder string) (string, error) {
	if _, err := peer("learn", folder); err != nil {
		return "", err
	}
	rows := ""
	for _, each := range imports {
		row, err := each.compare(folder)
		if err != nil {
			return "", err
		}
		rows += row
	}
	return rows, nil
}
