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
