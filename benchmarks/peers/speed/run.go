package main

import (
	"os"
	"strings"
	"time"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/likeness-go/likeness/internal/works"
)

// results are all that was measured. What was not asked for is empty.
type results struct {
	comparisons   []comparison
	scale         *scale
	bare, trained *series
	footprints    []footprint
	account       account
	options       options
	tools         []string
	took          time.Duration
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
	if err := r.markdown(os.Stdout); err != nil || o.results == "" {
		return err
	}
	return r.write(strings.Join(append([]string{"go run ./benchmarks/peers/speed"}, os.Args[1:]...), " "))
}

func (s *session) measure(r *results) error {
	for _, w := range works.All() {
		if !s.works.MatchString(w.Name) {
			continue
		}
		c, err := s.compare(w)
		if err != nil {
			return err
		}
		r.comparisons = append(r.comparisons, c)
	}
	first := works.All()[0]
	if s.works.MatchString("scale") {
		scale, err := s.scale(first)
		if err != nil {
			return err
		}
		r.scale = &scale
	}
	if s.works.MatchString("stream") {
		bare, trained, err := s.stream(first)
		if err != nil {
			return err
		}
		r.bare, r.trained = &bare, &trained
	}
	for _, w := range works.All() {
		if !memoryWorks[w.Name] || !s.works.MatchString("memory") {
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
