// Reliability runs the checks behind RELIABILITY.md that take too long for the
// tests, one command a promise:
//
//	go run ./benchmarks/reliability crash
//
// Each run puts its figures in place of its earlier ones in
// benchmarks/results/reliability.jsonl and writes reliability.md from all that
// are there. A check that finds a promise broken ends with an error and records
// nothing.
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

// check is a promise with what shows that it is kept.
type check struct {
	name, promise string
	run           func(ctx context.Context, s settings) ([]Finding, error)
}

var checks = []check{
	{"crash", "Whatever dies and however full the disk, files are whole, old or new", crash},
	{"stability", "Another seed gives the same figures within a known spread", stability},
	{"regression", "A change that worsens learning is seen in seconds", regression},
	{"load", "A server under load answers every request, refuses quickly what is too much, keeps its memory bounded and ends without losing an answer", runLoad},
	{"race", "No test of any package has a data race", race},
	{"attack", "A mistake or an attack is answered by an error that names it, and loses nothing", attack},
	{"fuzz", "Whatever the bytes, a reader gives an error or sound data, without a panic and without memory for what is only claimed", fuzz},
}

// Finding is one thing that was measured: "trainings killed", "200, all resumed
// to the same bytes".
type Finding struct {
	What   string `json:"what"`
	Figure string `json:"figure"`
}

// settings are the command's.
type settings struct {
	out       string   // folder of the results; empty for none
	arguments []string // what follows the name of a check
	note      func(format string, arguments ...any)
}

func main() {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, enrolWithoutEnd(path, os.Stdout))
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
	fmt.Fprintf(os.Stderr, "  %-12s write reliability.md from the results that are there\n\nFlags:\n", "table")
	flag.PrintDefaults()
}

// run makes one check and records it.
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
	return keep(s.out, Result{
		Check: names[i], Promise: checks[i].promise, Findings: findings,
		Command: "go run ./benchmarks/reliability " + strings.Join(arguments, " "),
		Commit:  commit, Processor: record.Machine(),
		Date: time.Now().UTC().Format(time.DateOnly), Minutes: time.Since(start).Minutes(),
	})
}

// Result is what a check found, with what it takes to find it again.
type Result struct {
	Check     string    `json:"check"`
	Promise   string    `json:"promise"`
	Findings  []Finding `json:"findings"`
	Command   string    `json:"command"`
	Commit    string    `json:"commit"`
	Processor string    `json:"processor"`
	Date      string    `json:"date"`
	Minutes   float64   `json:"minutes"`
}

// keep puts a result in place of the same check's earlier one, and writes the
// table.
func keep(folder string, result Result) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(folder, "reliability.jsonl")
	results, err := read(path)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(results, func(r Result) bool { return r.Check == result.Check }); i >= 0 {
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

// writeTable writes the table of a folder's results.
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

// read reads the results of a file; none where there is no file.
func read(path string) ([]Result, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var results []Result
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var r Result
		if err := decoder.Decode(&r); err != nil {
			return nil, errors.Wrapf(err, "%s, result %d", path, len(results)+1)
		}
		results = append(results, r)
	}
	return results, nil
}

// table is the results as Markdown.
func table(results []Result) string {
	var text strings.Builder
	text.WriteString("# What the long checks of RELIABILITY.md found\n\nMade by the commands below from reliability.jsonl.\n")
	for _, r := range results {
		fmt.Fprintf(&text, "\n## %s\n\n%s.\n\n- command: `%s`\n- commit: %s\n- processor: %s\n- date: %s, after %.0f min\n\n| what | figure |\n|---|---|\n",
			strings.ToUpper(r.Check[:1])+r.Check[1:], r.Promise, r.Command, r.Commit, r.Processor, r.Date, r.Minutes)
		for _, f := range r.Findings {
			fmt.Fprintf(&text, "| %s | %s |\n", f.What, f.Figure)
		}
	}
	return text.String()
}

// runLoad is the check of package load.
func runLoad(ctx context.Context, s settings) ([]Finding, error) {
	found, err := load.Run(ctx, s.arguments, s.note)
	var findings []Finding
	for _, f := range found {
		findings = append(findings, Finding(f))
	}
	return findings, err
}

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
