// Tensorboard checks that TensorBoard reads what likeness writes for it: a short
// run's losses and measures, and the embeddings of its projector.
//
//	go run ./benchmarks/peers/tensorboard -python python3
//
// The Python must have the package tensorboard. The result goes to
// benchmarks/results/tensorboard.md.
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

func main() {
	python := flag.String("python", "python3", "the Python to run the peer with")
	script := flag.String("script", "benchmarks/peers/tensorboard_read.py", "the peer")
	out := flag.String("out", "benchmarks/results", "the folder to write tensorboard.md to")
	flag.Parse()
	if err := run(*python, *script, *out); err != nil {
		fmt.Fprintln(os.Stderr, "tensorboard:", err)
		os.Exit(1)
	}
}

func run(python, script, out string) error {
	start := time.Now()
	folder, err := os.MkdirTemp("", "tensorboard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	folder = filepath.Join(folder, "run")
	training := exec.Command("go", "run", "./cmd/likeness", "train", "--limit", "2000", "--epochs", "3", "--tensorboard", "--out", folder)
	if said, err := training.CombinedOutput(); err != nil {
		return errors.Wrapf(err, "train\n%s", said)
	}
	command := exec.Command(python, "-B", script, folder) // -B: leave no compiled files beside the script
	command.Stderr = os.Stderr
	answer, err := command.Output()
	if err != nil {
		return errors.Wrapf(err, "%s %s\n%s", python, script, answer)
	}
	version, result, _ := strings.Cut(string(answer), "\n")
	fmt.Print(result)
	return record.Record{
		Title:   "TensorBoard reads a run",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/tensorboard"}, os.Args[1:]...), " "),
		Tools:   []string{version},
		Took:    time.Since(start),
		Result:  result,
	}.WriteFile(filepath.Join(out, "tensorboard.md"))
}
