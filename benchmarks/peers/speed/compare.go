package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/pkg/errors"
)

// session is one measurement: the processes, and an account of who was busy.
type session struct {
	options
	running map[string]*process // by name
	account account
}

// process of a peer, started when it is first wanted. Suffix tells processes of
// one peer apart.
func (s *session) process(p peer, suffix string) (*process, error) {
	name := p.name + suffix
	if s.running[name] != nil {
		return s.running[name], nil
	}
	command, err := p.command(s.options)
	if err != nil {
		return nil, err
	}
	started, err := start(name, command)
	if err == nil {
		s.running[name] = started
	}
	return started, err
}

// stop ends a process.
func (s *session) stop(p *process) {
	p.stop()
	delete(s.running, p.name)
}

// close ends all processes.
func (s *session) close() {
	for _, p := range s.running {
		p.stop()
	}
}

// say tells whoever waits what is being done.
func (s *session) say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}

// chosen are the peers that are wanted for a work.
func (s *session) chosen(w workload.Workload) []peer {
	var all []peer
	for _, p := range peers {
		if p.does(w) && s.peers.MatchString(p.name) {
			all = append(all, p)
		}
	}
	return all
}

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

const (
	// rest lets the threads of the peer before go to sleep.
	rest = 50 * time.Millisecond
	// leastTurn is how long the timed steps of a turn take together at least, or
	// about so: a clock of single short steps tells little.
	leastTurn = 200 // milliseconds
)

// contestant is a process that has prepared a work.
type contestant struct {
	*process
	slow bool
}

// series is what a contestant's turns came to.
type series struct {
	name      string
	times     []float64 // milliseconds of a step, by round
	allocated float64   // bytes a step, of a peer in Go
}

// turns measures the contestants in rounds.
func (s *session) turns(contestants []contestant) ([]series, error) {
	all := make([]series, len(contestants))
	for round := range s.rounds {
		for i := range contestants {
			at := (round + i) % len(contestants)
			time.Sleep(rest)
			a, err := s.turn(contestants[at])
			if err != nil {
				return nil, err
			}
			all[at].name = contestants[at].name
			all[at].times = append(all[at].times, median(a.Milliseconds))
			all[at].allocated = a.Allocated
		}
	}
	return all, nil
}

// turn is a step to warm up, and the timed ones.
func (s *session) turn(c contestant) (answer, error) {
	if c.slow {
		return s.watched(c.process, request{Do: "steps", Count: 1})
	}
	warm, err := c.ask(request{Do: "steps", Count: 1})
	if err != nil {
		return warm, err
	}
	return s.watched(c.process, request{Do: "steps", Count: turnSteps(s.steps, warm.Milliseconds[0])})
}

// turnSteps is how many steps a turn has, when one takes so long.
func turnSteps(atLeast int, milliseconds float64) int {
	return max(atLeast, int(math.Ceil(leastTurn/max(milliseconds, 0.02))))
}

// watched asks the process, and keeps account of who else was busy meanwhile.
func (s *session) watched(p *process, r request) (answer, error) {
	before, err := s.busy(p)
	if err != nil {
		return answer{}, err
	}
	start := time.Now()
	a, err := p.ask(r)
	if err != nil {
		return a, err
	}
	took := time.Since(start)
	after, err := s.busy(p)
	s.account.add(took, before, after)
	return a, err
}

// median of one number or more.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio is how many times as long one takes as another.
type ratio struct {
	value     float64 // of the medians over all rounds
	low, high float64 // the least and the greatest of a single round
}

// ratioOf the times of two in the same rounds.
func ratioOf(over, under []float64) ratio {
	each := make([]float64, len(over))
	for round := range each {
		each[round] = over[round] / under[round]
	}
	return ratio{median(over) / median(under), slices.Min(each), slices.Max(each)}
}
