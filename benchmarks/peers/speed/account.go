package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/errors"
)

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
