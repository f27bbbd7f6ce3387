package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// options are the values of the flags.
type options struct {
	rounds, steps, threads int
	workloads, peers       *regexp.Regexp
	python, environment    string
	results, chart         string // folders to write to; empty to write nothing
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2], os.Stdin, os.Stdout))
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "number of `rounds`, in each of which every peer runs every workload once")
	flag.IntVar(&o.steps, "steps", 5, "minimum number of timed `steps` in a turn; short steps are repeated more often")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "number of `threads` of each peer")
	only := flag.String("workloads", "", "measure only the workloads whose names match this `regexp`, and write nothing unless -out is given")
	among := flag.String("peers", "", "measure only the peers whose names match this `regexp`, and write nothing unless -out is given")
	out := flag.String("out", "", "`folder` to write all results to")
	flag.StringVar(&o.environment, "environment", defaultEnvironment(), "`folder` of the Python virtual environment")
	flag.StringVar(&o.python, "python", "", "Python `interpreter` that runs the peers, or creates the environment with -setup")
	table := flag.Bool("table", false, "write speed.md and the charts from speed.json without measuring")
	int8 := flag.Bool("int8", false, "measure embedding in integers of 8 bits beside the peers in float32 and in fewer bits, and write speed-int8.md")
	setup := flag.Bool("setup", false, "create the virtual environment without measuring")
	flag.Parse()
	if *setup {
		exit(makeEnvironment(o.environment, o.python))
	}
	if o.python == "" {
		o.python = filepath.Join(o.environment, "bin", "python")
	}
	switch {
	case *out != "":
		o.results, o.chart = *out, *out
	case *only == "" && *among == "":
		o.results, o.chart = "benchmarks/results", "docs"
	}
	var err error
	if o.workloads, err = regexp.Compile(*only); err != nil {
		exit(errors.Wrap(err, "-workloads"))
	}
	if o.peers, err = regexp.Compile(*among); err != nil {
		exit(errors.Wrap(err, "-peers"))
	}
	if *table {
		r, err := readRecord(o.results)
		if err == nil {
			err = r.publish(o.results, o.chart)
		}
		exit(err)
	}
	if o.rounds < 1 || o.steps < 1 || o.threads < 1 {
		exit(errors.Errorf("found -rounds %d, -steps %d and -threads %d, expected at least 1 for each", o.rounds, o.steps, o.threads))
	}
	if *int8 {
		exit(measureInt8(o))
	}
	exit(run(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// results are everything that was measured. What was not selected is empty.
type results struct {
	comparisons []comparison
	scale       *scale
	footprints  []footprint
	account     account
	options     options
	tools       []string
	took        time.Duration
}

// run measures and writes the results.
func run(o options) error {
	begin := time.Now()
	tools, err := versions(o.python)
	if err != nil {
		return err
	}
	s := &session{options: o, running: map[string]*process{}}
	defer s.close()
	r := results{options: o, tools: append([]string{"instructions " + vector.For[float32]().Name()}, tools...)}
	if err := s.measure(&r); err != nil {
		return err
	}
	r.account, r.took = s.account, time.Since(begin)
	record, err := r.record(strings.Join(append([]string{"go run ./benchmarks/peers/speed"}, os.Args[1:]...), " "))
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(record.markdown()); err != nil || o.results == "" {
		return errors.WithStack(err)
	}
	return record.write(o.results, o.chart)
}

func (s *session) measure(r *results) error {
	for _, w := range workload.All() {
		if !s.workloads.MatchString(w.Name) {
			continue
		}
		c, err := s.compare(w)
		if err != nil {
			return err
		}
		r.comparisons = append(r.comparisons, c)
	}
	first := workload.All()[0]
	if s.workloads.MatchString("scale") {
		var known *series
		if len(r.comparisons) > 0 && r.comparisons[0].workload.Name == first.Name {
			known = &r.comparisons[0].series[0]
		}
		scale, err := s.scale(first, known)
		if err != nil {
			return err
		}
		r.scale = &scale
	}
	for _, w := range workload.All() {
		if !memoryWorkloads[w.Name] || !s.workloads.MatchString("memory") {
			continue
		}
		f, err := s.footprint(w)
		if err != nil {
			return err
		}
		r.footprints = append(r.footprints, f)
	}
	return nil
}

// packages are the Python packages that the peers need, including optional dependencies.
var packages = []string{"torch", "numpy", "safetensors", "onnx", "onnxscript", "onnxruntime", "openvino"}

// requiredSpace is the disk space in KiB needed while the environment is created.
const requiredSpace = 10 << 20

func defaultEnvironment() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "likeness-peers"
	}
	return filepath.Join(cache, "likeness-peers")
}

// makeEnvironment creates the virtual environment with the newest versions of the
// packages.
func makeEnvironment(folder, python string) error {
	if python == "" {
		python = "python3"
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.Wrap(err, "set up")
	}
	free, err := freeSpace(folder)
	if err != nil {
		return errors.Wrap(err, "set up")
	}
	if free < requiredSpace {
		return errors.Errorf("set up: found %d MiB of free disk space at %s, expected at least %d MiB", free>>10, folder, requiredSpace>>10)
	}
	install := append([]string{"-m", "pip", "install", "--upgrade", "--no-cache-dir"}, packages...)
	for _, command := range []*exec.Cmd{
		exec.Command(python, "-m", "venv", folder),
		exec.Command(filepath.Join(folder, "bin", "python"), install...),
	} {
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			return errors.Wrapf(err, "set up: %s", command)
		}
	}
	return nil
}

// freeSpace returns the disk space available to the folder in KiB, as reported by df.
func freeSpace(folder string) (kib int64, err error) {
	text, err := exec.Command("df", "-Pk", folder).Output()
	if err != nil {
		return 0, errors.Wrap(err, "df")
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var device string
	var size, used int64
	_, err = fmt.Sscan(lines[len(lines)-1], &device, &size, &used, &kib)
	return kib, errors.Wrap(err, "df")
}

// versions returns the versions of the frameworks of the peers.
func versions(python string) ([]string, error) {
	const program = `
import platform, torch, onnxruntime, openvino
print("Python", platform.python_version())
print("torch", torch.__version__, "(" + torch.backends.cpu.get_cpu_capability() + ")")
print("onnxruntime", onnxruntime.__version__)
print("openvino", openvino.__version__)
`
	text, err := exec.Command(python, "-c", program).Output()
	if err != nil {
		return nil, errors.Wrapf(err, "%s cannot import torch, onnxruntime and openvino: create an environment with -setup", python)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
