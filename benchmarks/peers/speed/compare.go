package main

import (
	"math"
	"os"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/pkg/errors"
)

// tolerance is how far a peer's losses may be from the library's, relative to
// the library's, and its embeddings, relative to each value or absolute where
// that is below 1.
const tolerance = 1e-4

// comparison is what a work came to.
type comparison struct {
	work   workload.Workload
	proofs []proof
	series []series // the library's first
	peers  []peer   // of the others, in their order
	// trainer is the trainer's step on real digits, which is not the same work but is
	// measured in the same rounds; nil but for the first work.
	trainer *series
}

// proof is that a peer does the same work.
type proof struct {
	peer       string
	steps      int // of training; 0 for embeddings
	difference float64
}

// compare measures one work beside all chosen peers.
func (s *session) compare(w workload.Workload) (comparison, error) {
	c := comparison{work: w, peers: s.chosen(w)}
	folder, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return c, errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	var contestants []contestant
	for _, p := range append([]peer{library}, c.peers...) {
		s.say("%s: %s prepares", w.Name, p.name)
		process, err := s.process(p, "")
		if err != nil {
			return c, err
		}
		// The library comes first and writes the files that the others read.
		if _, err := process.ask(request{Do: "prepare", Work: w.Name, Folder: folder, Threads: s.threads}); err != nil {
			return c, err
		}
		contestants = append(contestants, contestant{process, p.slow})
	}
	if c.proofs, err = s.prove(w, contestants); err != nil {
		return c, errors.WithMessage(err, w.Name)
	}
	var trainer *process
	if w.Name == workload.All()[0].Name {
		s.say("%s: the trainer prepares", w.Name)
		if trainer, err = s.process(library, " training on real digits"); err != nil {
			return c, err
		}
		if _, err := trainer.ask(request{Do: "prepare", Work: w.Name, Stream: true, Threads: s.threads}); err != nil {
			return c, err
		}
		contestants = append(contestants, contestant{process: trainer})
	}
	s.say("%s: %d rounds", w.Name, s.rounds)
	if c.series, err = s.turns(contestants); err != nil {
		return c, err
	}
	if last := len(c.series) - 1; trainer != nil {
		c.trainer, c.series = &c.series[last], c.series[:last]
	}
	for _, contestant := range contestants {
		if _, err := contestant.ask(request{Do: "release"}); err != nil {
			return c, err
		}
	}
	if trainer != nil {
		s.stop(trainer)
	}
	return c, nil
}

// prove compares the losses of the first steps, or the embeddings.
func (s *session) prove(w workload.Workload, contestants []contestant) ([]proof, error) {
	var expected []float64
	if w.Loss != nil {
		a, err := contestants[0].ask(request{Do: "check", Count: batches})
		if err != nil {
			return nil, err
		}
		expected = a.Losses
	}
	var proofs []proof
	for _, c := range contestants[1:] {
		p := proof{peer: c.name}
		if w.Loss != nil {
			p.steps = batches
			if c.slow {
				p.steps = 3
			}
		}
		s.say("%s: %s is checked", w.Name, c.name)
		a, err := c.ask(request{Do: "check", Count: max(p.steps, 1)})
		if err != nil {
			return nil, err
		}
		p.difference = a.Difference
		if w.Loss != nil {
			if p.difference, err = largestDifference(a.Losses, expected[:p.steps]); err != nil {
				return nil, errors.WithMessage(err, c.name)
			}
		}
		if !(p.difference <= tolerance) {
			return nil, errors.Errorf("%s does not do the same work: it differs by %.1e, expected at most %.0e (%v, expected %v)",
				c.name, p.difference, tolerance, a.Losses, expected)
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// largestDifference relative to what is expected; NaN where there is one.
func largestDifference(found, expected []float64) (float64, error) {
	if len(found) != len(expected) {
		return 0, errors.Errorf("found %d losses, expected %d", len(found), len(expected))
	}
	largest := 0.0
	for i, e := range expected {
		largest = math.Max(largest, math.Abs(found[i]-e)/math.Abs(e))
	}
	return largest, nil
}
