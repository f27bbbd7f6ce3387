package main

import (
	"context"
	"fmt"
	"math"
	"os"
)

// relay compares the formula with steps over networks of a given latency and rate: two ranks of one thread, each on a processor
// of its own, between which each message is kept back for the time that it takes (collective.Network).
func relay(name string, rounds int) func(context.Context, *options) (string, error) {
	return func(ctx context.Context, o *options) (string, error) { return o.relay(ctx, name, rounds) }
}

func (o *options) relay(ctx context.Context, name string, rounds int) (string, error) {
	nets := []struct{ latency, gigabits float64 }{{1e-4, 1}, {1e-3, 1}, {1e-4, 10}, {1e-3, 10}}
	least := make([]float64, len(nets))
	alone := costs{seconds: math.Inf(1)}
	for round := range rounds {
		w, err := o.costsOf(ctx, name)
		if err != nil {
			return "", err
		}
		w.seconds = min(w.seconds, alone.seconds)
		alone = w
		for i, net := range nets {
			seconds, err := o.measure(ctx, 2, request{Workload: name, Parts: 8, Threads: 1, Latency: net.latency, Rate: net.gigabits * 1e9 / 8, Seconds: o.seconds})
			if err != nil {
				return "", err
			}
			fmt.Fprintf(os.Stderr, "%s, %v ms, %v Gbit/s: %.1f ms\n", name, 1e3*net.latency, net.gigabits, 1e3*seconds)
			if round == 0 || seconds < least[i] {
				least[i] = seconds
			}
		}
	}
	text := fmt.Sprintf("%s. Two ranks of MPI, of one thread and on a processor each, with real steps and messages; each message is kept back for its\nlatency and the time of its bytes (`collective.Network`). Nothing is fitted: α and β are those of the network, and the computation is half of that of one rank in\nthe same 8 parts, %.1f ms. The fastest step of %d rounds; the formula is that of above. Efficiency is the speed relative to two times that of one rank.\n\n| latency | rate | step predicted | measured | efficiency predicted | measured | error |\n|---|---|---|---|---|---|---|\n", described[name], 1e3*alone.seconds/2, rounds)
	worst := 0.
	for i, net := range nets {
		m := alphaBeta{net.latency, 8e-9 / net.gigabits}
		predicted := alone.seconds/2 + m.step(2, alone)
		efficiency := func(step float64) float64 { return alone.seconds / (2 * step) }
		difference := efficiency(predicted)/efficiency(least[i]) - 1
		worst = max(worst, math.Abs(difference))
		text += fmt.Sprintf("| %.1f ms | %v Gbit/s | %.1f ms | %.1f ms | %.3f | %.3f | %+.1f %% |\n", 1e3*net.latency, net.gigabits, 1e3*predicted, 1e3*least[i], efficiency(predicted), efficiency(least[i]), 100*difference)
	}
	return text + fmt.Sprintf("\nLargest error: **%.1f %%** (at most 15 %% wanted).\n", 100*worst), nil
}
