package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/pkg/errors"
)

// peer compares steps on two ranks with those of PyTorch's DistributedDataParallel over gloo.
func peer(ctx context.Context, o *options) (string, error) {
	if o.python == "" {
		return "", errors.New("found no -python, expected an interpreter with torch")
	}
	version, err := command(ctx, "", o.python, "-c", "import torch; print(torch.__version__)").output()
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("The same networks, batches and solver (Adam) on the same two processors: PyTorch %s, DistributedDataParallel with gloo, one thread for each of two\nprocesses; the fastest step of two turns. DistributedDataParallel computes the loss of each process's half of the batch alone, likeness that of the whole batch.\n\n| ms of a step | likeness, 1 process | likeness, 2 processes | PyTorch, 1 process | PyTorch, 2 processes | PyTorch / likeness, 2 processes |\n|---|---|---|---|---|---|\n", strings.TrimSpace(version))
	for _, name := range []string{"conv4", "resnet18"} {
		best := [4]float64{}
		for i := range best {
			best[i] = math.Inf(1)
		}
		training, err := workloads[name]()
		if err != nil {
			return "", err
		}
		network, err := training.Model.Backbone.(backbone.Network).TOML()
		if err != nil {
			return "", err
		}
		for range 2 {
			for i, ranks := range []int{0, 2} {
				seconds, err := o.measure(ctx, ranks, request{Workload: name, Parts: 2, Threads: 1, Seconds: o.seconds})
				if err != nil {
					return "", err
				}
				best[i] = min(best[i], seconds)
				p := command(ctx, "", o.python, "-B", "benchmarks/scale-out/peer.py", name, fmt.Sprint(i+1), fmt.Sprint(o.seconds))
				p.Stdin = strings.NewReader(network)
				out, err := p.output()
				if err != nil {
					return "", err
				}
				if _, err := fmt.Sscan(out, &seconds); err != nil {
					return "", errors.Errorf("peer.py: found %q, expected seconds", out)
				}
				best[2+i] = min(best[2+i], seconds)
				fmt.Fprintf(os.Stderr, "%s: %.1f\n", name, best)
			}
		}
		text += fmt.Sprintf("| %s |", name)
		for _, seconds := range best {
			text += fmt.Sprintf(" %.1f |", 1e3*seconds)
		}
		text += fmt.Sprintf(" %.2f |\n", best[3]/best[1])
	}
	return text, nil
}
