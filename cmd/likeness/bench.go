package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/speed"
	"github.com/likeness-go/likeness/internal/processor"
	"github.com/pkg/errors"
)

// benchCommand measures the speed of this machine.
type benchCommand struct {
	Threads   int     `default:"0" help:"Number of CPU threads. 0 means all processors."`
	Seconds   float64 `default:"0.5" help:"Approximate duration of each measurement in seconds."`
	Workloads string  `default:"." placeholder:"REGEXP" help:"Regular expression for the names of the workloads to measure."`
}

// Help returns the text of --help before the flags.
func (benchCommand) Help() string {
	return `It prints the peak rate of multiply-add operations in registers on this machine, in float32 and, where the processor has instructions for them, in bfloat16 and in bytes, the rate of each convolution of the papers' networks (forward pass, gradient of the input dX, gradient of the weights dW), and the time of complete steps. Rates count the operations of a direct convolution, so that Winograd's algorithms and the Fourier transform may exceed the peak. A layer's figure is its best time, a step's the median. Run it on an otherwise idle machine.

Environment variables: LIKENESS_INSTRUCTIONS=avx2 (or portable) measures other instructions; LIKENESS_WINOGRAD=off and LIKENESS_FOURIER=off measure direct convolutions.

Example:
  likeness bench --workloads 'conv4|embed'`
}

// Run measures and prints.
func (b *benchCommand) Run(c *console) error {
	named, err := regexp.Compile(b.Workloads)
	if err != nil {
		return errors.Wrap(err, "--workloads")
	}
	if !slices.ContainsFunc(workload.All(), func(w workload.Workload) bool { return named.MatchString(w.Name) }) {
		var names []string
		for _, w := range workload.All() {
			names = append(names, w.Name)
		}
		return errors.Errorf("--workloads: found %q, which no workload matches. There are %s", b.Workloads, strings.Join(names, ", "))
	}
	if !(b.Seconds > 0) || b.Threads < 0 {
		return errors.Errorf("--seconds, --threads: found %v and %d, expected more than 0 seconds and at least 0 threads", b.Seconds, b.Threads)
	}
	if b.Threads > graph.MaxThreads {
		return errors.Errorf("--threads: found %d, expected at most %d", b.Threads, graph.MaxThreads)
	}
	if b.Threads > 0 {
		graph.SetThreads(b.Threads)
	}
	each := time.Duration(b.Seconds * float64(time.Second))
	ceiling, instructions := speed.Ceiling(graph.Threads(), each)
	fmt.Fprintf(c.out, "%s, %s, %d threads, %s: %.0f GFLOP/s in registers\n",
		processor.Name(), instructions, graph.Threads(), runtime.Version(), ceiling/1e9)
	for _, peak := range speed.Peaks(graph.Threads(), each) {
		use := ""
		if peak.Numbers == "bfloat16" && !peak.Used {
			use = ", not used by --precision bfloat16"
		}
		fmt.Fprintf(c.out, "%s: %.0f GOP/s, %.2f times float32%s\n", peak.Numbers, peak.Rate/1e9, peak.Rate/ceiling, use)
	}
	fmt.Fprintln(c.out)
	if err := b.layers(c, ceiling, each); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	return b.steps(c, named, each)
}

func (b *benchCommand) layers(c *console, ceiling float64, each time.Duration) error {
	table := newTable(c.out)
	fmt.Fprintln(table, "layer\tpass\tms\tGFLOP/s\tof the peak\t")
	for _, layer := range speed.Layers() {
		for _, m := range layer.Measure(each) {
			if c.Err() != nil {
				return c.Err()
			}
			fmt.Fprintf(table, "%s\t%s\t%.2f\t%.0f\t%.0f %%\t\n", layer.Name, m.Pass, milliseconds(m.Time), m.Rate()/1e9, 100*m.Rate()/ceiling)
		}
	}
	return table.Flush()
}

func (b *benchCommand) steps(c *console, named *regexp.Regexp, each time.Duration) error {
	table := newTable(c.out)
	fmt.Fprintln(table, "step\tms\timages/s\t")
	for _, work := range workload.All() {
		if !named.MatchString(work.Name) {
			continue
		}
		median, err := timeOf(c, work, each)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.0f\t\n", work.Title, milliseconds(median), float64(work.Images())/median.Seconds())
	}
	return table.Flush()
}

// timeOf is the median time of a workload.
func timeOf(c *console, w workload.Workload, atLeast time.Duration) (time.Duration, error) {
	step, err := w.Prepare(1)
	if err != nil {
		return 0, errors.Wrap(err, w.Name)
	}
	defer step.Close()
	var times []float64
	for start := time.Now(); len(times) < 5 || time.Since(start) < atLeast; {
		if c.Err() != nil {
			return 0, c.Err()
		}
		some, err := workload.Time(step, 1)
		if err != nil {
			return 0, errors.Wrap(err, w.Name)
		}
		times = append(times, some...)
	}
	times = times[2:] // the first ones allocate memory
	slices.Sort(times)
	return time.Duration(times[len(times)/2] * float64(time.Millisecond)), nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}
