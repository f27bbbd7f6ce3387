package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// request is a line of JSON on the standard input of a peer. The requests are described in
// speed.py; peers in Go accept the same.
type request struct {
	Do       string `json:"do"`
	Folder   string `json:"folder,omitempty"`   // prepare: the folder of the files of the workload
	Fresh    bool   `json:"fresh,omitempty"`    // prepare: with new weights and one batch, to measure memory
	Count    int    `json:"count,omitempty"`    // check, steps
	Workload string `json:"workload,omitempty"` // prepare: its name, for a peer in Go
	Pairs    int    `json:"pairs,omitempty"`    // prepare: number of pairs, if not that of the workload
	Threads  int    `json:"threads,omitempty"`  // prepare: number of threads of a peer in Go
	Stream   bool   `json:"stream,omitempty"`   // prepare: the step of the trainer on real images
}

// answer is a line of JSON on the standard output of a peer.
type answer struct {
	Error        string    `json:"error,omitempty"`
	Losses       []float64 `json:"losses,omitempty"`
	Difference   float64   `json:"difference,omitempty"`
	Milliseconds []float64 `json:"milliseconds,omitempty"`
	Allocated    float64   `json:"allocated,omitempty"` // bytes per step, of a peer in Go
	Resident     int64     `json:"resident,omitempty"`  // bytes
	Peak         int64     `json:"peak,omitempty"`
}

// server carries out requests.
type server interface {
	prepare(request) error
	check(count int) (answer, error)
	steps(count int) (answer, error)
	release() error
}

// serveRequests answers each line of the input until its end.
func serveRequests(s server, in io.Reader, out io.Writer) error {
	requests, answers := bufio.NewScanner(in), json.NewEncoder(out)
	for requests.Scan() {
		var r request
		if err := json.Unmarshal(requests.Bytes(), &r); err != nil {
			return errors.Wrap(err, "read request")
		}
		a, err := respond(s, r)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := answers.Encode(a); err != nil {
			return errors.Wrap(err, "write answer")
		}
	}
	return errors.Wrap(requests.Err(), "read request")
}

func respond(s server, r request) (answer, error) {
	switch r.Do {
	case "prepare":
		return answer{}, s.prepare(r)
	case "check":
		return s.check(r.Count)
	case "steps":
		return s.steps(r.Count)
	case "memory":
		return memory()
	case "release":
		return answer{}, s.release()
	}
	return answer{}, errors.Errorf("found the request %q, expected prepare, check, steps, memory or release", r.Do)
}

// serveCommand is the argument with which this program runs as a peer: "speed serve likeness".
const serveCommand = "serve"

func serve(name string, in io.Reader, out io.Writer) error {
	switch name {
	case "likeness":
		return serveRequests(&goServer{prepareStep: prepareLikeness}, in, out)
	case int8Library.served:
		return serveRequests(&goServer{prepareStep: prepareInt8}, in, out)
	case "gorgonia":
		return serveRequests(&goServer{prepareStep: prepareStock}, in, out)
	}
	return errors.Errorf("serve: found the peer %q, expected likeness, likeness-int8 or gorgonia", name)
}

// batches is the number of different batches that training cycles through. It equals the
// number of steps whose losses are compared.
const batches = 20

// goServer is a peer written in Go.
type goServer struct {
	prepareStep func(w workload.Workload, r request) (workload.Step, error)
	step        workload.Step
}

func (s *goServer) prepare(r request) error {
	runtime.GOMAXPROCS(r.Threads)
	graph.SetThreads(r.Threads)
	w, err := workload.Named(r.Workload)
	if err != nil {
		return err
	}
	s.step, err = s.prepareStep(w, r)
	return err
}

// prepareLikeness also writes the files of the workload if a folder is given.
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
	if step, ok := s.step.(interface{ Difference() (float64, error) }); ok {
		difference, err := step.Difference()
		return answer{Difference: difference}, err
	}
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

// timed runs steps and returns their times and the bytes that they allocated.
func timed(step workload.Step, count int) (answer, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	times, err := workload.Time(step, count)
	runtime.ReadMemStats(&after)
	return answer{Milliseconds: times, Allocated: math.Round(float64(after.TotalAlloc-before.TotalAlloc) / float64(count))}, err
}

// memory returns the current resident set size of the process in bytes and its peak since
// the last call.
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

// process is a running peer.
type process struct {
	name     string
	command  *exec.Cmd
	requests io.WriteCloser
	answers  *bufio.Reader
	messages bytes.Buffer // its standard error
}

func start(name string, command *exec.Cmd) (*process, error) {
	p := &process{name: name, command: command}
	command.Stderr = &p.messages
	in, err := command.StdinPipe()
	if err != nil {
		return nil, errors.Wrapf(err, "start %s", name)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, errors.Wrapf(err, "start %s", name)
	}
	p.requests, p.answers = in, bufio.NewReader(out)
	return p, errors.Wrapf(command.Start(), "start %s", name)
}

// ask sends a request and waits for its answer.
func (p *process) ask(r request) (answer, error) {
	var a answer
	line, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err := fmt.Fprintf(p.requests, "%s\n", line); err != nil {
		return a, p.gone(r)
	}
	if line, err = p.answers.ReadBytes('\n'); err != nil {
		return a, p.gone(r)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, errors.Wrapf(err, "%s: answer to %q", p.name, r.Do)
	}
	if a.Error != "" {
		return a, errors.Errorf("%s: %s: %s", p.name, r.Do, a.Error)
	}
	return a, nil
}

// gone returns the reason why the process did not answer.
func (p *process) gone(r request) error {
	p.stop()
	return errors.Errorf("%s ended at %q (%s): %s", p.name, r.Do, p.command.ProcessState, p.messages.String())
}

// stop closes the standard input of the process, at which it exits, and waits for it.
func (p *process) stop() {
	if p.command.ProcessState == nil {
		p.requests.Close()
		p.command.Wait()
	}
}

// peer is one implementation of the workloads.
type peer struct {
	name      string // in tables
	framework string // of several peers of one framework, the fastest counts
	python    string // argument of speed.py; empty for a peer in Go
	served    string // argument of serve
	does      func(w workload.Workload) bool
	slow      bool // a step takes seconds, so a turn is one step
}

// library is likeness.
var library = peer{name: "likeness", framework: "likeness", served: "likeness"}

// peers are all other peers.
var peers = []peer{
	{name: "PyTorch eager", framework: "PyTorch", python: "eager", does: anything},
	{name: "PyTorch channels_last", framework: "PyTorch", python: "channels_last", does: anything},
	{name: "PyTorch compile", framework: "PyTorch", python: "compile", does: anything},
	{name: "ONNX Runtime", framework: "ONNX Runtime", python: "onnxruntime", does: embeds},
	{name: "OpenVINO", framework: "OpenVINO", python: "openvino", does: embeds},
	{name: "Gorgonia", framework: "Gorgonia", served: "gorgonia", does: first, slow: true},
}

func anything(workload.Workload) bool { return true }
func embeds(w workload.Workload) bool { return w.Loss == nil }
func first(w workload.Workload) bool  { return w.Name == workload.All()[0].Name }

// command returns the command that starts the peer.
func (p peer) command(o options) (*exec.Cmd, error) {
	if p.python != "" {
		// -B: leave no compiled files beside the script.
		return exec.Command(o.python, "-B", "benchmarks/peers/speed.py", p.python, strconv.Itoa(o.threads)), nil
	}
	self, err := os.Executable()
	return exec.Command(self, serveCommand, p.served), err
}
