package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// workerCommand is the argument with which this program measures steps, perhaps as one rank of several.
const workerCommand = "worker"

// workloads are trainings of synthetic images.
var workloads = map[string]func() (*trainer.Trainer, error){
	"conv4": func() (*trainer.Trainer, error) {
		return newTraining("conv4", imaging.Size{Height: 28, Width: 28, Channels: 1}, objectives.Contrastive{Margin: 1}, heads.L2{}, 128)
	},
	"resnet18": func() (*trainer.Trainer, error) {
		return newTraining("resnet18", imaging.Size{Height: 224, Width: 224, Channels: 3}, objectives.NPair{Temperature: 0.1}, heads.Cosine{}, 64)
	},
}

// newTraining trains a network on noise of 16 classes.
func newTraining(network string, size imaging.Size, loss objectives.Loss, head heads.Head, batch int) (*trainer.Trainer, error) {
	options, err := backbone.Defaults(network)
	if err != nil {
		return nil, err
	}
	options.Size = size
	built, err := backbone.Named(network, options)
	if err != nil {
		return nil, err
	}
	images := &datasets.Dataset{Name: "noise", Size: size}
	for class := range 16 {
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
	model, err := likeness.New(built, head, images.Preprocessing(), 1)
	if err != nil {
		return nil, err
	}
	return &trainer.Trainer{
		Model: model, Loss: loss, Images: images, Batch: batch, Epochs: 1, EpochSteps: math.MaxInt32, Seed: 1,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-5},
	}, nil
}

// request is what a worker measures.
type request struct {
	Workload       string
	Parts, Threads int
	Seconds        float64
	Bytes          int // of a sum; 0 measures steps
	Sync           bool

	Latency float64 // in seconds, of a network that keeps messages back
	Rate    float64 // its bytes per second; 0 for none
}

// worker measures the seconds of a step, or of a sum of a number of bytes, and prints the smallest.
func worker(arguments []string) error {
	var r request
	if len(arguments) != 1 || json.Unmarshal([]byte(arguments[0]), &r) != nil {
		return errors.Errorf("worker: found the arguments %q, expected a request", arguments)
	}
	graph.SetThreads(r.Threads)
	runtime.GOMAXPROCS(max(2, r.Threads))
	work := func(ranks *collective.Communicator) error {
		measure := timeSums
		if r.Workload != "" {
			measure = timeSteps
		}
		least, err := measure(ranks, r)
		if err == nil && ranks.Root() {
			fmt.Println(least)
		}
		return err
	}
	connect := collective.Connect
	if r.Rate > 0 {
		connect = collective.Network{Latency: time.Duration(r.Latency * 1e9), Rate: r.Rate}.Connect
	}
	ranks, err := connect()
	if err != nil {
		return err
	}
	err = work(ranks)
	if closing := ranks.Close(err); err == nil {
		err = closing
	}
	return err
}

// timeSteps runs steps for some seconds.
func timeSteps(ranks *collective.Communicator, r request) (float64, error) {
	training, err := workloads[r.Workload]()
	if err != nil {
		return 0, err
	}
	training.SyncBatchNorm = r.Sync
	training.Parts, training.Communicator = r.Parts, ranks
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var times []float64
	began, last := time.Now(), time.Now()
	training.OnStep = func(s trainer.Step) {
		now := time.Now()
		if s.Number > 1 { // the first one allocates
			times = append(times, now.Sub(last).Seconds())
		}
		last = now
		if ranks.Root() && len(times) >= 2 && now.Sub(began).Seconds() > r.Seconds {
			stop()
		}
	}
	_, err = training.Run(ctx)
	return leastOf(times), err
}

// timeSums measures Communicator.Sum.
func timeSums(ranks *collective.Communicator, r request) (float64, error) {
	values := make([]float32, r.Bytes/4)
	var times []float64
	began := time.Now()
	for {
		start := time.Now()
		if err := ranks.Sum("values", values); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds())
		if stop, err := ranks.Agree("stop", len(times) > 5 && time.Since(began).Seconds() > r.Seconds, nil); stop || err != nil {
			return leastOf(times[1:]), err
		}
	}
}

// leastOf is the smallest time: other programs on the machine, and other machines on the same processor, only add
// to it.
func leastOf(times []float64) float64 {
	if len(times) == 0 {
		return math.NaN()
	}
	return slices.Min(times)
}

// measure runs a worker on a number of ranks and returns its seconds. mpirun has more words before the program.
func (o *options) measure(ctx context.Context, ranks int, r request, more ...string) (float64, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	words := []string{o.self, workerCommand, string(text)}
	if ranks > 0 {
		words = append(append(append(slices.Clone(o.mpirun), more...), "-np", fmt.Sprint(ranks)), words...)
	}
	out, err := command(ctx, "", words...).output()
	if err != nil {
		return 0, err
	}
	var seconds float64
	if _, err := fmt.Sscan(strings.TrimSpace(out), &seconds); err != nil {
		return 0, errors.Errorf("%s: found %q, expected seconds", strings.Join(words, " "), out)
	}
	return seconds, nil
}

// speed compares two ranks of one thread with one rank of one and of two threads, and parts with one part.
func speed(name string, rounds int) func(context.Context, *options) (string, error) {
	return func(ctx context.Context, o *options) (string, error) { return o.speed(ctx, name, rounds) }
}

func (o *options) speed(ctx context.Context, name string, rounds int) (string, error) {
	variants := []struct {
		name  string
		ranks int // 0 without mpirun
		r     request
	}{
		{"1 part, 1 thread", 0, request{Parts: 1, Threads: 1}},
		{"8 parts, 1 thread", 0, request{Parts: 8, Threads: 1}},
		{"8 parts, 2 threads", 0, request{Parts: 8, Threads: 2}},
		{"8 parts, 2 ranks of 1 thread", 2, request{Parts: 8, Threads: 1}},
		{"1 part, 2 threads", 0, request{Parts: 1, Threads: 2}},
	}
	found := map[string]float64{}
	for range rounds {
		for _, v := range variants {
			r := v.r
			r.Workload, r.Seconds = name, o.seconds
			seconds, err := o.measure(ctx, v.ranks, r)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(os.Stderr, "%s, %s: %.1f ms\n", name, v.name, 1e3*seconds)
			if best, ok := found[v.name]; !ok || seconds < best {
				found[v.name] = seconds
			}
		}
	}
	text := fmt.Sprintf("%s. The fastest step of %d rounds of %v s, in which the variants take turns.\n\n| | ms |\n|---|---|\n", described[name], rounds, o.seconds)
	for _, v := range variants {
		text += fmt.Sprintf("| %s | %.1f |\n", v.name, 1e3*found[v.name])
	}
	two := "8 parts, 2 ranks of 1 thread"
	for _, ratio := range []struct{ what, a, b string }{
		{"speed of 2 ranks of 1 thread relative to 1 rank of 1 thread (wanted: at least 1.85)", "8 parts, 1 thread", two},
		{"speed of 2 ranks of 1 thread relative to 1 rank of 2 threads (wanted: at least 0.93)", "8 parts, 2 threads", two},
		{"speed of 2 ranks of 1 thread in 8 parts relative to 1 process of 2 threads in 1 part", "1 part, 2 threads", two},
		{"time of 8 parts relative to 1 part, 1 thread (wanted: at most 1.1)", "8 parts, 1 thread", "1 part, 1 thread"},
	} {
		text += fmt.Sprintf("| %s | **%.3f** |\n", ratio.what, found[ratio.a]/found[ratio.b])
	}
	return text, nil
}

// described says what a step of a workload is.
var described = map[string]string{
	"conv4":    "Conv4, 128 pairs of 28×28 pixels, contrastive loss, Adam",
	"resnet18": "ResNet-18, 64 images of 224×224 pixels, n-pair loss, Adam",
}

// files of the network, see network.go.
func temporaryFile(folder, name, content string) (string, error) {
	path := filepath.Join(folder, name)
	return path, os.WriteFile(path, []byte(content), 0o777)
}
