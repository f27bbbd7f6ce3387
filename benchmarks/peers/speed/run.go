package main

import (
	"os"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// results are all that was measured. What was not asked for is empty.
type results struct {
	comparisons []comparison
	scale       *scale
	footprints  []footprint
	account     account
	options     options
	tools       []string
	took        time.Duration
}

// run measures and writes.
func run(o options) error {
	begin := time.Now()
	tools, err := versions(o.python)
	if err != nil {
		return err
	}
	s := &session{options: o, running: map[string]*process{}}
	defer s.close()
	r := results{options: o, tools: append([]string{"instructions " + vector.For[float32]().Name()}, tools...)}
	if err := s.measure(&r); err != nil {
		return err
	}
	r.account, r.took = s.account, time.Since(begin)
	record, err := r.record(strings.Join(append([]string{"go run ./benchmarks/peers/speed"}, os.Args[1:]...), " "))
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(record.markdown()); err != nil || o.results == "" {
		return errors.WithStack(err)
	}
	return record.write(o.results, o.chart)
}

func (s *session) measure(r *results) error {
	for _, w := range workload.All() {
		if !s.workloads.MatchString(w.Name) {
			continue
		}
		c, err := s.compare(w)
		if err != nil {
			return err
		}
		r.comparisons = append(r.comparisons, c)
	}
	first := workload.All()[0]
	if s.workloads.MatchString("scale") {
		var known *series
		if len(r.comparisons) > 0 && r.comparisons[0].work.Name == first.Name {
			known = &r.comparisons[0].series[0]
		}
		scale, err := s.scale(first, known)
		if err != nil {
			return err
		}
		r.scale = &scale
	}
	for _, w := range workload.All() {
		if !memoryWorks[w.Name] || !s.workloads.MatchString("memory") {
			continue
		}
		f, err := s.footprint(w)
		if err != nil {
			return err
		}
		r.footprints = append(r.footprints, f)
	}
	return nil
}
