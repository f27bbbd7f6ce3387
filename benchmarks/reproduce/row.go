package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Row is one figure, in percent, with what it takes to get it again.
type Row struct {
	Protocol   string   `json:"protocol"`
	Method     string   `json:"method"`
	Views      int      `json:"views"` // of each image; 1 for it alone
	Seed       uint64   `json:"seed"`
	Figure     float64  `json:"figure"`
	Low        float64  `json:"low"` // 95 % interval over the trials
	High       float64  `json:"high"`
	Error      float64  `json:"standard_error,omitempty"` // over the trials; older rows have their interval alone
	Untrained  float64  `json:"untrained"`
	Pixels     float64  `json:"pixels"`
	Published  string   `json:"published"`
	Minutes    float64  `json:"minutes"` // of training
	Quick      bool     `json:"quick"`
	Validation bool     `json:"validation,omitempty"` // on classes to choose settings by
	Settings   Settings `json:"settings,omitempty"`
	Command    string   `json:"command"`
	Commit     string   `json:"commit"`
	Processor  string   `json:"processor"`
	Date       string   `json:"date"`
}

// fill adds what all rows of a training have in common.
func (s settings) fill(row Row, method string, took time.Duration) Row {
	row.Method, row.Seed, row.Quick, row.Command = method, s.seed, s.quick || s.steps > 0, s.command
	row.Minutes = took.Minutes()
	row.Date = time.Now().UTC().Format(time.DateOnly)
	row.Processor = record.Machine()
	row.Commit = s.commit
	return row
}

func (r Row) String() string {
	views := ""
	if r.Views > 1 {
		views = fmt.Sprintf(", by %d views", r.Views)
	}
	return fmt.Sprintf("%s%s: %.2f [%.2f, %.2f], untrained %.2f, pixels %.2f (%s, seed %d, %.1f min)",
		r.Protocol, views, r.Figure, r.Low, r.High, r.Untrained, r.Pixels, r.Method, r.Seed, r.Minutes)
}

const rowsFile = "accuracy.jsonl"

// appendRows adds rows to those of a folder, all of them or none.
func appendRows(folder string, rows []Row) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(folder, rowsFile)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.WithStack(err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(old); err != nil {
			return err
		}
		encoder := json.NewEncoder(w)
		for _, row := range rows {
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// readRows reads the rows of a folder.
func readRows(folder string) ([]Row, error) {
	path := filepath.Join(folder, rowsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var rows []Row
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, errors.Wrapf(err, "%s, line %d", path, number)
		}
		rows = append(rows, row)
	}
	return rows, errors.WithStack(lines.Err())
}
