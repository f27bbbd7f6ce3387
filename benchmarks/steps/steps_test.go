package steps

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
)

// BenchmarkWorkload runs every workload that is compared with other frameworks.
func BenchmarkWorkload(b *testing.B) {
	for _, w := range workload.All() {
		b.Run(w.Name, func(b *testing.B) { measure(b, w, func() (workload.Step, error) { return w.Prepare(2) }) })
	}
}

// BenchmarkScale runs the first workload with several batch sizes and numbers of threads.
func BenchmarkScale(b *testing.B) {
	w := workload.All()[0]
	for _, threads := range workload.ThreadCounts(runtime.GOMAXPROCS(0)) {
		for _, pairs := range workload.PairCounts {
			b.Run(fmt.Sprintf("threads=%d/pairs=%d", threads, pairs), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
				defer graph.SetThreads(graph.Threads())
				graph.SetThreads(threads)
				w.Count = pairs
				measure(b, w, func() (workload.Step, error) { return w.Prepare(1) })
			})
		}
	}
}

// BenchmarkTrainer runs the first workload with package trainer, on pairs of MNIST that are
// sampled and augmented at the same time.
func BenchmarkTrainer(b *testing.B) {
	w := workload.All()[0]
	measure(b, w, func() (workload.Step, error) { return w.Stream() })
}

// measure runs a warm-up step and then the measured steps.
func measure(b *testing.B, w workload.Workload, prepare func() (workload.Step, error)) {
	step, err := prepare()
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := step.Close(); err != nil {
			b.Error(err)
		}
	}()
	if _, err := step.Do(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := step.Do(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(w.Images()*b.N)/b.Elapsed().Seconds(), "images/s")
}
