package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/pkg/errors"
)

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
