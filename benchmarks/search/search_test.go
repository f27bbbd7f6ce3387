package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery/index"
)

func TestSizes(t *testing.T) {
	for maxSize, want := range map[int][]int{500: {500}, 1000: {1000}, 2000: {1000, 2000}, 30_000: {1000, 2000, 5000, 10_000, 20_000, 30_000}} {
		if diff := cmp.Diff(want, sizesUpTo(maxSize)); diff != "" {
			t.Errorf("up to %d (-want +got):\n%s", maxSize, diff)
		}
	}
}

// The crossover is the size from which the index with the default breadth is always faster,
// with sufficient recall.
func TestCrossover(t *testing.T) {
	sized := func(n int, exact, query time.Duration, recall float64) size {
		return size{n: n, exact: exact, approximations: []approximation{
			{breadth: 32, query: 1, recall: 1}, {breadth: index.Breadth, query: query, recall: recall},
		}}
	}
	for _, test := range []struct {
		sizes []size
		want  string
	}{
		{[]size{sized(1, 10, 20, 1), sized(2, 30, 20, 1), sized(5, 60, 20, 0.95)}, "from 2 vectors"},
		{[]size{sized(1, 10, 5, 1), sized(2, 10, 20, 1), sized(5, 60, 20, 1)}, "from 5 vectors"},
		{[]size{sized(1, 10, 5, 1), sized(2, 60, 20, 0.94)}, "is not faster"},
	} {
		if got := crossover(test.sizes); !strings.Contains(got, test.want) {
			t.Errorf("found %q, want %q", got, test.want)
		}
	}
}

// The program runs and writes the record.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "search.md")
	s := setting{columns: 8, queries: 20, head: "cosine", seed: 1}
	if err := run(context.Background(), s, 300, out); err != nil {
		if strings.Contains(err.Error(), "git") {
			t.Skip("not in a git repository: ", err)
		}
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`-n 300 -d 8 -queries 20 -head cosine -seed 1`, `\| 300 \| \d+ \| \d+ \| \d+\.\d \| \d+\S* \| 256 \| \d+ \| 1\.0000 \|`, `index\.Crossover is \d+`} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if err := run(context.Background(), s, 5, out); err == nil || !strings.Contains(err.Error(), "found n 5") {
		t.Errorf("too few vectors: found error %v", err)
	}
}
