package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"

	"github.com/pkg/errors"
)

// process is a running peer.
type process struct {
	name     string
	command  *exec.Cmd
	requests io.WriteCloser
	answers  *bufio.Reader
	messages bytes.Buffer // what it says beside its answers
}

func start(name string, command *exec.Cmd) (*process, error) {
	p := &process{name: name, command: command}
	command.Stderr = &p.messages
	in, err := command.StdinPipe()
	if err != nil {
		return nil, errors.Wrapf(err, "start %s", name)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, errors.Wrapf(err, "start %s", name)
	}
	p.requests, p.answers = in, bufio.NewReader(out)
	return p, errors.Wrapf(command.Start(), "start %s", name)
}

// ask waits for the answer to a request.
func (p *process) ask(r request) (answer, error) {
	var a answer
	line, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err := fmt.Fprintf(p.requests, "%s\n", line); err != nil {
		return a, p.gone(r)
	}
	if line, err = p.answers.ReadBytes('\n'); err != nil {
		return a, p.gone(r)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, errors.Wrapf(err, "%s: answer to %q", p.name, r.Do)
	}
	if a.Error != "" {
		return a, errors.Errorf("%s: %s: %s", p.name, r.Do, a.Error)
	}
	return a, nil
}

// gone says why there is no answer.
func (p *process) gone(r request) error {
	p.stop()
	return errors.Errorf("%s ended at %q (%s): %s", p.name, r.Do, p.command.ProcessState, p.messages.String())
}

// stop ends the process, which it takes for the end of its requests.
func (p *process) stop() {
	if p.command.ProcessState == nil {
		p.requests.Close()
		p.command.Wait()
	}
}
