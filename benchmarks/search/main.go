// Search measures how long it takes to find the ten nearest of many vectors,
// exactly and by an index, and from how many on the index is faster: the constant
// index.Crossover. Each size gets vectors of its own, made as data.go says.
//
//	go run ./benchmarks/search
//	go run ./benchmarks/search -n 2000 -queries 100 -out search.md    # to see that it works
//
// At the usual million most of the time goes into building indices. Run it while
// nothing else runs.
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

// neighbours is how many are asked for, and leastRecall the share of them that an
// index must find to count.
const (
	neighbours  = 10
	leastRecall = 0.95
)

// breadths are what an index is searched with, the usual one among them.
var breadths = []int{32, 64, index.Breadth, 256}

func main() {
	log.SetFlags(0)
	n := flag.Int("n", 1_000_000, "the most vectors; smaller sizes are measured on the way")
	d := flag.Int("d", 64, "elements of a vector")
	queries := flag.Int("queries", 1000, "queries, of which the median time is taken")
	head := flag.String("head", "l2", "the distance, by the name of its head")
	seed := flag.Uint64("seed", 1, "of the vectors and the index")
	out := flag.String("out", "benchmarks/results/search.md", "file to write the record to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := setting{columns: *d, queries: *queries, head: *head, seed: *seed}
	if err := run(ctx, s, *n, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s setting, most int, out string) error {
	if most < neighbours || s.columns < 1 || s.queries < 1 {
		return errors.Errorf("found n %d, d %d and queries %d, expected at least %d, 1 and 1", most, s.columns, s.queries, neighbours)
	}
	head, err := heads.Named(s.head)
	if err != nil {
		return err
	}
	// A head that learns has no weights here.
	if s.distance, err = head.Distance(noWeights()); err != nil {
		return err
	}
	start := time.Now()
	var sizes []size
	for _, n := range sizesUpTo(most) {
		measured, err := s.measure(ctx, n)
		if err != nil {
			return errors.Wrapf(err, "%d vectors", n)
		}
		fmt.Print(measured.lines())
		sizes = append(sizes, measured)
	}
	return record.Record{
		Title:   "Exact and approximate search",
		Command: fmt.Sprintf("go run ./benchmarks/search -n %d -d %d -queries %d -head %s -seed %d", most, s.columns, s.queries, s.head, s.seed),
		Took:    time.Since(start),
		Result:  s.result(sizes),
	}.WriteFile(out)
}

// sizesUpTo are 1, 2 and 5 times the powers of ten from a thousand on, and the
// most.
func sizesUpTo(most int) (sizes []int) {
	for power := 1000; power < most; power *= 10 {
		for _, factor := range []int{1, 2, 5} {
			if n := factor * power; n < most {
				sizes = append(sizes, n)
			}
		}
	}
	return append(sizes, most)
}

// lines are a size's rows of the table, one a breadth.
func (m size) lines() string {
	var b strings.Builder
	for _, a := range m.approximations {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %d | %s | %.4f | %s |\n",
			m.n, micro(m.exact), micro(m.exactTogether), mega(m.vectorBytes), m.build.Round(time.Millisecond),
			a.breadth, micro(a.query), a.recall, mega(m.graphBytes))
	}
	return b.String()
}

// result is the record's text.
func (s setting) result(sizes []size) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The %d nearest of n vectors of %d elements by %s. ", neighbours, s.columns, s.head)
	fmt.Fprintf(&b, about, perGroup, perClass, amongClasses, withinClass)
	fmt.Fprintf(&b, " Times are medians of %d queries one after the other, each on all processors (exact) or on one (the index); *together* is the mean of all of them at once. Memory is the growth of Go's heap, in MB: of the vectors, and of the index beside them.\n\n", s.queries)
	fmt.Fprintf(&b, "| n | exact, µs | together, µs | vectors, MB | build | breadth | index, µs | recall@%d | index, MB |\n|---|---|---|---|---|---|---|---|---|\n", neighbours)
	for _, m := range sizes {
		b.WriteString(m.lines())
	}
	fmt.Fprintf(&b, "\n%s\n", crossover(sizes))
	return b.String()
}

// crossover says from which measured size on the index is faster.
func crossover(sizes []size) string {
	from := 0
	for i := len(sizes) - 1; i >= 0 && sizes[i].indexFaster(); i-- {
		from = sizes[i].n
	}
	if from == 0 {
		return fmt.Sprintf("At the usual breadth of %d the index is at none of the largest sizes faster than an exact search of one query at a recall of %v or more. index.Crossover is %d.", index.Breadth, leastRecall, index.Crossover)
	}
	return fmt.Sprintf("At the usual breadth of %d the index is faster than an exact search of one query from %d vectors on, at a recall of %v or more. index.Crossover is %d.", index.Breadth, from, leastRecall, index.Crossover)
}

// indexFaster is of the breadth that is used where nobody chooses another.
func (m size) indexFaster() bool {
	for _, a := range m.approximations {
		if a.breadth == index.Breadth {
			return a.recall >= leastRecall && a.query < m.exact
		}
	}
	return false
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }
func mega(bytes int64) string      { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }
