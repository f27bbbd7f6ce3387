package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

const (
	costBatch   = 128
	costClasses = 1000
	costSteps   = 9 // of each loss, after one that is not measured
)

// cost is the time of a step with a loss beside that with batch-hard.
type cost struct {
	Loss     string  `json:"loss"`
	Head     string  `json:"head"`
	Seconds  float64 `json:"seconds"`  // median
	Baseline float64 `json:"baseline"` // median of the steps with batch-hard in between
	Ratio    float64 `json:"ratio"`    // median of the ratios of consecutive steps
	Low      float64 `json:"low"`      // quartiles of these
	High     float64 `json:"high"`
	Commit   string  `json:"commit"`
	Machine  string  `json:"machine"`
	Took     float64 `json:"took_seconds"`
}

// costs measures steps of ResNet-18 with every loss of labeled batches for some time, keeps finished
// rows in the folder work, and writes the record when there are all.
func costs(work, out, command string, limit time.Duration) error {
	var names []string
	for _, name := range objectives.Names {
		if loss, _, err := objectives.Named(name, headOf(name), objectives.Options{Features: 1}); err == nil && loss.Kind() == datasets.Labeled {
			names = append(names, name)
		}
	}
	if err := os.MkdirAll(work, 0o777); err != nil {
		return err
	}
	path := filepath.Join(work, "costs.jsonl")
	rows, err := readCosts(path)
	if err != nil {
		return err
	}
	commit, err := record.Commit()
	if err != nil {
		return err
	}
	begin := time.Now()
	images := noise()
	var baseline *turns
	for _, name := range names {
		if slices.ContainsFunc(rows, func(c cost) bool { return c.Loss == name }) {
			continue
		}
		if time.Since(begin) > limit {
			log.Printf("%d of %d losses are measured: the same command continues", len(rows), len(names))
			return nil
		}
		start := time.Now()
		if baseline == nil {
			if baseline, err = newTurns(images, "batch-hard"); err != nil {
				return err
			}
			defer baseline.close()
		}
		c, err := costOf(images, name, baseline)
		if err != nil {
			return errors.WithMessage(err, name)
		}
		c.Commit, c.Machine, c.Took = commit, record.Machine(), time.Since(start).Seconds()
		if err := appendCost(path, c); err != nil {
			return err
		}
		rows = append(rows, c)
		log.Printf("%s with %s: %.1f ms, batch-hard %.1f ms, ratio %.3f [%.3f, %.3f]", c.Loss, c.Head, 1000*c.Seconds, 1000*c.Baseline, c.Ratio, c.Low, c.High)
	}
	return writeCosts(rows, out, command)
}

// noise is images of random pixels.
func noise() *datasets.Dataset {
	size := imaging.Size{Height: 64, Width: 64, Channels: 3}
	images := &datasets.Dataset{Name: "noise", Size: size}
	for class := range costClasses {
		images.Classes = append(images.Classes, fmt.Sprint(class))
		for n := range 4 {
			r := random.New(1, "image", class, n)
			pixels := make([]uint8, size.Len())
			for i := range pixels {
				pixels[i] = uint8(r.IntN(256))
			}
			images.Images, images.Labels = append(images.Images, pixels), append(images.Labels, class)
		}
	}
	return images
}

// turns is a training that is paused after each step, until the next one is requested.
type turns struct {
	next chan struct{}
	done chan error // after each step, and at the end
	stop context.CancelFunc
	head string
}

