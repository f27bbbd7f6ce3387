package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// write leaves the record, the rows and the charts in their folders.
func (r results) write(command string) error {
	for _, folder := range []string{r.options.results, r.options.chart} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return errors.Wrap(err, "write results")
		}
	}
	var text strings.Builder
	if err := r.markdown(&text); err != nil {
		return err
	}
	err := record.Record{
		Title: "Speed beside other frameworks", Command: command, Tools: r.tools, Took: r.took, Result: text.String(),
	}.WriteFile(filepath.Join(r.options.results, "speed.md"))
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(r.options.results, "speed.json"), r.json); err != nil {
		return err
	}
	if r.scale != nil {
		if err := r.scale.draw(filepath.Join(r.options.results, "scale.png")); err != nil {
			return err
		}
	}
	if len(r.comparisons) == 0 {
		return nil
	}
	return drawRatios(r.rows(), filepath.Join(r.options.chart, "speed.png"))
}
