package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/works"
	"github.com/pkg/errors"
)

const method = `%[1]d rounds of at least %[2]d timed steps, %[3]d threads for each. All peers take turns in
every round, in an order that rotates; a turn is one step to warm up and the timed ones, and
counts by its median. Times are medians over the rounds, with the least and the greatest round
in brackets; a ratio is that of the medians, with the least and the greatest of a single round.
Above 1 the library is the faster one. In a turn the peers that waited used %.2[4]f of a processor on
the average, all together, and programs that have nothing to do with this %.2[5]f: where that is not
nearly nothing, times mean little.

A step of training is forward, backward and optimiser, in float32, from equal initial weights on
equal batches. The library also copies its inputs into the graph; PyTorch's lie ready in the memory
format it wants, towers without batch norm go through its network as one batch, and its optimisers
are the fused ones. Of PyTorch's ways, eager on contiguous images, eager in channels_last, and
torch.compile, the fastest counts. Embedding begins with bytes in the library and with floats in its
peers; PyTorch's runs without gradients, and compiled with frozen weights. ONNX Runtime runs the
network as torch.onnx exports it. Gorgonia's own operations take seconds for a step, and a turn of
theirs is one.
`

// markdown writes the result to read.
func (r results) markdown(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, method, r.options.rounds, r.options.steps, r.options.threads,
		r.account.perSecond(r.account.waiting), r.account.perSecond(r.account.strangers))
	r.summary(&text)
	r.proofs(&text)
	for _, c := range r.comparisons {
		c.table(&text)
	}
	r.garbage(&text)
	r.scaling(&text)
	r.streaming(&text)
	r.memory(&text)
	_, err := io.WriteString(w, text.String())
	return errors.Wrap(err, "write results")
}

// milliseconds in three digits.
func milliseconds(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func spread(times []float64) string {
	return fmt.Sprintf("%s [%s – %s]", milliseconds(median(times)), milliseconds(slices.Min(times)), milliseconds(slices.Max(times)))
}

func (r ratio) String() string { return fmt.Sprintf("%.2f [%.2f – %.2f]", r.value, r.low, r.high) }

// summary has a line for each work and framework.
func (r results) summary(text *strings.Builder) {
	rows := r.rows()
	if len(rows) == 0 {
		return
	}
	text.WriteString("\n## The library and the fastest way of each framework\n\n| work | likeness, ms | peer | its ms | peer / likeness |\n|---|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(text, "| %s | %s | %s | %s | %v |\n", row.Work, milliseconds(row.LikenessMS), row.Way,
			milliseconds(row.PeerMS), ratio{row.Ratio, row.RatioLow, row.RatioHigh})
	}
}

// proofs that all do the same work.
func (r results) proofs(text *strings.Builder) {
	if len(r.comparisons) == 0 {
		return
	}
	fmt.Fprintf(text, `
## They do the same work

The largest difference of a peer's losses from the library's, relative to the library's, over the
first steps, each on a batch of its own; and of embeddings, relative to each value or absolute where
that is below 1. At most %.0e is allowed.

| work | peer | steps | difference |
|---|---|---|---|
`, tolerance)
	for _, c := range r.comparisons {
		for _, p := range c.proofs {
			steps := "embeddings"
			if p.steps > 0 {
				steps = fmt.Sprint(p.steps)
			}
			fmt.Fprintf(text, "| %s | %s | %s | %.1e |\n", c.work.Title, p.peer, steps, p.difference)
		}
	}
}

// table of one work with all peers.
func (c comparison) table(text *strings.Builder) {
	fmt.Fprintf(text, "\n## %s\n\n| | ms | ms / likeness' |\n|---|---|---|\n", c.work.Title)
	for i, s := range c.series {
		if i == 0 {
			fmt.Fprintf(text, "| %s | %s | |\n", s.name, spread(s.times))
		} else {
			fmt.Fprintf(text, "| %s | %s | %v |\n", s.name, spread(s.times), ratioOf(s.times, c.series[0].times))
		}
	}
}

func (r results) garbage(text *strings.Builder) {
	if len(r.comparisons) == 0 {
		return
	}
	text.WriteString("\n## What a step leaves to the garbage collector\n\n| work | KiB |\n|---|---|\n")
	for _, c := range r.comparisons {
		fmt.Fprintf(text, "| %s | %.0f |\n", c.work.Title, c.series[0].allocated/1024)
	}
}

func (r results) scaling(text *strings.Builder) {
	if r.scale == nil {
		return
	}
	fmt.Fprintf(text, "\n## Images a second by the size of a batch\n\n%s: another number of pairs, the library alone.\n\n![Images a second](scale.png)\n\n| pairs |", r.scale.work.Title)
	for _, threads := range r.scale.threads {
		fmt.Fprintf(text, " %d threads |", threads)
	}
	text.WriteString("\n|---|" + strings.Repeat("---|", len(r.scale.threads)) + "\n")
	for i, pairs := range works.PairCounts {
		fmt.Fprintf(text, "| %d |", pairs)
		for _, rates := range r.scale.rates {
			fmt.Fprintf(text, " %.0f |", rates[i])
		}
		text.WriteString("\n")
	}
}

func (r results) streaming(text *strings.Builder) {
	if r.bare == nil {
		return
	}
	fmt.Fprintf(text, `
## A training's step beside the bare one

The trainer draws pairs of MNIST, distorts every image at random, keeps the weights to fall back on
and looks for values that are not finite.

| | ms | ms / bare |
|---|---|---|
| bare step on batches that lie ready | %s | |
| the trainer's step on augmented MNIST | %s | %v |
`, spread(r.bare.times), spread(r.trained.times), ratioOf(r.trained.times, r.bare.times))
}

func (r results) memory(text *strings.Builder) {
	if len(r.footprints) == 0 {
		return
	}
	fmt.Fprintf(text, `
## Memory

The greatest amount of main memory of a process of its own, from building the network to the end of
%d steps, less what it had before with all code loaded.

| work | | MiB | / likeness' |
|---|---|---|---|
`, memorySteps)
	for _, f := range r.footprints {
		for i, name := range f.names {
			fmt.Fprintf(text, "| %s | %s | %d | %.2f |\n", f.work.Title, name, f.bytes[i]>>20, float64(f.bytes[i])/float64(f.bytes[0]))
		}
	}
}
