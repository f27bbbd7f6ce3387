package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/pkg/errors"
)

// int8Library is the library with models in integers of 8 bits, with which -int8 compares.
var int8Library = peer{name: "likeness int8", framework: "likeness int8", served: "likeness-int8"}

// int8Peers are the peers of -int8, in float32 and in fewer bits.
var int8Peers = []peer{
	{name: "likeness float32", framework: "likeness float32", served: "likeness", does: embeds},
	{name: "ONNX Runtime int8", framework: "ONNX Runtime int8", python: "onnxruntime-int8", does: embeds},
	{name: "ONNX Runtime float32", framework: "ONNX Runtime float32", python: "onnxruntime", does: embeds},
	{name: "OpenVINO int8", framework: "OpenVINO int8", python: "openvino-int8", does: embeds},
	{name: "OpenVINO bfloat16", framework: "OpenVINO bfloat16", python: "openvino-bf16", does: embeds},
	{name: "OpenVINO float32", framework: "OpenVINO float32", python: "openvino", does: embeds},
	{name: "PyTorch bfloat16", framework: "PyTorch bfloat16", python: "bfloat16", does: embeds},
}

// prepareInt8 writes the files of a workload and returns its step in integers.
func prepareInt8(w workload.Workload, r request) (workload.Step, error) {
	step, err := w.Embedding()
	if err != nil {
		return nil, err
	}
	if r.Folder != "" {
		if err := step.Export(r.Folder); err != nil {
			return nil, err
		}
	}
	return step.Quantized()
}

// maxInt8Difference is the largest allowed difference of embeddings in fewer bits from those in
// float32, of the lengths. The weights are random, so that deep networks amplify rounding.
const maxInt8Difference = 0.5

// measureInt8 measures embedding in integers beside the peers and writes speed-int8.md.
func measureInt8(o options) error {
	begin := time.Now()
	tools, err := versions(o.python)
	if err != nil {
		return err
	}
	s := &session{options: o, running: map[string]*process{}}
	defer s.close()
	var all []Workload
	for _, w := range workload.Int8() {
		if !s.workloads.MatchString(w.Name) {
			continue
		}
		c, err := s.compareInt8(w)
		if err != nil {
			return errors.WithMessage(err, w.Name)
		}
		all = append(all, c.record())
	}
	text := fmt.Sprintf(`Embedding in integers of 8 bits. %d rounds of at least %d timed steps, with %d threads for each peer, in turns as in
[speed.md](speed.md). Times are medians over the rounds, with the minimum and maximum in brackets; ratios are of the medians, with
the minimum and maximum of a single round, and above 1 likeness int8 is faster. During the turns, the peers that waited used %.2f
processors on average, all together, and other programs %.2f; the times are meaningful only if both are close to 0.

The weights are random. likeness starts from bytes and the peers from floats. ONNX Runtime in int8 runs the file of its static
quantization (QDQ, one scale for each channel of the weights, calibrated on the images), and OpenVINO in int8 the same file. The
difference is the length of the difference of the embeddings from those of likeness in float32, relative to their length, for
peers in fewer bits, and as in speed.md for those in float32.
`, o.rounds, o.steps, o.threads, s.account.perSecond(s.account.waiting), s.account.perSecond(s.account.others))
	var b strings.Builder
	b.WriteString(text)
	for _, w := range all {
		fmt.Fprintf(&b, "\n## %s\n\n| | ms | peer / likeness int8 | difference |\n|---|---|---|---|\n", w.Title)
		for i, t := range w.Times {
			ratio := "1"
			if i > 0 {
				ratio = t.ratio()
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %.1e |\n", t.Name, t.spread(), ratio, w.Proofs[i].Difference)
		}
	}
	if _, err := os.Stdout.WriteString(b.String()); err != nil || o.results == "" {
		return errors.WithStack(err)
	}
	return record.Record{
		Title: "Speed of embedding in int8 compared with other frameworks", Command: strings.Join(append([]string{"go run ./benchmarks/peers/speed"}, os.Args[1:]...), " "),
		Tools: tools, Took: time.Since(begin), Result: b.String(),
	}.WriteFile(filepath.Join(o.results, "speed-int8.md"))
}

// compareInt8 measures a workload with all selected peers.
func (s *session) compareInt8(w workload.Workload) (comparison, error) {
	c := comparison{workload: w}
	folder, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return c, errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	chosen := []peer{int8Library}
	for _, p := range int8Peers {
		if s.peers.MatchString(p.name) {
			chosen = append(chosen, p)
		}
	}
	c.peers = chosen[1:]
	var participants []participant
	for i, p := range chosen {
		s.say("%s: preparing %s", w.Name, p.name)
		process, err := s.process(p, "")
		if err != nil {
			return c, err
		}
		to := folder
		if i > 0 && p.served != "" {
			to = "" // the files are written
		}
		if _, err := process.ask(request{Do: "prepare", Workload: w.Name, Folder: to, Threads: s.threads}); err != nil {
			return c, err
		}
		proof := proof{peer: p.name}
		if p.served != "likeness" {
			a, err := process.ask(request{Do: "check", Count: 1})
			if err != nil {
				return c, err
			}
			if proof.difference = a.Difference; !(a.Difference <= maxInt8Difference) {
				return c, errors.Errorf("%s does not compute the same results: the difference is %.2g, expected at most %g", p.name, a.Difference, maxInt8Difference)
			}
		}
		c.proofs = append(c.proofs, proof)
		participants = append(participants, participant{process: process})
	}
	s.say("%s: %d rounds", w.Name, s.rounds)
	if c.series, err = s.turns(participants); err != nil {
		return c, err
	}
	for _, p := range participants {
		if _, err := p.ask(request{Do: "release"}); err != nil {
			return c, err
		}
	}
	return c, nil
}
