package steps

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
)

// BenchmarkWork is every work that is set beside other frameworkload.
func BenchmarkWork(b *testing.B) {
	for _, w := range workload.All() {
		b.Run(w.Name, func(b *testing.B) { measure(b, w, func() (workload.Step, error) { return w.Prepare(2) }) })
	}
}

// BenchmarkScale is the first work by the size of its batch and the number of
// threads.
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

// BenchmarkTrainer is the first work as the trainer does it, on pairs of MNIST
// that it draws and distorts meanwhile.
func BenchmarkTrainer(b *testing.B) {
	w := workload.All()[0]
	measure(b, w, func() (workload.Step, error) { return w.Stream() })
}

// measure one step after another, the first of which warms up.
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
