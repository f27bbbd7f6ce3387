// Reliability runs the checks of RELIABILITY.md that take too long for tests, one command
// for each requirement:
//
//	go run ./benchmarks/reliability crash
//
// Each run replaces the earlier results of the check in
// benchmarks/results/reliability.jsonl and writes reliability.md from all results there. A
// check that fails ends with an error and records nothing.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/benchmarks/reliability/load"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// check is a requirement with the function that checks it.
type check struct {
	name, promise string
	run           func(ctx context.Context, s settings) ([]measured, error)
}

var checks = []check{
	{"crash", "After a crash and on a full disk every file is intact, in its old or its new version", crash},
	{"stability", "Another random seed gives the same figures within a known spread", stability},
	{"regression", "A change that worsens training is detected in seconds", regression},
	{"load", "A server under load answers every request, refuses excess requests quickly, limits its memory and shuts down without losing an answer", runLoad},
	{"race", "No test of any package has a data race", race},
	{"attack", "A mistake or an attack results in an error that names it, and no data is lost", attack},
	{"fuzz", "For any input a reader returns an error or valid data, without a panic, and validates sizes before memory is allocated", fuzz},
}

// measured is a result of a check in words, for example "trainings killed" and "200, all
// resumed to the same bytes".
type measured struct {
	What   string `json:"what"`
	Figure string `json:"figure"`
}

// settings are the settings of the command.
type settings struct {
	out       string   // folder of the results; empty: not written
	arguments []string // arguments after the name of the check
	note      func(format string, arguments ...any)
}

func main() {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, enrollForever(path, os.Stdout))
		os.Exit(1)
	}
	s := settings{note: func(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }}
	flag.StringVar(&s.out, "out", "benchmarks/results", "`folder` of reliability.jsonl and reliability.md; empty writes nothing")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "Usage: go run ./benchmarks/reliability [flags] NAME [flags of the check]\n\nNames:")
	for _, c := range checks {
		fmt.Fprintf(os.Stderr, "  %-12s %s\n", c.name, c.promise)
	}
	fmt.Fprintf(os.Stderr, "  %-12s write reliability.md from the recorded results\n\nFlags:\n", "table")
	flag.PrintDefaults()
}

// run runs one check and records its results.
func run(ctx context.Context, s settings, arguments []string) error {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	if slices.Equal(arguments, []string{"table"}) {
		return writeTable(s.out)
	}
	if len(arguments) == 0 {
		return errors.Errorf("found no name, expected one of %s", strings.Join(names, ", "))
	}
	i := slices.Index(names, arguments[0])
	if i < 0 {
		return errors.Errorf("found the name %q, expected one of %s", arguments[0], strings.Join(names, ", "))
	}
	s.arguments = arguments[1:]
	commit, err := record.Commit()
	if err != nil {
		return err
	}
	start := time.Now()
	findings, err := checks[i].run(ctx, s)
	if err != nil {
		return errors.Wrap(err, names[i])
	}
	for _, f := range findings {
		fmt.Printf("%s: %s\n", f.What, f.Figure)
	}
	if s.out == "" {
		return nil
	}
	return keep(s.out, entry{
		Check: names[i], Promise: checks[i].promise, Findings: findings,
		Command: "go run ./benchmarks/reliability " + strings.Join(arguments, " "),
		Commit:  commit, Processor: record.Machine(),
		Date: time.Now().UTC().Format(time.DateOnly), Minutes: time.Since(start).Minutes(),
	})
}

// entry holds the results of a check with the command, the commit and the machine.
type entry struct {
	Check     string     `json:"check"`
	Promise   string     `json:"promise"`
	Findings  []measured `json:"findings"`
	Command   string     `json:"command"`
	Commit    string     `json:"commit"`
	Processor string     `json:"processor"`
	Date      string     `json:"date"`
	Minutes   float64    `json:"minutes"`
}

// keep replaces the entry of the same check and writes the table.
func keep(folder string, result entry) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(folder, "reliability.jsonl")
	results, err := read(path)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(results, func(r entry) bool { return r.Check == result.Check }); i >= 0 {
		results[i] = result
	} else {
		results = append(results, result)
	}
	err = atomicfile.WriteFile(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		for _, r := range results {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeTable(folder)
}

// writeTable writes the table of the results in a folder.
func writeTable(folder string) error {
	results, err := read(filepath.Join(folder, "reliability.jsonl"))
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(folder, "reliability.md"), func(w io.Writer) error {
		_, err := io.WriteString(w, table(results))
		return err
	})
}

// read reads the entries of a file; none if the file does not exist.
func read(path string) ([]entry, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var results []entry
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var r entry
		if err := decoder.Decode(&r); err != nil {
			return nil, errors.Wrapf(err, "%s, result %d", path, len(results)+1)
		}
		results = append(results, r)
	}
	return results, nil
}

// table formats the results as Markdown.
func table(results []entry) string {
	var text strings.Builder
	text.WriteString("# Results of the long checks of RELIABILITY.md\n\nGenerated from reliability.jsonl, which the commands below write.\n")
	for _, r := range results {
		fmt.Fprintf(&text, "\n## %s\n\n%s.\n\n- command: `%s`\n- commit: %s\n- processor: %s\n- date: %s, after %.0f min\n\n| check | result |\n|---|---|\n",
			strings.ToUpper(r.Check[:1])+r.Check[1:], r.Promise, r.Command, r.Commit, r.Processor, r.Date, r.Minutes)
		for _, f := range r.Findings {
			fmt.Fprintf(&text, "| %s | %s |\n", f.What, f.Figure)
		}
	}
	return text.String()
}

// runLoad runs the test of package load.
func runLoad(ctx context.Context, s settings) ([]measured, error) {
	found, err := load.Run(ctx, s.arguments, s.note)
	var findings []measured
	for _, f := range found {
		findings = append(findings, measured(f))
	}
	return findings, err
}

// race runs the race detector over the tests of all packages, one package at a time.
func race(ctx context.Context, s settings) ([]measured, error) {
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	packages := flags.String("packages", "./...", "`pattern` of the packages to test")
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
			continue // output of a build
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
	return []measured{
		newMeasured("packages tested with the race detector without a data race", "%d", passed),
		newMeasured("tests and subtests in them", "%d", tests),
	}, nil
}
