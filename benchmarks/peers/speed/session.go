package main

import (
	"fmt"
	"os"

	"github.com/likeness-go/likeness/benchmarks/workload"
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
