package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/pkg/errors"
)

// row is a finished measurement. Test classes have a part in Values only.
type row struct {
	Set      string             `json:"set"`
	Method   string             `json:"method"`  // a loss, or frozen, untrained or adapt
	Variant  string             `json:"variant"` // defaults or searched; empty for a baseline
	Seed     uint64             `json:"seed"`
	Trials   int                `json:"trials,omitempty"` // of the search
	Steps    int                `json:"steps,omitempty"`
	Settings map[string]string  `json:"settings,omitempty"` // that the search chose
	Values   map[string]float64 `json:"values,omitempty"`   // on test classes, from 0 to 1
	Low      map[string]float64 `json:"low,omitempty"`      // ends of the intervals over test images
	High     map[string]float64 `json:"high,omitempty"`
	Chosen   float64            `json:"validation,omitempty"` // on held-out classes
	Seconds  float64            `json:"seconds,omitempty"`    // of training
	Search   float64            `json:"search_seconds,omitempty"`
	Took     float64            `json:"took_seconds,omitempty"` // with validation, test and, in the first row of a search, all trials
	Failed   string             `json:"failed,omitempty"`
	Commit   string             `json:"commit"`
	Machine  string             `json:"machine"`
	Date     string             `json:"date"`
}

func (r row) key() string {
	return fmt.Sprint(r.Set, "/", r.Method, "/", r.Variant, "/", r.Seed, "/", r.Trials, "/", r.Steps)
}

func (c *comparison) rowsFile() string { return filepath.Join(c.work, "rows.jsonl") }

// rows reads the finished rows. A last line that was not written whole is left out.
func (c *comparison) rows() (rows []row, err error) {
	file, err := os.Open(c.rowsFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			log.Printf("%s: line %d is left out: %v", c.rowsFile(), len(rows)+1, err)
			continue
		}
		rows = append(rows, r)
	}
	return rows, lines.Err()
}

// add appends a row, on a line of its own also after one that was not written whole.
func (c *comparison) add(r row) error {
	now := time.Now()
	r.Commit, r.Machine, r.Date, r.Took = c.commit, record.Machine(), now.UTC().Format(time.DateOnly), now.Sub(c.last).Seconds()
	c.last = now
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(c.rowsFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(before) > 0 && before[len(before)-1] != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	file, err := os.OpenFile(c.rowsFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(append(text, '\n')); err != nil {
		return err
	}
	log.Printf("%s %s %s seed %d: %s %s", r.Set, r.Method, r.Variant, r.Seed, describe(r.Values), r.Failed)
	return errors.WithStack(file.Sync())
}

func describe(values map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%s %.2f", name, 100*values[name]))
	}
	return strings.Join(parts, ", ")
}

// measured is a method of a set over its seeds.
type measured struct {
	method, variant     string
	rows                []row
	mean                map[string]float64
	half                map[string]float64 // half of the 95 % interval of the mean over seeds
	perStep, train, all float64            // seconds: of a step, of a training, with the search
	failed              int
}

// quantileT is the 97.5 % quantile of Student's t distribution by its degrees of freedom.
var quantileT = []float64{0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262}

// summarize groups the rows of a set by method and variant. A failed training has no values and
// is counted.
func (c *comparison) summarize(t *task, rows []row) (list []*measured) {
	groups := map[string]*measured{}
	for _, r := range rows {
		if r.Set != t.name || r.Variant != "" && (r.Steps != t.steps || r.Variant == "searched" && r.Trials != t.trials || r.Seed > uint64(c.seeds)) {
			continue
		}
		key := r.Method + "/" + r.Variant
		if groups[key] == nil {
			groups[key] = &measured{method: r.Method, variant: r.Variant}
			list = append(list, groups[key])
		}
		groups[key].rows = append(groups[key].rows, r)
	}
	for _, m := range list {
		m.mean, m.half = map[string]float64{}, map[string]float64{}
		for _, name := range t.metrics {
			var values []float64
			for _, r := range m.rows {
				if value, ok := r.Values[name]; ok {
					values = append(values, value)
				}
			}
			m.mean[name], m.half[name] = meanInterval(values)
		}
		for _, r := range m.rows {
			if r.Failed != "" {
				m.failed++
			}
			m.train += r.Seconds / float64(len(m.rows))
			m.all = m.train + r.Search
		}
		if steps := m.rows[0].Steps; steps > 0 {
			m.perStep = m.train / float64(steps)
		}
	}
	slices.SortStableFunc(list, func(a, b *measured) int {
		value := func(m *measured) float64 {
			if v := m.mean[t.primary]; !math.IsNaN(v) {
				return v
			}
			return -1
		}
		return cmp.Compare(value(b), value(a))
	})
	return list
}

// meanInterval is the mean and half of its 95 % interval by Student's t distribution; the half is
// NaN for fewer than two values.
func meanInterval(values []float64) (mean, half float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, math.NaN()
	}
	variance := 0.0
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, quantileT[min(len(values)-1, len(quantileT)-1)] * math.Sqrt(variance/float64(len(values)))
}

func percent(value, half float64) string {
	switch {
	case math.IsNaN(value):
		return "–"
	case math.IsNaN(half):
		return strconv.FormatFloat(100*value, 'f', 2, 64)
	}
	return fmt.Sprintf("%.2f ± %.2f", 100*value, 100*half)
}
