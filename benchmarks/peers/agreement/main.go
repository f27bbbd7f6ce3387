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

const header = `| backbone | loss | embeddings | loss | gradients | statistics | in float64 | agrees |
|---|---|---|---|---|---|---|---|
`

const explanation = `%d cases, all within tolerance.

The columns are the largest error of each kind in float32, and of all kinds in
float64. Embeddings, losses and running statistics: relative to the value, or
absolute where that is below 1. Gradients: relative to the largest of the
tensor, or to the largest of all where a tensor's are below 1e-5 of it, which
happens where they cancel but for rounding. The tolerance is 1e-4 in float32, for
statistics 1e-5, and 1e-11 in float64.

At a kink, such as the zero of a rectifier or a tie in a max pool, two float32
programs may take two sides. Where the gradients in float32, and nothing else,
were not within tolerance, the inputs were therefore drawn anew, at most %d times
in all. This was so for %d cases%s.

`

// draws is how often the inputs of a case are drawn at most. A kink is left
// behind by that, a fault is not.
const draws = 4

func main() {
	python := flag.String("python", "python3", "the Python to run the peer with")
	script := flag.String("script", "benchmarks/peers/agreement.py", "the peer")
	out := flag.String("out", "benchmarks/results", "the folder to write agreement.md to")
	only := flag.String("only", "", "run the cases whose names contain this, and write no record")
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
		Title:   "PyTorch agrees",
		Command: strings.Join(append([]string{"go run ./benchmarks/peers/agreement"}, os.Args[1:]...), " "),
		Tools:   versions,
		Took:    time.Since(start),
		Result:  explain(count, redrawn) + header + table.String(),
	}.WriteFile(filepath.Join(out, "agreement.md"))
}

func explain(count int, redrawn []string) string {
	list := ""
	if len(redrawn) > 0 {
		list = ": " + strings.Join(redrawn, "; ")
	}
	return fmt.Sprintf(explanation, count, draws, len(redrawn), list)
}

// compare gives the row of a case, and the number of draws of its inputs that
// it took to get away from kinks.
func compare(c comparison, peer *peer) (row string, drawn int, err error) {
	for draw := range draws {
		if row, err = compareDraw(c, draw, peer); err != nil {
			return "", draw, errors.Wrap(err, c.name())
		}
		if !strings.HasSuffix(row, "| kink |\n") {
			return row, draw + 1, nil
		}
	}
	return "", draws, errors.Errorf("%s: the gradients in float32 disagree in all of %d draws, lastly %s", c.name(), draws, row)
}

func compareDraw(c comparison, draw int, peer *peer) (string, error) {
	folder, err := os.MkdirTemp("", "agreement-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	folder = filepath.Join(folder, c.name()) // the peer takes the row's names from it
	if err := os.Mkdir(folder, 0o777); err != nil {
		return "", err
	}
	if err := c.write(folder, draw); err != nil {
		return "", err
	}
	return peer.ask(folder)
}

// peer is a running Python that answers the name of a folder with a row of the
// table. It lives as long as the check, because to import PyTorch takes longer
// than most comparisons.
type peer struct {
	command   *exec.Cmd
	questions io.WriteCloser
	answers   *bufio.Reader
}

func startPeer(python, script string) (*peer, error) {
	command := exec.Command(python, "-B", script) // -B: leave no compiled files beside the script
	command.Stderr = os.Stderr
	questions, err := command.StdinPipe()
	if err != nil {
		return nil, errors.Wrap(err, "start peer")
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		return nil, errors.Wrap(err, "start peer")
	}
	return &peer{command, questions, bufio.NewReader(answers)}, errors.Wrap(command.Start(), "start peer")
}

// ask gives the row of the case in the folder.
func (p *peer) ask(folder string) (string, error) {
	if _, err := fmt.Fprintln(p.questions, folder); err != nil {
		return "", errors.Wrap(err, "ask peer")
	}
	row, err := p.answers.ReadString('\n')
	return row, errors.Wrap(err, "the peer gave no answer")
}

// finish waits for the peer's verdict: an error where anything disagrees.
func (p *peer) finish() error {
	if err := p.questions.Close(); err != nil {
		return errors.Wrap(err, "end peer")
	}
	return errors.Wrap(p.command.Wait(), "PyTorch disagrees")
}

// stop ends the peer where the check is broken off; after finish it does
// nothing.
func (p *peer) stop() {
	if p.command.ProcessState == nil {
		p.questions.Close()
		p.command.Wait()
	}
}

// versions are those of Python and PyTorch.
func versions(python string) ([]string, error) {
	text, err := exec.Command(python, "-c",
		"import platform, torch; print('Python', platform.python_version()); print('torch', torch.__version__)").Output()
	if err != nil {
		return nil, errors.Wrapf(err, "%s cannot import torch: name one that can with -python", python)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
