package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

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
