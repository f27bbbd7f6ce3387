package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Record is a measurement in the form of speed.json. speed.md and the charts are written
// from it alone.
type Record struct {
	Command   string `json:"command"`
	Commit    string `json:"commit"`
	Processor string `json:"processor"`
	Versions  string `json:"versions"`
	Date      string `json:"date"`
	Took      string `json:"took"`

	Rounds  int     `json:"rounds"`
	Steps   int     `json:"steps"`
	Threads int     `json:"threads"`
	Waiting float64 `json:"waiting"`   // mean number of processors kept busy by peers that waited
	Others  float64 `json:"strangers"` // mean number of processors kept busy by other programs

	Workloads []Workload `json:"works"`
	Scale     *Scale     `json:"scale,omitempty"`
	Memory    []Memory   `json:"memory,omitempty"`
}

// Workload is the result of a workload: the time of the library first, then those of the
// peers in the same rounds.
type Workload struct {
	Title  string  `json:"title"`
	Times  []Time  `json:"times"`
	Proofs []Proof `json:"proofs"`
	// Trainer is the step of the trainer with the same network, in the same rounds; nil
	// if it was not measured.
	Trainer *Time `json:"trainer,omitempty"`
}

// Time is the time of a step of a participant in milliseconds, as median, minimum and
// maximum over the rounds, and its ratio to the time of the library in the same rounds,
// which is 1 for the library itself.
type Time struct {
	Name      string  `json:"name"`
	Framework string  `json:"framework"`
	MS        float64 `json:"ms"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Ratio     float64 `json:"ratio"`
	RatioLow  float64 `json:"ratio_low"`
	RatioHigh float64 `json:"ratio_high"`
	Allocated float64 `json:"allocated,omitempty"` // bytes per step, of the library
}

// Proof records that a peer computes the same results.
type Proof struct {
	Peer       string  `json:"peer"`
	Steps      int     `json:"steps"` // of training; 0 for embeddings
	Difference float64 `json:"difference"`
}

// Scale is the images per second by the number of threads and the pairs in a batch.
type Scale struct {
	Title   string      `json:"title"`
	Threads []int       `json:"threads"`
	Pairs   []int       `json:"pairs"`
	Rates   [][]float64 `json:"rates"`
}

// Memory is the main memory that a workload takes.
type Memory struct {
	Title  string    `json:"title"`
	Names  []string  `json:"names"`
	MiB    []int64   `json:"mib"`
	Ratios []float64 `json:"ratios"` // of the bytes to those of the library
}

// timeOf returns the time of a series and its ratio to the library's.
func timeOf(s, library series, framework string) Time {
	ratio := ratioOf(s.times, library.times)
	return Time{
		Name: s.name, Framework: framework, MS: median(s.times), Low: slices.Min(s.times), High: slices.Max(s.times),
		Ratio: ratio.value, RatioLow: ratio.low, RatioHigh: ratio.high, Allocated: s.allocated,
	}
}

func (c comparison) record() Workload {
	w := Workload{Title: c.workload.Title, Proofs: []Proof{}}
	for i, s := range c.series {
		framework := library.framework
		if i > 0 {
			framework = c.peers[i-1].framework
		}
		w.Times = append(w.Times, timeOf(s, c.series[0], framework))
	}
	for _, p := range c.proofs {
		w.Proofs = append(w.Proofs, Proof{p.peer, p.steps, p.difference})
	}
	if c.trainer != nil {
		t := timeOf(*c.trainer, c.series[0], library.framework)
		w.Trainer = &t
	}
	return w
}

// record returns the results with the current commit, machine and date.
func (r results) record(command string) (Record, error) {
	commit, err := record.Commit()
	if err != nil {
		return Record{}, err
	}
	all := Record{
		Command: command, Commit: commit, Processor: record.Machine(), Versions: strings.Join(append([]string{runtime.Version()}, r.tools...), ", "),
		Date: time.Now().UTC().Format(time.DateOnly), Took: r.took.Round(time.Second).String(),
		Rounds: r.options.rounds, Steps: r.options.steps, Threads: r.options.threads,
		Waiting: r.account.perSecond(r.account.waiting), Others: r.account.perSecond(r.account.others),
	}
	for _, c := range r.comparisons {
		all.Workloads = append(all.Workloads, c.record())
	}
	if r.scale != nil {
		all.Scale = &Scale{Title: r.scale.workload.Title, Threads: r.scale.threads, Pairs: workload.PairCounts, Rates: r.scale.rates}
	}
	for _, f := range r.footprints {
		m := Memory{Title: f.workload.Title, Names: f.names}
		for _, size := range f.bytes {
			m.MiB, m.Ratios = append(m.MiB, size>>20), append(m.Ratios, float64(size)/float64(f.bytes[0]))
		}
		all.Memory = append(all.Memory, m)
	}
	return all, nil
}

// row compares the library with the fastest peer of a framework.
type row struct {
	Workload       string
	Likeness, Peer Time
}

// rows returns the rows of a workload, one for each framework.
func (w Workload) rows() (rows []row) {
	best := map[string]int{} // by framework, in rows
	for _, t := range w.Times[1:] {
		at, known := best[t.Framework]
		switch {
		case !known:
			best[t.Framework] = len(rows)
			rows = append(rows, row{w.Title, w.Times[0], t})
		case t.MS < rows[at].Peer.MS:
			rows[at].Peer = t
		}
	}
	return rows
}

// rows returns the rows of all workloads.
func (r Record) rows() (all []row) {
	for _, w := range r.Workloads {
		all = append(all, w.rows()...)
	}
	return all
}

// recordFile is the name of the record in the folder of the results.
const recordFile = "speed.json"

// readRecord reads the record of a folder.
func readRecord(folder string) (r Record, err error) {
	path := filepath.Join(folder, recordFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return r, errors.WithStack(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return r, errors.Wrap(decoder.Decode(&r), path)
}

// write writes the record, speed.md and the charts to their folders.
func (r Record) write(results, charts string) error {
	for _, folder := range []string{results, charts} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return errors.Wrap(err, "write results")
		}
	}
	if err := atomicfile.WriteFile(filepath.Join(results, recordFile), r.json); err != nil {
		return err
	}
	return r.publish(results, charts)
}

// publish writes speed.md and the charts.
func (r Record) publish(results, charts string) error {
	err := atomicfile.WriteFile(filepath.Join(results, "speed.md"), func(w io.Writer) error {
		_, err := io.WriteString(w, r.document())
		return err
	})
	if err != nil {
		return err
	}
	if r.Scale != nil {
		if err := r.Scale.draw(filepath.Join(results, "scale.png")); err != nil {
			return err
		}
	}
	if len(r.Workloads) == 0 {
		return nil
	}
	return drawRatios(r.rows(), filepath.Join(charts, "speed.png"))
}

func (r Record) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	return errors.Wrap(encoder.Encode(r), "write record")
}
