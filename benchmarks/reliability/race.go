package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os/exec"

	"github.com/pkg/errors"
)

// race runs the race detector over the tests of all packages, one package at a time.
func race(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	packages := flags.String("packages", "./...", "`pattern` of the packages")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, "go", "test", "-race", "-short", "-p", "1", "-timeout", "60m", "-json", *packages)
	var said bytes.Buffer
	c.Stderr = &said
	output, err := c.StdoutPipe()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	if err := c.Start(); err != nil {
		return nil, errors.WithStack(err)
	}
	passed, tests := 0, 0
	var failed []string
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var event struct{ Action, Package, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // what a build says
		}
		switch {
		case event.Action == "fail":
			failed = append(failed, event.Package+" "+event.Test)
		case event.Action == "pass" && event.Test != "":
			tests++
		case event.Action == "pass":
			passed++
			s.note("%s: passed", event.Package)
		}
	}
	reading, failure := lines.Err(), c.Wait()
	switch {
	case len(failed) > 0:
		return nil, errors.Errorf("found failures: %q", failed)
	case reading != nil:
		return nil, errors.WithStack(reading)
	case failure != nil:
		return nil, errors.Wrapf(failure, "go test: %s", &said)
	case tests == 0:
		return nil, errors.Errorf("%s: found no tests", *packages)
	}
	return []Finding{
		finding("packages tested with the race detector, without a data race", "%d", passed),
		finding("tests and parts of tests in them", "%d", tests),
	}, nil
}
