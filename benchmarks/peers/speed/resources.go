package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/pkg/errors"
)

// scale is how fast the library trains, by the number of threads and the size
// of a batch.
type scale struct {
	work    workload.Workload
	threads []int
	rates   [][]float64 // images a second: by threads and workload.PairCounts
}

// scale measures the library alone. The work itself on all threads is not measured
// again where its time is known: one work has one time.
func (s *session) scale(w workload.Workload, known *series) (scale, error) {
	result := scale{work: w, threads: workload.ThreadCounts(s.threads)}
	process, err := s.process(library, "")
	if err != nil {
		return result, err
	}
	for _, threads := range result.threads {
		var rates []float64
		for _, pairs := range workload.PairCounts {
			if known != nil && pairs == w.Count && threads == s.threads {
				rates = append(rates, rate(pairs, median(known.times)))
				continue
			}
			s.say("%s: %d pairs on %d threads", w.Name, pairs, threads)
			if _, err := process.ask(request{Do: "prepare", Work: w.Name, Pairs: pairs, Threads: threads}); err != nil {
				return result, err
			}
			all, err := s.turns([]contestant{{process: process}})
			if err != nil {
				return result, err
			}
			rates = append(rates, rate(pairs, median(all[0].times)))
			if _, err := process.ask(request{Do: "release"}); err != nil {
				return result, err
			}
		}
		result.rates = append(result.rates, rates)
	}
	return result, nil
}

// rate is the images a second of steps of so many pairs and milliseconds.
func rate(pairs int, milliseconds float64) float64 { return float64(2*pairs) / milliseconds * 1000 }

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

// account is what processors did in the timed turns beside what was timed.
type account struct {
	turns     time.Duration // in all
	waiting   time.Duration // spent on peers whose turn it was not
	strangers time.Duration // spent on processes that are none of the session's, or by the host elsewhere
}

// busyTimes are what processors have spent so far on a peer, on all others and
// on everything there is.
type busyTimes struct{ active, waiting, everything time.Duration }

func (a *account) add(took time.Duration, before, after busyTimes) {
	a.turns += took
	waiting := after.waiting - before.waiting
	a.waiting += waiting
	a.strangers += after.everything - before.everything - waiting - (after.active - before.active)
}

// perSecond of the turns, which is the number of processors kept busy.
func (a account) perSecond(busy time.Duration) float64 {
	return max(0, busy.Seconds()) / max(a.turns.Seconds(), 1e-9)
}

// busy reads Linux's account of the processes, of which p is the active one.
func (s *session) busy(p *process) (b busyTimes, err error) {
	for _, each := range s.running {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", each.command.Process.Pid))
		if err != nil {
			return b, errors.Wrap(err, each.name)
		}
		busy, err := processBusy(string(text))
		if err != nil {
			return b, errors.Wrap(err, each.name)
		}
		if each == p {
			b.active = busy
		} else {
			b.waiting += busy
		}
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return b, errors.WithStack(err)
	}
	b.everything, err = machineBusy(string(text))
	return b, err
}

// processBusy reads user and system time, fields 14 and 15 of proc_pid_stat(5).
// The second field is a name in brackets, and may hold anything.
func processBusy(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, errors.Errorf("found %q, expected the status of a process", stat)
	}
	return ticks(fields[11:13])
}

// machineBusy reads all times of proc_stat(5) but those of idleness and of
// waiting for disks, up to the time that the host gave to others.
func machineBusy(stat string) (time.Duration, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.Errorf("found %q, expected the times of all processors", line)
	}
	return ticks(append(fields[1:4:4], fields[6:9]...))
}

// ticks are of 10 ms.
func ticks(fields []string) (time.Duration, error) {
	var sum int
	for _, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, errors.Wrap(err, "processors' times")
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}
