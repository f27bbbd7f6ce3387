package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/pkg/errors"
)

// regressionSeed is none of those that the bands are of.
const regressionSeed = 11

// leastSeeds make a band: the spread of fewer is a guess.
const leastSeeds = 5

// regression trains the short job once and compares its measures with their
// bands.
func regression(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("regression", flag.ContinueOnError)
	path := flags.String("bands", "benchmarks/results/"+bandFile, "`file` of the bands")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	bands, err := shortBands(*path)
	if err != nil {
		return nil, err
	}
	found, err := shortJob.measure(ctx, likeness, folder, regressionSeed)
	if err != nil {
		return nil, err
	}
	if err := judge(bands, found); err != nil {
		return nil, errors.WithMessage(err, "learning has changed; if that is meant, record the bands anew with go run ./benchmarks/reliability stability")
	}
	return []Finding{{fmt.Sprintf("measures of the short job within %d deviations of their means", width), fmt.Sprintf("all %d", len(bands))}}, nil
}

// shortBands are those of the short job in a file.
func shortBands(path string) (map[string]Band, error) {
	all, err := readStability(path)
	if err != nil {
		return nil, err
	}
	short, ok := all[shortJob.name]
	if !ok {
		return nil, errors.Errorf("%s: found no job %q", path, shortJob.name)
	}
	if found := short.seeds(); found < leastSeeds {
		return nil, errors.Errorf("%s: found %d seeds of the job %q, expected at least %d", path, found, shortJob.name, leastSeeds)
	}
	return short.Bands, nil
}
