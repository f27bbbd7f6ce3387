package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Band is how much a measure varies with the seed.
type Band struct {
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"` // standard, of a single run; 0 where there is one value
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Values    []float64 `json:"values"` // of the seeds 1, 2, …
}

// Stability are the bands of a job, by the names of the measures.
type Stability struct {
	Command   string          `json:"command"`
	Commit    string          `json:"commit"`
	Processor string          `json:"processor"`
	Date      string          `json:"date"`
	Bands     map[string]Band `json:"bands"`
}

// seeds is how many there are values of.
func (s Stability) seeds() int {
	for _, b := range s.Bands {
		return len(b.Values)
	}
	return 0
}

// with takes in the measures of one more seed.
func (s Stability) with(measures map[string]float64) Stability {
	bands := map[string]Band{}
	for name, value := range measures {
		bands[name] = newBand(append(slices.Clone(s.Bands[name].Values), value))
	}
	s.Bands = bands
	return s
}

// width is how many deviations a measure may be away from its mean. With the
// deviation of ten seeds a further seed is farther away in one case of 250. So it
// says nothing of a training whose luck is another because it rounds otherwise,
// and whatever it says is worth a look.
const width = 4

// newBand takes one value or more.
func newBand(values []float64) Band {
	b := Band{Min: slices.Min(values), Max: slices.Max(values), Values: values}
	for _, v := range values {
		b.Mean += v / float64(len(values))
	}
	for _, v := range values {
		b.Deviation += (v - b.Mean) * (v - b.Mean)
	}
	b.Deviation = math.Sqrt(b.Deviation / float64(max(1, len(values)-1)))
	return b
}

func (b Band) String() string {
	return fmt.Sprintf("%.4f ± %.4f, from %.4f to %.4f", b.Mean, b.Deviation, b.Min, b.Max)
}

// judge names the measures that lie outside of their bands, and those that one
// side lacks.
func judge(bands map[string]Band, found map[string]float64) error {
	var wrong []string
	for name, b := range bands {
		low, high := b.Mean-width*b.Deviation, b.Mean+width*b.Deviation
		if value, ok := found[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: found none", name))
		} else if !(low <= value && value <= high) { // NaN is outside
			wrong = append(wrong, fmt.Sprintf("%s: found %.4f, expected from %.4f to %.4f (%v)", name, value, low, high, b))
		}
	}
	for name := range found {
		if _, ok := bands[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: found no band of it", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.Errorf("%d of %d measures are out of their bands:\n  %s", len(wrong), len(bands), strings.Join(wrong, "\n  "))
}

// readStability reads the bands of all jobs, by their names.
func readStability(path string) (map[string]Stability, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var all map[string]Stability
	return all, errors.Wrap(json.Unmarshal(text, &all), path)
}

func writeStability(path string, all map[string]Stability) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return errors.Wrap(err, path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}
