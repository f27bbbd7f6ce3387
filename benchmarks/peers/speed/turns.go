package main

import (
	"math"
	"time"
)

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
