package main

import (
	"os"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/pkg/errors"
)

// memoryWorks are the names of those whose memory is measured.
var memoryWorks = map[string]bool{"conv4": true, "koch": true}

// memorySteps fill what a step needs: weights' gradients and the optimiser's
// values are there after the first.
const memorySteps = 3

// footprint is what a work takes of main memory in each framework.
type footprint struct {
	work  workload.Workload
	names []string
	bytes []int64 // the peak from building the network on, less what the process had before
}

// footprint measures each peer in a process of its own, which has loaded all
// code but built nothing.
func (s *session) footprint(w workload.Workload) (footprint, error) {
	result := footprint{work: w}
	folder, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return result, errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	// Peers in Python read the network and its inputs from these files.
	writer, err := s.process(library, "")
	if err != nil {
		return result, err
	}
	for _, r := range []request{{Do: "prepare", Work: w.Name, Folder: folder, Threads: s.threads}, {Do: "release"}} {
		if _, err := writer.ask(r); err != nil {
			return result, err
		}
	}
	for _, p := range append([]peer{library}, s.chosen(w)...) {
		if p.framework != "PyTorch" && p.framework != library.framework {
			continue
		}
		s.say("%s: memory of %s", w.Name, p.name)
		r := request{Do: "prepare", Work: w.Name, Fresh: true, Threads: s.threads}
		if p.python != "" {
			r.Folder = folder
		}
		bytes, err := s.peak(p, r)
		if err != nil {
			return result, err
		}
		result.names, result.bytes = append(result.names, p.name), append(result.bytes, bytes)
	}
	return result, nil
}

// peak runs a few steps in a new process and tells by how much its memory grew.
func (s *session) peak(p peer, prepare request) (int64, error) {
	process, err := s.process(p, " for its memory")
	if err != nil {
		return 0, err
	}
	defer s.stop(process)
	before, err := process.ask(request{Do: "memory"})
	if err != nil {
		return 0, err
	}
	for _, r := range []request{prepare, {Do: "steps", Count: memorySteps}} {
		if _, err := process.ask(r); err != nil {
			return 0, err
		}
	}
	after, err := process.ask(request{Do: "memory"})
	return after.Peak - before.Resident, err
}
