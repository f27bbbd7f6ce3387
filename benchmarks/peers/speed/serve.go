package main

import (
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// serveCommand makes this program a peer: "speed serve likeness".
const serveCommand = "serve"

func serve(name string, in io.Reader, out io.Writer) error {
	switch name {
	case "likeness":
		return serveRequests(&goServer{prepareStep: prepareLikeness}, in, out)
	case "gorgonia":
		return serveRequests(&goServer{prepareStep: prepareStock}, in, out)
	}
	return errors.Errorf("serve: there is no peer %q", name)
}

// batches is how many different ones training goes through: as many as the
// steps whose losses are compared.
const batches = 20

// goServer is a peer in Go.
type goServer struct {
	prepareStep func(w workload.Workload, r request) (workload.Step, error)
	step        workload.Step
}

func (s *goServer) prepare(r request) error {
	runtime.GOMAXPROCS(r.Threads)
	graph.SetThreads(r.Threads)
	w, err := workload.Named(r.Work)
	if err != nil {
		return err
	}
	s.step, err = s.prepareStep(w, r)
	return err
}

// prepareLikeness also writes the work's files, where a folder is given.
func prepareLikeness(w workload.Workload, r request) (workload.Step, error) {
	if r.Stream {
		return w.Stream()
	}
	n := batches
	if r.Fresh {
		n = 1
	}
	if r.Pairs > 0 {
		w.Count, n = r.Pairs, 1
	}
	step, err := w.Prepare(n)
	if err != nil || r.Folder == "" {
		return step, err
	}
	return step, step.(interface{ Export(folder string) error }).Export(r.Folder)
}

func prepareStock(w workload.Workload, r request) (workload.Step, error) {
	return newStock(w, r.Folder)
}

func (s *goServer) check(count int) (answer, error) {
	var a answer
	for range count {
		cost, err := s.step.Do()
		if err != nil {
			return a, err
		}
		a.Losses = append(a.Losses, cost)
	}
	return a, nil
}

func (s *goServer) steps(count int) (answer, error) { return timed(s.step, count) }

func (s *goServer) release() error {
	err := s.step.Close()
	s.step = nil
	runtime.GC()
	return err
}

// timed takes steps, and tells what they left to the collector.
func timed(step workload.Step, count int) (answer, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	times, err := workload.Time(step, count)
	runtime.ReadMemStats(&after)
	return answer{Milliseconds: times, Allocated: math.Round(float64(after.TotalAlloc-before.TotalAlloc) / float64(count))}, err
}

// memory is the present and the greatest number of bytes of the process in main
// memory, the latter since the last call.
func memory() (answer, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return answer{}, errors.WithStack(err)
	}
	a := answer{Resident: statusBytes(string(text), "VmRSS"), Peak: statusBytes(string(text), "VmHWM")}
	// 5 resets the peak, see proc_pid_clear_refs(5).
	return a, errors.WithStack(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
}

// statusBytes reads a field of proc_pid_status(5), which is in KiB.
func statusBytes(status, field string) int64 {
	for line := range strings.Lines(status) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == field+":" {
			kib, _ := strconv.ParseInt(words[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
