package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/likeness-go/likeness/page"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
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
	return page.Run{
		Title:  fmt.Sprintf("%s: %s, %s with %s", s.material.name(), s.network.Name, s.settings.Objective, s.settings.Head),
		Report: measured, Evidence: evidence, Epochs: epochs, Validated: validated, Config: string(config),
	}.Write(string(folder))
}

// epochs reads metrics.jsonl.
func (f runFolder) epochs() (epochs []trainer.Epoch, err error) {
	file, err := os.Open(f.metrics())
	if err != nil {
		return nil, errors.Wrap(err, "read metrics")
	}
	defer file.Close()
	epochs, err = parseEpochs(file)
	return epochs, errors.Wrapf(err, "read %s", f.metrics())
}

func parseEpochs(r io.Reader) (epochs []trainer.Epoch, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var epoch trainer.Epoch
		if err := json.Unmarshal(lines.Bytes(), &epoch); err != nil {
			return nil, errors.Wrapf(err, "line %d", len(epochs)+1)
		}
		epochs = append(epochs, epoch)
	}
	return epochs, errors.Wrapf(lines.Err(), "line %d", len(epochs)+1)
}
