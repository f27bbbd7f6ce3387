// Command scale-out measures training on several MPI processes:
//
//	go run ./benchmarks/scale-out training
//
// It needs cgo, Open MPI with its headers (Debian's openmpi-bin and libopenmpi-dev), and for the network of
// several nodes the right to make network namespaces. Each section of the record is written when
// it is measured, so that -only measures some of them again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/pkg/errors"
)

// options are the values of the flags.
type options struct {
	only      *regexp.Regexp
	out, data string
	python    string
	epochs    int
	kills     int
	seconds   float64
	program   string // likeness, built with MPI
	self      string // this program, built with MPI
	mpirun    []string
}

// section is a part of the record.
type section struct {
	name, title string
	measure     func(context.Context, *options) (string, error)
}

var sections = []section{
	{"equal", "Equal models", equalModels},
	{"kills", "Killed ranks", killedRanks},
	{"speed-conv4", "Two ranks on two processors: Conv4", speed("conv4", 6)},
	{"speed-resnet18", "Two ranks on two processors: ResNet-18", speed("resnet18", 1)},
	{"network", "A network between the nodes", network},
	{"relay-conv4", "Networks of a given latency and rate: Conv4", relay("conv4", 3)},
	{"relay-resnet18", "Networks of a given latency and rate: ResNet-18", relay("resnet18", 1)},
	{"peer", "PyTorch's DistributedDataParallel", peer},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == workerCommand {
		exit(worker(os.Args[2:]))
	}
	o := &options{}
	only := flag.String("only", "", "measure only the sections whose names match this `regexp`: equal, kills, speed-conv4, speed-resnet18, network, relay-conv4, relay-resnet18, peer")
	flag.StringVar(&o.out, "out", "benchmarks/results", "`folder` to write scale-out-training.md, .json and .png to")
	flag.StringVar(&o.data, "data", "", "`folder` of photographs by class, for the fine-tuning; synthetic pictures if it is empty")
	flag.StringVar(&o.python, "python", "", "Python `interpreter` with torch, for the comparison with DistributedDataParallel")
	flag.IntVar(&o.epochs, "epochs", 0, "`epochs` of the default job; 0 for all of it")
	flag.IntVar(&o.kills, "kills", 50, "`number` of ranks to kill")
	flag.Float64Var(&o.seconds, "seconds", 2, "`seconds` of each measurement of steps")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		exit(errors.Wrap(err, "-only"))
	}
	if flag.NArg() != 1 || flag.Arg(0) != "training" {
		exit(errors.Errorf("found the arguments %q, expected training", flag.Args()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(training(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "scale-out: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// measured is a section as the JSON file has it.
type measured struct {
	Text, Commit, Date, Machine, Command string
	Seconds                              float64
}

// training measures the sections and writes the record.
func training(ctx context.Context, o *options) error {
	folder, err := os.MkdirTemp("", "scale-out-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	o.program, o.self = filepath.Join(folder, "likeness"), filepath.Join(folder, "scale-out")
	for output, pkg := range map[string]string{o.program: "./cmd/likeness", o.self: "./benchmarks/scale-out"} {
		if err := command(ctx, "", "go", "build", "-tags", "mpi", "-o", output, pkg).run(); err != nil {
			return err
		}
	}
	o.mpirun = []string{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"}
	file := filepath.Join(o.out, "scale-out-training.json")
	all := map[string]measured{}
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			return errors.Wrapf(err, "read %s", file)
		}
	}
	commit, err := record.Commit()
	if err != nil {
		return err
	}
	for _, s := range sections {
		if !o.only.MatchString(s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s\n", s.title)
		start := time.Now()
		text, err := s.measure(ctx, o)
		if err != nil {
			return errors.Wrap(err, s.name)
		}
		fmt.Println(text)
		all[s.name] = measured{
			Text: text, Commit: commit, Date: start.UTC().Format(time.DateOnly), Machine: record.Machine(),
			Command: "go run ./benchmarks/scale-out " + strings.Join(os.Args[1:], " "), Seconds: time.Since(start).Seconds(),
		}
		encoded, err := json.MarshalIndent(all, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(encoded, '\n'), 0o666); err != nil {
			return err
		}
		if err := write(filepath.Join(o.out, "scale-out-training.md"), all); err != nil {
			return err
		}
	}
	return nil
}

// write writes the record of all sections that were measured.
func write(path string, all map[string]measured) error {
	var text strings.Builder
	text.WriteString("# Training on several processes\n\nWritten by `go run ./benchmarks/scale-out training`, section by section.\n")
	for _, s := range sections {
		if m, ok := all[s.name]; ok {
			fmt.Fprintf(&text, "\n## %s\n\n- command: `%s`\n- commit: %s\n- processor: %s\n- date: %s, after %.0f s\n\n%s\n", s.title, m.Command, m.Commit, m.Machine, m.Date, m.Seconds, strings.TrimSpace(m.Text))
		}
	}
	return os.WriteFile(path, []byte(text.String()), 0o666)
}

// process is a command whose output appears only in its error.
type process struct{ *exec.Cmd }

func command(ctx context.Context, folder string, words ...string) process {
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir = folder
	return process{c}
}

func (p process) run() error {
	_, err := p.output()
	return err
}

// output returns what the process writes to standard output.
func (p process) output() (string, error) {
	var out, problems strings.Builder
	p.Stdout, p.Stderr = &out, &problems
	if err := p.Run(); err != nil {
		return out.String(), errors.Wrapf(err, "%s: %s", strings.Join(p.Args, " "), tail(problems.String()))
	}
	return out.String(), nil
}

// tail is the end of a text.
func tail(text string) string {
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-2000):]
}

// job is the command line of an MPI job.
func (o *options) job(ranks int, words ...string) []string {
	return append(append(append([]string{}, o.mpirun...), "-np", fmt.Sprint(ranks)), words...)
}
