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

// scale is the training speed of the library by the number of threads and the batch size.
type scale struct {
	workload workload.Workload
	threads  []int
	rates    [][]float64 // images per second, indexed by threads and workload.PairCounts
}

// scale measures the library alone. If the time of the workload itself on all threads is
// known it is not measured again, so that a workload has the same time in all tables.
func (s *session) scale(w workload.Workload, known *series) (scale, error) {
	result := scale{workload: w, threads: workload.ThreadCounts(s.threads)}
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
			if _, err := process.ask(request{Do: "prepare", Workload: w.Name, Pairs: pairs, Threads: threads}); err != nil {
				return result, err
			}
			all, err := s.turns([]participant{{process: process}})
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

// rate returns the images per second of steps of a number of pairs and a duration.
func rate(pairs int, milliseconds float64) float64 { return float64(2*pairs) / milliseconds * 1000 }

// memoryWorkloads are the names of the workloads whose memory is measured.
var memoryWorkloads = map[string]bool{"conv4": true, "koch": true, "resnet18": true, "mobilenet-v2": true}

// memorySteps is the number of steps after which memory is measured: gradients and the
// state of the optimizer are allocated in the first.
const memorySteps = 3

// footprint is the main memory that a workload takes in each framework.
type footprint struct {
	workload workload.Workload
	names    []string
	bytes    []int64 // peak from building the network on, minus the memory of the process before
}

// footprint measures each peer in a separate process, which has loaded all code but built
// nothing.
func (s *session) footprint(w workload.Workload) (footprint, error) {
	result := footprint{workload: w}
	folder, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return result, errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	// Peers in Python read the network and its inputs from files.
	writer, err := s.process(library, "")
	if err != nil {
		return result, err
	}
	for _, r := range []request{{Do: "prepare", Workload: w.Name, Folder: folder, Threads: s.threads}, {Do: "release"}} {
		if _, err := writer.ask(r); err != nil {
			return result, err
		}
	}
	for _, p := range append([]peer{library}, s.chosen(w)...) {
		if p.framework != "PyTorch" && p.framework != library.framework {
			continue
		}
		s.say("%s: measuring the memory of %s", w.Name, p.name)
		r := request{Do: "prepare", Workload: w.Name, Fresh: true, Threads: s.threads}
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

// peak runs a few steps in a new process and returns the growth of its memory in bytes.
func (s *session) peak(p peer, prepare request) (int64, error) {
	process, err := s.process(p, " (memory)")
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

// account is the processor time that was used during the timed turns by processes other
// than the timed one.
type account struct {
	turns   time.Duration // in all
	waiting time.Duration // processor time of the peers that waited
	others  time.Duration // processor time of other programs, or given by the host to other virtual machines
}

// busyTimes are the processor times so far of the active peer, of all other peers and of
// all processes.
type busyTimes struct{ active, waiting, everything time.Duration }

func (a *account) add(took time.Duration, before, after busyTimes) {
	a.turns += took
	waiting := after.waiting - before.waiting
	a.waiting += waiting
	a.others += after.everything - before.everything - waiting - (after.active - before.active)
}

// perSecond returns a processor time per second of the turns: the mean number of
// processors kept busy.
func (a account) perSecond(busy time.Duration) float64 {
	return max(0, busy.Seconds()) / max(a.turns.Seconds(), 1e-9)
}

// busy reads the processor times of the processes from /proc; p is the active one.
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
// The second field is the name of the program in parentheses, which may contain anything.
func processBusy(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, errors.Errorf("found %q, expected the contents of /proc/PID/stat", stat)
	}
	return ticks(fields[11:13])
}

// machineBusy reads the times in proc_stat(5) from user to steal, except idle and iowait.
func machineBusy(stat string) (time.Duration, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.Errorf("found %q, expected the line \"cpu\" of /proc/stat", line)
	}
	return ticks(append(fields[1:4:4], fields[6:9]...))
}

// ticks returns the sum of the fields, which are in units of 10 ms.
func ticks(fields []string) (time.Duration, error) {
	var sum int
	for _, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, errors.Wrap(err, "processor times")
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}
