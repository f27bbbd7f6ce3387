package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/likeness-go/likeness/gallery/index"
)

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
