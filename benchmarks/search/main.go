// Search measures the time of finding the ten nearest of many vectors, exactly and with
// an index, and the number of vectors from which the index is faster: the constant
// index.Crossover. Each size has its own random vectors (see example).
//
//	go run ./benchmarks/search
//	go run ./benchmarks/search -n 2000 -queries 100 -out search.md    # a quick test
//
// With the default of a million vectors most of the time is spent on building indices. Run
// it while no other programs run.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

const (
	neighbors = 10   // number of nearest vectors to find
	minRecall = 0.95 // minimum recall of an index
)

// breadths lists the search breadths of the index, including the default.
var breadths = []int{32, 64, index.Breadth, 256}

func main() {
	log.SetFlags(0)
	n := flag.Int("n", 1_000_000, "maximum number of vectors; smaller sizes are measured, too")
	d := flag.Int("d", 64, "number of elements of a vector")
	queries := flag.Int("queries", 1000, "number of queries; times are medians over them")
	head := flag.String("head", "l2", "name of the head, whose distance is used")
	seed := flag.Uint64("seed", 1, "random seed of the vectors and the index")
	out := flag.String("out", "benchmarks/results/search.md", "file to write the record to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := setting{columns: *d, queries: *queries, head: *head, seed: *seed}
	if err := run(ctx, s, *n, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s setting, maxSize int, out string) error {
	if maxSize < neighbors || s.columns < 1 || s.queries < 1 {
		return errors.Errorf("found n %d, d %d and queries %d, expected at least %d, 1 and 1", maxSize, s.columns, s.queries, neighbors)
	}
	head, err := heads.Named(s.head)
	if err != nil {
		return err
	}
	// A head with trainable weights has no weights here, which is an error.
	if s.distance, err = head.Distance(noWeights()); err != nil {
		return err
	}
	start := time.Now()
	var sizes []size
	for _, n := range sizesUpTo(maxSize) {
		measured, err := s.measure(ctx, n)
		if err != nil {
			return errors.Wrapf(err, "%d vectors", n)
		}
		fmt.Print(measured.lines())
		sizes = append(sizes, measured)
	}
	return record.Record{
		Title:   "Exact and approximate search",
		Command: fmt.Sprintf("go run ./benchmarks/search -n %d -d %d -queries %d -head %s -seed %d", maxSize, s.columns, s.queries, s.head, s.seed),
		Took:    time.Since(start),
		Result:  s.result(sizes),
	}.WriteFile(out)
}

// sizesUpTo returns 1, 2 and 5 times the powers of ten from a thousand, and the maximum.
func sizesUpTo(maxSize int) (sizes []int) {
	for power := 1000; power < maxSize; power *= 10 {
		for _, factor := range []int{1, 2, 5} {
			if n := factor * power; n < maxSize {
				sizes = append(sizes, n)
			}
		}
	}
	return append(sizes, maxSize)
}

// lines returns the rows of the table for one size, one for each breadth.
func (m size) lines() string {
	var b strings.Builder
	for _, a := range m.approximations {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %d | %s | %.4f | %s |\n",
			m.n, micro(m.exact), micro(m.exactTogether), mega(m.vectorBytes), m.build.Round(time.Millisecond),
			a.breadth, micro(a.query), a.recall, mega(m.graphBytes))
	}
	return b.String()
}

// result returns the text of the record.
func (s setting) result(sizes []size) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The %d nearest of n vectors of %d elements by %s. ", neighbors, s.columns, s.head)
	fmt.Fprintf(&b, about, perGroup, perClass, amongClasses, withinClass)
	fmt.Fprintf(&b, " Times are medians over %d sequential queries, each on all threads (exact) or on one (index); *together* is the mean time per query if all are searched in one call. Memory is the growth of Go's heap in MB, for the vectors and additionally for the index.\n\n", s.queries)
	fmt.Fprintf(&b, "| n | exact, µs | together, µs | vectors, MB | build | breadth | index, µs | recall@%d | index, MB |\n|---|---|---|---|---|---|---|---|---|\n", neighbors)
	for _, m := range sizes {
		b.WriteString(m.lines())
	}
	fmt.Fprintf(&b, "\n%s\n", crossover(sizes))
	return b.String()
}

// crossover describes the measured size from which the index is faster.
func crossover(sizes []size) string {
	from := 0
	for i := len(sizes) - 1; i >= 0 && sizes[i].indexFaster(); i-- {
		from = sizes[i].n
	}
	if from == 0 {
		return fmt.Sprintf("With the default breadth of %d, the index is not faster than an exact search of one query at the largest size with a recall of at least %v. index.Crossover is %d.", index.Breadth, minRecall, index.Crossover)
	}
	return fmt.Sprintf("With the default breadth of %d, the index is faster than an exact search of one query from %d vectors, with a recall of at least %v. index.Crossover is %d.", index.Breadth, from, minRecall, index.Crossover)
}

// indexFaster reports whether the index with the default breadth is faster than an exact search.
func (m size) indexFaster() bool {
	for _, a := range m.approximations {
		if a.breadth == index.Breadth {
			return a.recall >= minRecall && a.query < m.exact
		}
	}
	return false
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }
func mega(bytes int64) string      { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }
