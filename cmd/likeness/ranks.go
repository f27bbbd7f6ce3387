package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// severalProcesses are the commands that processes of an MPI job do together.
var severalProcesses = []string{"train", "embed", "near-duplicates", "search"}

// errQuiet is the error of a rank whose error rank 0 prints.
var errQuiet = errors.New("rank 0 reports the error")

// refuseLauncher refuses to run as one of several processes that do not know of each other.
func refuseLauncher(command string) error {
	launched := collective.Launcher()
	if launched.Size < 2 {
		return nil
	}
	name, _, _ := strings.Cut(command, " ")
	var err error
	switch {
	case !slices.Contains(severalProcesses, name):
		err = errors.Errorf("found %d processes of mpirun, but likeness %s is done by one: start it without mpirun", launched.Size, name)
	case !collective.Built:
		_, err = collective.Connect()
	}
	if err != nil && launched.Rank > 0 {
		time.Sleep(time.Second) // the first process to end ends all, and rank 0 is to say why
		return errQuiet
	}
	return err
}

// ranked runs a command as one process of a job, if there is one. Only rank 0 prints.
func ranked(c *console, run func() error) error {
	ranks, err := collective.Connect()
	if err != nil || ranks == nil {
		if err == nil {
			err = run()
		}
		return err
	}
	if !ranks.Root() {
		c.out, c.err = io.Discard, io.Discard
	}
	c.Context = collective.NewContext(c.Context, ranks)
	if threads := threadsOfRank(runtime.NumCPU(), collective.Launcher().Local); threads < graph.Threads() {
		graph.SetThreads(threads)
	}
	if all := onlineProcessors(); ranks.Root() && all > runtime.NumCPU()*max(1, collective.Launcher().Local) {
		c.say("warning: mpirun lets this process use %d of %d processors: start it with mpirun --bind-to none", runtime.NumCPU(), all)
	}
	err = run()
	closing := ranks.Close(err)
	if err == nil {
		err = closing
	}
	if err != nil && !ranks.Root() {
		return errQuiet
	}
	return err
}

// onRoot calls f on rank 0 only. Its error is that of all ranks.
func (c *console) onRoot(name string, f func() error) error {
	_, err := collective.FromContext(c).FromRoot(name, func() ([]byte, error) { return nil, f() })
	return err
}

// threadsOfRank is the number of threads of each of several ranks on one machine.
func threadsOfRank(processors, ranks int) int { return max(1, processors/max(1, ranks)) }

// onlineProcessors is the number of processors of this machine; 0 if unknown.
func onlineProcessors() (count int) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return 0
	}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") { // such as 0-3,5
		var first, last int
		switch n, _ := fmt.Sscanf(part, "%d-%d", &first, &last); n {
		case 1:
			count++
		case 2:
			count += last - first + 1
		}
	}
	return count
}
