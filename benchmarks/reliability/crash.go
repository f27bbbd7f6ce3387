package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/likeness-go/likeness/internal/random"
)

// crash kills trainings and enrolments, and fills disks, at random moments.
func crash(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	kills := flags.Int("kills", 200, "of trainings, and as many of processes that enrol")
	disks := flags.Int("disks", 40, "that become full under trainings, and a quarter as many under each other command")
	seed := flags.Uint64("seed", 1, "of the moments")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	m, err := newMaterial(ctx, likeness, folder)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, part := range []func() ([]Finding, error){
		func() ([]Finding, error) { return m.killTrainings(ctx, *kills, random.New(*seed, "trainings"), s.note) },
		func() ([]Finding, error) {
			return killEnrolments(ctx, folder, *kills, random.New(*seed, "enrolments"), s.note)
		},
		func() ([]Finding, error) { return m.fillDisks(ctx, *disks, random.New(*seed, "disks"), s.note) },
	} {
		found, err := part()
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// finding is a figure in words.
func finding(what, format string, arguments ...any) Finding {
	return Finding{what, fmt.Sprintf(format, arguments...)}
}
