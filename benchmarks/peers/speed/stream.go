package main

import "github.com/likeness-go/likeness/internal/works"

// stream measures a step of the trainer, which draws pairs of real digits and
// distorts them meanwhile, beside the bare step on batches that are there.
func (s *session) stream(w works.Work) (bare, trained series, err error) {
	var contestants []contestant
	for _, each := range []struct {
		name   string
		stream bool
	}{{"", false}, {" on real digits", true}} {
		process, err := s.process(library, each.name)
		if err != nil {
			return bare, trained, err
		}
		s.say("%s%s", w.Name, each.name)
		if _, err := process.ask(request{Do: "prepare", Work: w.Name, Stream: each.stream, Threads: s.threads}); err != nil {
			return bare, trained, err
		}
		contestants = append(contestants, contestant{process: process})
	}
	all, err := s.turns(contestants)
	if err != nil {
		return bare, trained, err
	}
	for _, c := range contestants {
		if _, err := c.ask(request{Do: "release"}); err != nil {
			return bare, trained, err
		}
	}
	s.stop(contestants[1].process)
	return all[0], all[1], nil
}
