package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/likeness-go/likeness/benchmarks/internal/clusters"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// perClass is the number of examples of a class.
const perClass = 10

// candidates is the number of classes to find.
const candidates = 10

func (s setting) example(class, i int) []float32 {
	return clusters.Vector(s.seed, s.features, class, i)
}

// examples are those of a class that are enrolled.
func (s setting) examples(class int) (all [][]float32) {
	for i := range min(perClass, s.n-class*perClass) {
		all = append(all, s.example(class, i))
	}
	return all
}

func (s setting) classes() int { return (s.n + perClass - 1) / perClass }

// drawn are the queries: other examples of random classes.
func (s setting) drawn() [][]float32 {
	chance := random.New(s.seed, "queries")
	queries := make([][]float32, s.queries)
	for i := range queries {
		queries[i] = s.example(chance.IntN(s.classes()), perClass+i)
	}
	return queries
}

func (s setting) file() string { return filepath.Join(s.folder, fmt.Sprintf("%d.gallery", s.n)) }

// fill enrolls in PostgreSQL, copies to a file and builds the index.
func (s setting) fill(ctx context.Context) (string, error) {
	model, err := rowModel(s.features)
	if err != nil {
		return "", err
	}
	if err := s.drop(ctx, "speed"); err != nil {
		return "", err
	}
	path, err := s.gallery("speed", "maintenance_work_mem", "2GB", "pool_max_conns", fmt.Sprint(s.clients))
	if err != nil {
		return "", err
	}
	g, err := gallery.Create(path, model, gallery.Options{ModelName: "row"})
	if err != nil {
		return "", err
	}
	defer g.Close()
	start := time.Now()
	if err := s.concurrently(s.classes(), func(class int) error {
		if class%10000 == 0 {
			s.note("enrolls class %d of %d", class, s.classes())
		}
		_, err := g.Request(ctx, fmt.Sprint("fill-", class)).EnrollEmbeddings(fmt.Sprint("class ", class), s.examples(class)...)
		return err
	}); err != nil {
		return "", err
	}
	enrolled := time.Since(start)
	s.note("enrolled in %v", enrolled)

	if err := os.RemoveAll(s.file()); err != nil {
		return "", errors.WithStack(err)
	}
	start = time.Now()
	n, err := gallery.Copy(ctx, path, s.file(), model, gallery.Options{})
	if err != nil {
		return "", err
	}
	copied := time.Since(start)
	s.note("copied %d examples in %v", n, copied)

	start = time.Now()
	if err := g.Index(ctx); err != nil {
		return "", err
	}
	indexed := time.Since(start)
	s.note("indexed in %v", indexed)

	// The other way.
	if err := s.drop(ctx, "copy"); err != nil {
		return "", err
	}
	back, err := s.gallery("copy")
	if err != nil {
		return "", err
	}
	start = time.Now()
	if _, err := gallery.Copy(ctx, s.file(), back, model, gallery.Options{}); err != nil {
		return "", err
	}
	returned := time.Since(start)
	if err := s.drop(ctx, "copy"); err != nil {
		return "", err
	}
	table, index, err := s.bytes(ctx)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(s.file())
	if err != nil {
		return "", errors.WithStack(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d examples of %d features in %d classes, in a background process while others used the machine.\n\n", s.n, s.features, s.classes())
	fmt.Fprintf(&b, "| | |\n|---|---|\n")
	fmt.Fprintf(&b, "| enroll in PostgreSQL, %d clients, %d examples a request, each a commit on disk | %v, %.0f examples/s |\n", s.clients, perClass, enrolled.Round(100*time.Millisecond), float64(s.n)/enrolled.Seconds())
	fmt.Fprintf(&b, "| copy from PostgreSQL to a file | %v |\n", copied.Round(100*time.Millisecond))
	fmt.Fprintf(&b, "| copy from the file to PostgreSQL | %v |\n", returned.Round(100*time.Millisecond))
	fmt.Fprintf(&b, "| build the HNSW index (m 16, ef_construction 64, maintenance_work_mem 2 GB) | %v |\n", indexed.Round(100*time.Millisecond))
	fmt.Fprintf(&b, "| size of the file | %.0f MB |\n| size of the table | %.0f MB |\n| size of the HNSW index | %.0f MB |\n", mega(info.Size()), mega(table), mega(index))
	return b.String(), nil
}

func mega(bytes int64) float64 { return float64(bytes) / 1e6 }

// bytes returns the sizes of the table of examples and of its index.
func (s setting) bytes(ctx context.Context) (table, index int64, err error) {
	conn, err := pgx.Connect(ctx, s.uri)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT pg_table_size('likeness_benchmark_speed.examples'), coalesce(pg_relation_size(to_regclass('likeness_benchmark_speed.examples_hnsw')), 0)`).Scan(&table, &index)
	return table, index, err
}

// concurrently calls do for the numbers below n by as many clients as there are.
func (s setting) concurrently(n int, do func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, s.clients)
	for range s.clients {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					next.Store(int64(n))
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// timed searches one query after the other and then all by concurrent clients. It returns
// the answers, the median time and the queries in a second.
func (s setting) timed(g *gallery.Gallery, queries [][]float32) (found [][]gallery.Candidate, approximate bool, median time.Duration, rate float64, err error) {
	ask := func(i int) (gallery.Identification, error) {
		all, err := g.IdentifyEmbeddings(queries[i:i+1], candidates)
		if err != nil {
			return gallery.Identification{}, err
		}
		return all[0], nil
	}
	for i := range min(5, len(queries)) { // to warm up caches
		if _, err := ask(i); err != nil {
			return nil, false, 0, 0, err
		}
	}
	times := make([]time.Duration, len(queries))
	found = make([][]gallery.Candidate, len(queries))
	for i := range queries {
		start := time.Now()
		answer, err := ask(i)
		if err != nil {
			return nil, false, 0, 0, err
		}
		if answer.Incomplete {
			return nil, false, 0, 0, errors.Errorf("query %d: found %d candidates of %d", i, len(answer.Candidates), candidates)
		}
		times[i], found[i], approximate = time.Since(start), answer.Candidates, answer.Approximate
	}
	slices.Sort(times)
	start := time.Now()
	err = s.concurrently(len(queries), func(i int) error { _, err := ask(i); return err })
	return found, approximate, times[len(times)/2], float64(len(queries)) / time.Since(start).Seconds(), err
}

// recall returns the share of the true nearest class, and of the nearest classes, that were
// found at their distances.
func recall(exact, found [][]gallery.Candidate) (first, all float64) {
	hits, firsts, total := 0, 0, 0
	for i := range exact {
		if len(found[i]) > 0 && reflect.DeepEqual(exact[i][0], found[i][0]) {
			firsts++
		}
		for _, c := range exact[i] {
			total++
			if slices.Contains(found[i], c) {
				hits++
			}
		}
	}
	return float64(firsts) / float64(len(exact)), float64(hits) / float64(total)
}

// speed searches the file and PostgreSQL.
func (s setting) speed(ctx context.Context) (string, error) {
	model, err := rowModel(s.features)
	if err != nil {
		return "", err
	}
	queries := s.drawn()
	var b strings.Builder
	fmt.Fprintf(&b, "The %d nearest classes among %d examples, l2. Times are medians of one query after the other; queries/s are those of %d concurrent clients. Recall is the share of the true nearest class, and of the %d nearest, that were found at their distances.\n\n", candidates, s.n, s.clients, candidates)
	b.WriteString("| gallery | search | one query | queries/s | recall@1 | recall@10 |\n|---|---|---|---|---|---|\n")
	row := func(name, search string, median time.Duration, rate float64, first, all float64) {
		fmt.Fprintf(&b, "| %s | %s | %.2f ms | %.1f | %.4f | %.4f |\n", name, search, float64(median)/1e6, rate, first, all)
		s.note("%s, %s: %v, %.1f queries/s, recall %.4f and %.4f", name, search, median, rate, first, all)
	}
	start := time.Now()
	file, err := gallery.Open(s.file(), model, gallery.Options{ReadOnly: true})
	if err != nil {
		return "", err
	}
	opened := time.Since(start)
	exact, _, median, rate, err := s.timed(file, queries)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", err
	}
	row("file", "exact", median, rate, 1, 1)

	for _, test := range []struct {
		search     string
		queries    int
		parameters []string
	}{
		{"exact", s.exact, []string{"search", "exact"}},
		{"index, ef_search 200 (default)", s.queries, nil},
		{"index, ef_search 400", s.queries, []string{"ef_search", "400"}},
		{"index, ef_search 800", s.queries, []string{"ef_search", "800"}},
	} {
		path, err := s.gallery("speed", append([]string{"pool_max_conns", fmt.Sprint(s.clients)}, test.parameters...)...)
		if err != nil {
			return "", err
		}
		g, err := gallery.Open(path, model, gallery.Options{ReadOnly: true})
		if err != nil {
			return "", err
		}
		found, approximate, median, rate, err := s.timed(g, queries[:test.queries])
		if closing := g.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return "", err
		}
		if test.search == "exact" && !reflect.DeepEqual(found, exact[:test.queries]) {
			return "", errors.New("exact answers of PostgreSQL differ from those of the file")
		}
		if approximate != (test.search != "exact") {
			return "", errors.Errorf("%s: approximate is %v", test.search, approximate)
		}
		first, all := recall(exact[:test.queries], found)
		row("PostgreSQL", test.search, median, rate, first, all)
	}
	fmt.Fprintf(&b, "\nThe %d exact answers of PostgreSQL equal those of the file, bit for bit. Opening the file takes %v. PostgreSQL has its default settings (shared_buffers 128 MB), and is on the same machine.\n", s.exact, opened.Round(10*time.Millisecond))
	return b.String(), nil
}
