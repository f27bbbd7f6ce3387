// Search measures the time of finding the ten nearest of many vectors: the exact search of
// package gallery/index beside the exact search of FAISS and the graph indices (HNSW) of
// FAISS, hnswlib and usearch.
//
//	pip install faiss-cpu hnswlib usearch
//	go run ./benchmarks/search -python python3 -n 10000,100000
//	go run ./benchmarks/search -n 2000 -queries 100 -out /tmp/search    # a quick test, alone
//
// It adds the figures of each size to search.jsonl in the folder -out, replaces those of an
// earlier measurement, and writes search.md and search.png from all of them. Vectors and
// indices are kept in the folder -cache, so that -prepare can make them before the
// measurement. Run it while no other programs run.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

const (
	neighbors = 10 // number of nearest vectors to find
	rounds    = 3  // in each of which all methods are measured, in turn
)

// peers lists the methods of other libraries that search.py knows.
var peers = []string{"faiss-flat", "faiss-hnsw", "hnswlib", "usearch"}

func main() {
	log.SetFlags(0)
	var s setting
	sizes := flag.String("n", "10000,100000,1000000", "numbers of vectors, separated by commas")
	flag.IntVar(&s.columns, "d", 64, "number of elements of a vector")
	flag.IntVar(&s.queries, "queries", 1000, "number of queries; times are medians over them")
	flag.IntVar(&s.together, "together", 10_000, "number of queries in one call of the exact search")
	flag.StringVar(&s.head, "head", "l2", "`name` of the head, whose distance is used; other libraries are measured with l2 only")
	flag.Uint64Var(&s.seed, "seed", 1, "random seed of the vectors")
	flag.StringVar(&s.python, "python", "", "Python `interpreter` with numpy, faiss-cpu, hnswlib and usearch; without it only likeness is measured")
	flag.StringVar(&s.script, "script", "benchmarks/peers/search.py", "`file` of the other libraries' part")
	methods := flag.String("peers", strings.Join(peers, ","), "other methods, separated by commas")
	flag.StringVar(&s.cache, "cache", filepath.Join(os.TempDir(), "likeness-search"), "`folder` of vectors and indices")
	flag.BoolVar(&s.prepare, "prepare", false, "make the vectors and the indices, and measure nothing else")
	out := flag.String("out", "benchmarks/results", "`folder` of search.jsonl, search.md and search.png")
	flag.Parse()
	if s.python != "" {
		s.peers = strings.Split(*methods, ",")
	}
	if err := s.run(strings.Split(*sizes, ","), *out); err != nil {
		log.Fatal(err)
	}
}

// run measures all sizes.
func (s setting) run(sizes []string, out string) error {
	if s.columns < 1 || s.queries < 1 || s.together < s.queries {
		return errors.Errorf("found -d %d, -queries %d and -together %d: -d and -queries must be at least 1, and -together at least -queries", s.columns, s.queries, s.together)
	}
	for _, peer := range s.peers {
		if !slices.Contains(peers, peer) {
			return errors.Errorf("-peers: found %q, expected some of %s", peer, strings.Join(peers, ", "))
		}
	}
	head, err := heads.Named(s.head)
	if err != nil {
		return errors.Wrap(err, "-head")
	}
	if len(s.peers) > 0 && s.head != "l2" {
		return errors.Errorf("-head: found %s with -python, expected l2, by which the other libraries search", s.head)
	}
	// A head with trainable weights has no weights here, which is an error.
	if s.distance, err = head.Distance(noWeights()); err != nil {
		return err
	}
	for _, text := range sizes {
		n, err := strconv.Atoi(text)
		if err != nil || n < neighbors {
			return errors.Errorf("-n: found %q, expected a number of vectors of at least %d", text, neighbors)
		}
		rows, err := s.measure(n)
		if err != nil {
			return errors.Wrapf(err, "%d vectors", n)
		}
		for _, r := range rows {
			fmt.Print(r.line())
		}
		if s.prepare {
			continue
		}
		if err := addRows(out, rows, s.command(n)); err != nil {
			return err
		}
	}
	return nil
}

// command returns the command that measures one size.
func (s setting) command(n int) string {
	text := fmt.Sprintf("go run ./benchmarks/search -n %d -d %d -queries %d -together %d -head %s -seed %d", n, s.columns, s.queries, s.together, s.head, s.seed)
	if len(s.peers) > 0 {
		text += " -python python3 -peers " + strings.Join(s.peers, ",")
	}
	return text
}
