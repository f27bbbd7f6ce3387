package main

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/pkg/errors"
)

// request is what a peer is asked to do: a line of JSON on its standard input.
// See speed.py for the words; a peer in Go knows the same.
type request struct {
	Do      string `json:"do"`
	Folder  string `json:"folder,omitempty"`  // prepare: of the work's files
	Fresh   bool   `json:"fresh,omitempty"`   // prepare: to measure memory
	Count   int    `json:"count,omitempty"`   // check, steps
	Work    string `json:"work,omitempty"`    // prepare: of a peer in Go
	Pairs   int    `json:"pairs,omitempty"`   // prepare: another number than the work's
	Threads int    `json:"threads,omitempty"` // prepare: of a peer in Go
	Stream  bool   `json:"stream,omitempty"`  // prepare: the trainer on real images
}

// answer is a line of JSON on the peer's standard output.
type answer struct {
	Error        string    `json:"error,omitempty"`
	Losses       []float64 `json:"losses,omitempty"`
	Difference   float64   `json:"difference,omitempty"`
	Milliseconds []float64 `json:"milliseconds,omitempty"`
	Allocated    float64   `json:"allocated,omitempty"` // bytes a step, of a peer in Go
	Resident     int64     `json:"resident,omitempty"`  // bytes
	Peak         int64     `json:"peak,omitempty"`
}

// server does what requests ask for.
type server interface {
	prepare(request) error
	check(count int) (answer, error)
	steps(count int) (answer, error)
	release() error
}

// serveRequests answers each line until there are no more.
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
