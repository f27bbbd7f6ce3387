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

// session is one measurement: its processes, and the use of the processors during it.
type session struct {
	options
	running map[string]*process // by name
	account account
}

// process returns the process of a peer and starts it on first use. The suffix
// distinguishes several processes of one peer.
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

// say prints a progress message to the standard error.
func (s *session) say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}

// chosen returns the selected peers that can run a workload.
func (s *session) chosen(w workload.Workload) []peer {
	var all []peer
	for _, p := range peers {
		if p.does(w) && s.peers.MatchString(p.name) {
			all = append(all, p)
		}
	}
	return all
}

// tolerance is the largest allowed difference between the results of a peer and those of
// the library: of losses relative to the library's, and of embeddings relative to each
// value, or absolute where that is below 1.
const tolerance = 1e-4

// comparison is the result of a workload.
type comparison struct {
	workload workload.Workload
	proofs   []proof
	series   []series // the library's first
	peers    []peer   // of the others, in their order
	// trainer is the step of the trainer on real digits, which is not the same workload but
	// is measured in the same rounds; nil for all workloads but the first.
	trainer *series
}

// proof records that a peer computes the same results as the library.
type proof struct {
	peer       string
	steps      int // of training; 0 for embeddings
	difference float64
}

// compare measures a workload with the library and all selected peers.
func (s *session) compare(w workload.Workload) (comparison, error) {
	c := comparison{workload: w, peers: s.chosen(w)}
	folder, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return c, errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	var participants []participant
	for _, p := range append([]peer{library}, c.peers...) {
		s.say("%s: preparing %s", w.Name, p.name)
		process, err := s.process(p, "")
		if err != nil {
			return c, err
		}
		// The library comes first and writes the files that the others read.
		if _, err := process.ask(request{Do: "prepare", Workload: w.Name, Folder: folder, Threads: s.threads}); err != nil {
			return c, err
		}
		participants = append(participants, participant{process, p.slow})
	}
	if c.proofs, err = s.prove(w, participants); err != nil {
		return c, errors.WithMessage(err, w.Name)
	}
	var trainer *process
	if w.Name == workload.All()[0].Name {
		s.say("%s: preparing the trainer", w.Name)
		if trainer, err = s.process(library, " (trainer on MNIST)"); err != nil {
			return c, err
		}
		if _, err := trainer.ask(request{Do: "prepare", Workload: w.Name, Stream: true, Threads: s.threads}); err != nil {
			return c, err
		}
		participants = append(participants, participant{process: trainer})
	}
	s.say("%s: %d rounds", w.Name, s.rounds)
	if c.series, err = s.turns(participants); err != nil {
		return c, err
	}
	if last := len(c.series) - 1; trainer != nil {
		c.trainer, c.series = &c.series[last], c.series[:last]
	}
	for _, participant := range participants {
		if _, err := participant.ask(request{Do: "release"}); err != nil {
			return c, err
		}
	}
	if trainer != nil {
		s.stop(trainer)
	}
	return c, nil
}

// prove compares the losses of the first steps, or the embeddings, with the library's.
func (s *session) prove(w workload.Workload, participants []participant) ([]proof, error) {
	var expected []float64
	steps, allowed := batches, tolerance
	if w.Deep {
		steps, allowed = 3, 10*tolerance
	}
	if w.Loss != nil {
		a, err := participants[0].ask(request{Do: "check", Count: steps})
		if err != nil {
			return nil, err
		}
		expected = a.Losses
	}
	var proofs []proof
	for _, c := range participants[1:] {
		p := proof{peer: c.name}
		if w.Loss != nil {
			p.steps = steps
			if c.slow {
				p.steps = 3
			}
		}
		s.say("%s: checking %s", w.Name, c.name)
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
		if !(p.difference <= allowed) {
			return nil, errors.Errorf("%s does not compute the same results: the largest difference is %.1e, expected at most %.0e (found the losses %v, expected %v)",
				c.name, p.difference, allowed, a.Losses, expected)
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// largestDifference returns the largest difference relative to the expected value. It is
// NaN if any value is NaN.
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
	// minTurn is how long the timed steps of a turn take together at least, or
	// about so: a clock of single short steps tells little.
	minTurn = 200 // milliseconds
)

// participant is a process that has prepared a workload.
type participant struct {
	*process
	slow bool
}

// series is the times of a participant.
type series struct {
	name      string
	times     []float64 // milliseconds per step, one value for each round
	allocated float64   // bytes per step, of a peer in Go
}

// turns measures the participants in rounds, in an order that rotates.
func (s *session) turns(participants []participant) ([]series, error) {
	all := make([]series, len(participants))
	for round := range s.rounds {
		for i := range participants {
			at := (round + i) % len(participants)
			time.Sleep(rest)
			a, err := s.turn(participants[at])
			if err != nil {
				return nil, err
			}
			all[at].name = participants[at].name
			all[at].times = append(all[at].times, median(a.Milliseconds))
			all[at].allocated = a.Allocated
		}
	}
	return all, nil
}

// turn runs a warm-up step and then the timed steps.
func (s *session) turn(c participant) (answer, error) {
	if c.slow {
		return s.watched(c.process, request{Do: "steps", Count: 1})
	}
	warm, err := c.ask(request{Do: "steps", Count: 1})
	if err != nil {
		return warm, err
	}
	return s.watched(c.process, request{Do: "steps", Count: turnSteps(s.steps, warm.Milliseconds[0])})
}

// turnSteps returns the number of steps in a turn, given the duration of one step.
func turnSteps(atLeast int, milliseconds float64) int {
	return max(atLeast, int(math.Ceil(minTurn/max(milliseconds, 0.02))))
}

// watched sends the request and records which other processes used the processors
// meanwhile.
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

// median returns the median of one or more numbers.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio is the time of one series divided by that of another.
type ratio struct {
	value     float64 // of the medians over all rounds
	low, high float64 // minimum and maximum over single rounds
}

// ratioOf returns the ratio of two series of times measured in the same rounds.
func ratioOf(over, under []float64) ratio {
	each := make([]float64, len(over))
	for round := range each {
		each[round] = over[round] / under[round]
	}
	return ratio{median(over) / median(under), slices.Min(each), slices.Max(each)}
}
