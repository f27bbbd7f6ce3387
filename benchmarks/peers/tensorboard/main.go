// Command tensorboard checks that TensorBoard reads the files that likeness writes for it:
// the losses and metrics of a short run, and the embeddings for its projector.
//
//	go run ./benchmarks/peers/tensorboard -python python3
//
// It needs Python with the package tensorboard. The result is written to
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
	python := flag.String("python", "python3", "Python `interpreter` that runs the peer")
	script := flag.String("script", "benchmarks/peers/tensorboard_read.py", "`file` of the peer")
	out := flag.String("out", "benchmarks/results", "`folder` to write tensorboard.md to")
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
	training := exec.Command("go", "run", "./cmd/likeness", "train", "--data", "mnist", "--limit", "2000", "--epochs", "3", "--tensorboard", "--out", folder)
	if output, err := training.CombinedOutput(); err != nil {
		return errors.Wrapf(err, "train\n%s", output)
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
		Title:   "TensorBoard reads the files of a run",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/tensorboard"}, os.Args[1:]...), " "),
		Tools:   []string{version},
		Took:    time.Since(start),
		Result:  result,
	}.WriteFile(filepath.Join(out, "tensorboard.md"))
}
