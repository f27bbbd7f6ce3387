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

const explanation = `All numbers agree to %v: relative to the value, or absolute where that is below 1.

## Networks in ONNX Runtime

Images in batches of 1 and 7, as float32 from 0 to 255; inversion and
normalisation are in the file. The weights that the package safetensors of Python
reads in model.safetensors are bit for bit those of the ONNX file, by their names.

| backbone | embeddings, batch of 1 | of 7 | weights equal | onnx.checker | agrees |
|---|---|---|---|---|---|
%s
## Heads in ONNX Runtime

| head | distances, batch of 1 | of 7 | probabilities | onnx.checker | agrees |
|---|---|---|---|---|---|
%s
## Networks of PyTorch

Trained there for some steps, saved by safetensors.torch, imported here.

| network | embeddings, batch of 1 | of 7 | agrees |
|---|---|---|---|
%s`

func main() {
	python := flag.String("python", "python3", "the Python to run the peer with")
	script := flag.String("script", "benchmarks/peers/onnx_runtime.py", "the peer")
	out := flag.String("out", "benchmarks/results", "the folder to write onnx.md to")
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
		Title:   "ONNX Runtime agrees",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/onnx"}, os.Args[1:]...), " "),
		Tools:   strings.Split(strings.TrimSpace(versions), "\n"),
		Took:    time.Since(start),
		Result:  result,
	}.WriteFile(filepath.Join(out, "onnx.md"))
}

// ask runs the peer and gives what it prints. It fails where anything disagrees,
// having said what.
func ask(python, script string, arguments ...string) (string, error) {
	command := exec.Command(python, append([]string{"-B", script}, arguments...)...) // -B: leave no compiled files beside the script
	command.Stderr = os.Stderr
	answer, err := command.Output()
	return string(answer), errors.Wrapf(err, "%s %s %s\n%s", python, script, strings.Join(arguments, " "), answer)
}

// asking is ask with the Python and the script chosen.
type asking func(arguments ...string) (string, error)

// check gives the rows of what is exported. One case is in the folder at a time:
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

// checkImports gives the rows of what is imported.
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