func newTurns(images *datasets.Dataset, name string) (*turns, error) {
	options, err := backbone.Defaults("resnet18")
	if err != nil {
		return nil, err
	}
	options.Size = images.Size
	network, err := backbone.Named("resnet18", options)
	if err != nil {
		return nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, err
	}
	loss, head, err := objectives.Named(name, headOf(name), objectives.Options{Features: shape.Features})
	if err != nil {
		return nil, err
	}
	model, err := likeness.New(network, head, images.Preprocessing(), 1)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &turns{next: make(chan struct{}), done: make(chan error), stop: stop, head: head.Name()}
	training := &trainer.Trainer{
		Model: model, Loss: loss, Images: images, Batch: costBatch, Epochs: 1, EpochSteps: costSteps + 2, Seed: 1,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-5},
		OnStep: func(trainer.Step) {
			t.done <- nil
			select {
			case <-t.next:
			case <-ctx.Done():
			}
		},
	}
	if name == "batch-hard" {
		training.EpochSteps = 1 << 20
	}
	go func() {
		_, err := training.Run(ctx)
		if err == nil {
			err = errors.New("the training has ended")
		}
		t.done <- err
	}()
	return t, <-t.done
}

// step takes a step and returns its seconds.
func (t *turns) step() (float64, error) {
	start := time.Now()
	t.next <- struct{}{}
	err := <-t.done
	return time.Since(start).Seconds(), err
}

func (t *turns) close() {
	t.stop()
	for {
		if err := <-t.done; err != nil { // the end
			return
		}
	}
}

// costOf takes steps with a loss and with batch-hard in turn, so that what changes the speed of the
// machine changes both.
func costOf(images *datasets.Dataset, name string, baseline *turns) (cost, error) {
	t, err := newTurns(images, name)
	if err != nil {
		return cost{}, err
	}
	defer t.close()
	var own, other, ratios []float64
	for range costSteps {
		base, err := baseline.step()
		if err != nil {
			return cost{}, err
		}
		seconds, err := t.step()
		if err != nil {
			return cost{}, err
		}
		own, other, ratios = append(own, seconds), append(other, base), append(ratios, seconds/base)
	}
	for _, list := range [][]float64{own, other, ratios} {
		slices.Sort(list)
	}
	middle := costSteps / 2
	return cost{Loss: name, Head: t.head, Seconds: own[middle], Baseline: other[middle], Ratio: ratios[middle], Low: ratios[costSteps/4], High: ratios[costSteps-1-costSteps/4]}, nil
}

func readCosts(path string) (rows []cost, err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var c cost
		if json.Unmarshal(lines.Bytes(), &c) == nil { // not a line that was not written whole
			rows = append(rows, c)
		}
	}
	return rows, lines.Err()
}

func appendCost(path string, c cost) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(append(text, '\n'))
	return err
}

// writeCosts writes the record, the cheapest loss first.
func writeCosts(rows []cost, out, command string) error {
	slices.SortStableFunc(rows, func(a, b cost) int {
		if a.Ratio < b.Ratio {
			return -1
		}
		return 1
	})
	var text strings.Builder
	fmt.Fprintf(&text, `A training step of ResNet-18 (512 features, batch norm) on %d images of 64×64 pixels, 4 of each class, of %d classes in all, with
every loss of labeled batches, its default head and its default options, Adam. Steps with the loss and with batch-hard are taken in
turn: the ratio is the median of %d of them, with its quartiles. The row of batch-hard itself shows the noise. Where other programs ran,
both are slower.

| loss | head | ms per step | with batch-hard | ratio | quartiles |
|---|---|---|---|---|---|
`, costBatch, costClasses, costSteps)
	took, commits := 0.0, []string{}
	for _, c := range rows {
		took += c.Took
		if !slices.Contains(commits, c.Commit) {
			commits = append(commits, c.Commit)
		}
		fmt.Fprintf(&text, "| %s | %s | %.1f | %.1f | %.3f | %.3f to %.3f |\n", c.Loss, c.Head, 1000*c.Seconds, 1000*c.Baseline, c.Ratio, c.Low, c.High)
	}
	slices.Sort(commits)
	fmt.Fprintf(&text, "\nMeasured at the commits %s.\n", strings.Join(commits, " and "))
	return record.Record{Title: "Steps with every loss", Command: command, Took: time.Duration(took * float64(time.Second)), Result: text.String()}.WriteFile(out)
}
