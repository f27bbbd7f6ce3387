package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/pkg/errors"
)

// options are the command's.
type options struct {
	rounds, steps, threads int
	workloads, peers       *regexp.Regexp
	python, environment    string
	results, chart         string // where to write; empty for nowhere
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2], os.Stdin, os.Stdout))
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "turns of each peer at each work")
	flag.IntVar(&o.steps, "steps", 5, "steps that are timed in a turn, more where they are short")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each peer")
	only := flag.String("workloads", "", "measure the workloads whose names match this `regexp`, and write nothing unless -out is given")
	among := flag.String("peers", "", "measure beside the peers whose names match this `regexp`, and write nothing unless -out is given")
	out := flag.String("out", "", "`folder` for all that is written")
	flag.StringVar(&o.environment, "environment", defaultEnvironment(), "`folder` of the virtual environment")
	flag.StringVar(&o.python, "python", "", "the Python to run the peers with, or to make the environment with")
	table := flag.Bool("table", false, "write speed.md and the charts from speed.json, and measure nothing")
	setup := flag.Bool("setup", false, "make the virtual environment, and measure nothing")
	flag.Parse()
	if *setup {
		exit(makeEnvironment(o.environment, o.python))
	}
	if o.python == "" {
		o.python = filepath.Join(o.environment, "bin", "python")
	}
	switch {
	case *out != "":
		o.results, o.chart = *out, *out
	case *only == "" && *among == "":
		o.results, o.chart = "benchmarks/results", "docs"
	}
	var err error
	if o.workloads, err = regexp.Compile(*only); err != nil {
		exit(errors.Wrap(err, "-workloads"))
	}
	if o.peers, err = regexp.Compile(*among); err != nil {
		exit(errors.Wrap(err, "-peers"))
	}
	if *table {
		r, err := readRecord(o.results)
		if err == nil {
			err = r.publish(o.results, o.chart)
		}
		exit(err)
	}
	if o.rounds < 1 || o.steps < 1 || o.threads < 1 {
		exit(errors.Errorf("found %d rounds, %d steps and %d threads, expected at least one of each", o.rounds, o.steps, o.threads))
	}
	exit(run(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
