package main

import (
	"context"

	"github.com/likeness-go/likeness/benchmarks/reliability/load"
)

// runLoad is the check of package load.
func runLoad(ctx context.Context, s settings) ([]Finding, error) {
	found, err := load.Run(ctx, s.arguments, s.note)
	var findings []Finding
	for _, f := range found {
		findings = append(findings, Finding(f))
	}
	return findings, err
}
