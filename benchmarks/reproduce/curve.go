package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Point is a place on the curve of a training: what was spent, and what it came
// to.
type Point struct {
	Steps      int     `json:"steps"`
	Images     int     `json:"images"`     // looked at, distorted ones counted each
	Minutes    float64 `json:"minutes"`    // of training alone
	Loss       float64 `json:"loss"`       // of the images, mean since the point before
	Validation float64 `json:"validation"` // percent, 20-way one-shot, six background alphabets held out
	Runs       float64 `json:"runs"`       // percent, Lake's 20 runs; chooses nothing
}

// writeCurve writes the points so far, one a line.
func writeCurve(folder, name string, curve []Point) error {
	if folder == "" {
		return nil
	}
	return atomicfile.WriteFile(filepath.Join(folder, name+".jsonl"), func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		for _, p := range curve {
			if err := encoder.Encode(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// readCurve reads what writeCurve wrote; there is none where there is no file.
func readCurve(folder, name string) ([]Point, error) {
	path := filepath.Join(folder, name+".jsonl")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var curve []Point
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		var p Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, errors.Wrapf(err, "%s, line %d", path, number)
		}
		curve = append(curve, p)
	}
	if err == nil {
		err = lines.Err()
	}
	return curve, errors.WithStack(err)
}
