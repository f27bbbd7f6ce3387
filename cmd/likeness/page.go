package main

import (
	"fmt"
	"os"

	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// writePage writes report.html from what the run folder holds, and from what
// was measured.
func (s *setup) writePage(folder runFolder, measured report.Report, evidence *report.Evidence) error {
	config, err := os.ReadFile(folder.config())
	if err != nil {
		return errors.Wrap(err, "read config")
	}
	epochs, err := folder.epochs()
	if err != nil {
		return err
	}
	_, validated, err := s.material.validation(s.settings.Seed)
	if err != nil {
		return err
	}
	return report.Page{
		Title:  fmt.Sprintf("%s: %s, %s with %s", s.material.name(), s.network.Name, s.settings.Objective, s.settings.Head),
		Report: measured, Evidence: evidence, Epochs: epochs, Validated: validated, Config: string(config),
	}.Write(string(folder))
}
