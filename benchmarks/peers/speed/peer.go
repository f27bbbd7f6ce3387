package main

import (
	"os"
	"os/exec"
	"strconv"

	"github.com/likeness-go/likeness/benchmarks/workload"
)

// peer is one way to do workload.
type peer struct {
	name      string // in tables
	framework string // of the ways of one framework the fastest counts
	python    string // what speed.py is to be; empty for a peer in Go
	served    string // what this program is to be
	does      func(w workload.Workload) bool
	slow      bool // takes seconds for a step: a turn is one
}

// library is likeness.
var library = peer{name: "likeness", framework: "likeness", served: "likeness"}

// peers are all others.
var peers = []peer{
	{name: "PyTorch eager", framework: "PyTorch", python: "eager", does: anything},
	{name: "PyTorch channels_last", framework: "PyTorch", python: "channels_last", does: anything},
	{name: "PyTorch compile", framework: "PyTorch", python: "compile", does: anything},
	{name: "ONNX Runtime", framework: "ONNX Runtime", python: "onnxruntime", does: embeds},
	{name: "Gorgonia", framework: "Gorgonia", served: "gorgonia", does: first, slow: true},
}

func anything(workload.Workload) bool { return true }
func embeds(w workload.Workload) bool { return w.Loss == nil }
func first(w workload.Workload) bool  { return w.Name == workload.All()[0].Name }

// command starts the peer.
func (p peer) command(o options) (*exec.Cmd, error) {
	if p.python != "" {
		// -B: leave no compiled files beside the script.
		return exec.Command(o.python, "-B", "benchmarks/peers/speed.py", p.python, strconv.Itoa(o.threads)), nil
	}
	self, err := os.Executable()
	return exec.Command(self, serveCommand, p.served), err
}
