package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/errors"
)

// fakeServer is a peer whose steps take no time and whose release fails.
type fakeServer struct{ prepared request }

func (a *fakeServer) prepare(r request) error   { a.prepared = r; return nil }
func (a *fakeServer) check(int) (answer, error) { return answer{Losses: []float64{0.5}}, nil }
func (a *fakeServer) steps(n int) (answer, error) {
	return answer{Milliseconds: make([]float64, n)}, nil
}
func (a *fakeServer) release() error { return errors.New("release failed") }

func TestServeRequests(t *testing.T) {
	const requests = `{"do": "prepare", "workload": "conv4", "threads": 2}
{"do": "check", "count": 1}
{"do": "steps", "count": 2}
{"do": "release"}
{"do": "unknown"}
`
	const want = `{}
{"losses":[0.5]}
{"milliseconds":[0,0]}
{"error":"release failed"}
{"error":"found the request \"unknown\", expected prepare, check, steps, memory or release"}
`
	var fake fakeServer
	var answers strings.Builder
	if err := serveRequests(&fake, strings.NewReader(requests), &answers); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, answers.String()); diff != "" {
		t.Errorf("the answers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(request{Do: "prepare", Workload: "conv4", Threads: 2}, fake.prepared); diff != "" {
		t.Errorf("the request (-want +got):\n%s", diff)
	}
}

// The library as a peer returns one loss for each step, and the same losses every time.
func TestServeLikeness(t *testing.T) {
	losses := func() []float64 {
		var answers strings.Builder
		const requests = `{"do": "prepare", "workload": "conv4", "pairs": 2, "threads": 1}
{"do": "check", "count": 3}
{"do": "release"}
`
		if err := serve("likeness", strings.NewReader(requests), &answers); err != nil {
			t.Fatal(err)
		}
		var a answer
		if err := json.Unmarshal([]byte(strings.Split(answers.String(), "\n")[1]), &a); err != nil {
			t.Fatal(err)
		}
		return a.Losses
	}
	first := losses()
	if len(first) != 3 || first[0] == first[2] {
		t.Errorf("found the losses %v, expected three that change", first)
	}
	if diff := cmp.Diff(first, losses()); diff != "" {
		t.Errorf("two processes differ:\n%s", diff)
	}
}

// cat returns the request itself, which as an answer has no known field.
func TestAsk(t *testing.T) {
	p, err := start("cat", exec.Command("cat"))
	if err != nil {
		t.Skip(err)
	}
	defer p.stop()
	if a, err := p.ask(request{Do: "steps", Count: 1}); err != nil || len(a.Milliseconds) > 0 {
		t.Errorf("found %v and error %v", a, err)
	}
}

func TestAskEndedProcess(t *testing.T) {
	p, err := start("peer", exec.Command("sh", "-c", "read request; echo no torch >&2; exit 3"))
	if err != nil {
		t.Skip(err)
	}
	_, err = p.ask(request{Do: "prepare"})
	if err == nil || !strings.Contains(err.Error(), `peer ended at "prepare" (exit status 3): no torch`) {
		t.Errorf("found the error %v", err)
	}
}

func TestTurnSteps(t *testing.T) {
	for milliseconds, want := range map[float64]int{1000: 5, 40: 5, 10: 20, 0.1: 2000, 0: 10_000} {
		if found := turnSteps(5, milliseconds); found != want {
			t.Errorf("of %v ms: found %d steps, expected %d", milliseconds, found, want)
		}
	}
}

func TestLargestDifference(t *testing.T) {
	found, err := largestDifference([]float64{2, 9}, []float64{2, 10})
	if err != nil || found != 0.1 {
		t.Errorf("found %v and error %v, expected 0.1", found, err)
	}
	if found, err := largestDifference([]float64{2}, []float64{2, 10}); err == nil {
		t.Errorf("found %v, expected an error", found)
	}
}

// In 2 s on two processors, 1 s was spent on the active peer, 0.5 s on waiting peers and
// 1.5 s on other programs.
func TestAccount(t *testing.T) {
	var a account
	a.add(2*time.Second,
		busyTimes{active: 10 * time.Second, waiting: 5 * time.Second, everything: 100 * time.Second},
		busyTimes{active: 11 * time.Second, waiting: 5500 * time.Millisecond, everything: 103 * time.Second})
	if found := a.perSecond(a.waiting); found != 0.25 {
		t.Errorf("waiting: found %v processors, expected 0.25", found)
	}
	if found := a.perSecond(a.others); found != 0.75 {
		t.Errorf("others: found %v processors, expected 0.75", found)
	}
}

func TestBusy(t *testing.T) {
	// A program name with a parenthesis and spaces; 120 ticks of user and 30 of system time.
	process, err := processBusy("42 (a ) b) S 1 42 42 0 -1 4194304 1 2 3 4 120 30 5 6 20 0")
	if err != nil || process != 1500*time.Millisecond {
		t.Errorf("process: found %v and error %v, expected 1.5s", process, err)
	}
	// user, nice, system; not idle and iowait; irq, softirq, steal; not guests.
	machine, err := machineBusy("cpu  1 2 3 1000 2000 4 5 6 7000 8000\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if err != nil || machine != 210*time.Millisecond {
		t.Errorf("machine: found %v and error %v, expected 210ms", machine, err)
	}
	if found, err := machineBusy("intr 1"); err == nil {
		t.Errorf("found %v, expected an error", found)
	}
}
