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
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
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
