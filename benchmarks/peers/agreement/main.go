package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/pkg/errors"
)

const header = `| backbone | loss | embeddings | loss value | gradients | running statistics | float64 | agrees |
|---|---|---|---|---|---|---|---|
`

const explanation = `%d cases, all within tolerance.

The columns are the largest error of each kind in float32, and the largest of all
kinds in float64. Errors of embeddings, losses and running statistics are relative
to the value, or absolute where that is below 1. Errors of gradients are relative to
the largest gradient of the tensor, or to the largest of all tensors if those of the
tensor are below 1e-5 of it, that is, if they are zero except for rounding. The
tolerance is 1e-4 in float32 (1e-5 for running statistics) and 1e-11 in float64.

At a kink, such as the zero of a ReLU or a tie in a max pool, two float32 programs
may take different branches. Therefore, where only the gradients in float32 were out
of tolerance, the check was repeated with new random inputs, with at most %d random
inputs for each case. This happened in %d cases%s.

`

// draws is the maximum number of random inputs for each case. A third of the cases of the residual
// network need more than one, and one of them five. New inputs avoid a kink, but not a mistake.
const draws = 8

func main() {
	python := flag.String("python", "python3", "Python `interpreter` that runs the peer")
	script := flag.String("script", "benchmarks/peers/agreement.py", "`file` of the peer")
	out := flag.String("out", "benchmarks/results", "`folder` to write agreement.md to")
	only := flag.String("only", "", "run only the cases whose names contain this `text`, and write no record")
	flag.Parse()
	if err := run(*python, *script, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "agreement:", err)
		os.Exit(1)
	}
}

func run(python, script, out, only string) error {
	start := time.Now()
	versions, err := versions(python)
	if err != nil {
		return err
	}
	peer, err := startPeer(python, script)
	if err != nil {
		return err
	}
	defer peer.stop()
	fmt.Print(header)
	table, count, redrawn := strings.Builder{}, 0, []string{}
	for _, c := range cases() {
		if !strings.Contains(c.name(), only) {
			continue
		}
		row, drawn, err := compare(c, peer)
		if err != nil {
			return err
		}
		fmt.Print(row)
		table.WriteString(row)
		count++
		if drawn > 1 {
			redrawn = append(redrawn, fmt.Sprintf("%s (%d)", c.name(), drawn))
		}
	}
	if err := peer.finish(); err != nil {
		return err
	}
	if only != "" {
		return nil
	}
	return record.Record{
		Title:   "Agreement with PyTorch",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/agreement"}, os.Args[1:]...), " "),
		Tools:   versions,
		Took:    time.Since(start),
		Result:  explain(count, redrawn) + header + table.String(),
	}.WriteFile(filepath.Join(out, "agreement.md"))
}

func explain(count int, redrawn []string) string {
	list := ""
	if len(redrawn) > 0 {
		list = " (number of inputs in parentheses): " + strings.Join(redrawn, "; ")
	}
	return fmt.Sprintf(explanation, count, draws, len(redrawn), list)
}

// compare returns the row of a case, and the number of random inputs that were needed to
// avoid kinks.
func compare(c comparison, peer *peer) (row string, drawn int, err error) {
	for draw := range draws {
		if row, err = compareDraw(c, draw, peer); err != nil {
			return "", draw, errors.Wrap(err, c.name())
		}
		if !strings.HasSuffix(row, "| kink |\n") {
			return row, draw + 1, nil
		}
	}
	return "", draws, errors.Errorf("%s: the gradients in float32 disagree for all %d random inputs; the last row is %s", c.name(), draws, row)
}

func compareDraw(c comparison, draw int, peer *peer) (string, error) {
	folder, err := os.MkdirTemp("", "agreement-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	folder = filepath.Join(folder, c.name()) // the peer takes the names in the row from it
	if err := os.Mkdir(folder, 0o777); err != nil {
		return "", err
	}
	if err := c.write(folder, draw); err != nil {
		return "", err
	}
	return peer.ask(folder)
}

// peer is a Python process that answers the name of a folder with a row of the table. It
// lives as long as the check, because importing PyTorch takes longer than most comparisons.
type peer struct {
	command  *exec.Cmd
	requests io.WriteCloser
	answers  *bufio.Reader
}

func startPeer(python, script string) (*peer, error) {
	command := exec.Command(python, "-B", script) // -B: leave no compiled files beside the script
	command.Stderr = os.Stderr
	requests, err := command.StdinPipe()
	if err != nil {
		return nil, errors.Wrap(err, "start peer")
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		return nil, errors.Wrap(err, "start peer")
	}
	return &peer{command, requests, bufio.NewReader(answers)}, errors.Wrap(command.Start(), "start peer")
}

// ask returns the row of the case in the folder.
func (p *peer) ask(folder string) (string, error) {
	if _, err := fmt.Fprintln(p.requests, folder); err != nil {
		return "", errors.Wrap(err, "ask peer")
	}
	row, err := p.answers.ReadString('\n')
	return row, errors.Wrap(err, "the peer did not answer")
}

// finish waits for the peer to exit and returns an error if anything disagrees.
func (p *peer) finish() error {
	if err := p.requests.Close(); err != nil {
		return errors.Wrap(err, "end peer")
	}
	return errors.Wrap(p.command.Wait(), "PyTorch disagrees")
}

// stop ends the peer. After finish it does nothing.
func (p *peer) stop() {
	if p.command.ProcessState == nil {
		p.requests.Close()
		p.command.Wait()
	}
}

// versions returns the versions of Python and PyTorch.
func versions(python string) ([]string, error) {
	text, err := exec.Command(python, "-c",
		"import platform, torch; print('Python', platform.python_version()); print('torch', torch.__version__)").Output()
	if err != nil {
		return nil, errors.Wrapf(err, "%s cannot import torch: give the path of an interpreter that can with -python", python)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
