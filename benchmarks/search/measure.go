package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/likeness-go/likeness/benchmarks/internal/clusters"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// setting holds the parameters that all sizes share.
type setting struct {
	columns, queries, together int
	head                       string
	distance                   heads.Distance
	seed                       uint64
	python, script             string
	peers                      []string
	cache                      string
	prepare                    bool
}

// row is the figures of one method for one number of vectors.
type row struct {
	Vectors  int     `json:"vectors"`
	Columns  int     `json:"columns"`
	Head     string  `json:"head"`
	Method   string  `json:"method"`
	Version  string  `json:"version"`
	Build    float64 `json:"build_seconds"` // negative if other programs ran meanwhile
	Bytes    int64   `json:"bytes"`         // with the vectors
	Breadth  int     `json:"breadth,omitempty"`
	One      float64 `json:"one_microseconds"`
	Together float64 `json:"together_microseconds"` // of a query
	Recall   float64 `json:"recall"`

	Command   string `json:"command"`
	Commit    string `json:"commit"`
	Processor string `json:"processor"`
	Date      string `json:"date"`
}

// method is a search that is measured.
type method interface {
	one(first, last int) ([]float64, error) // microseconds of each query
	together() (float64, error)             // microseconds of a query
}

// breadths are those with which graphs are searched: the smallest with a recall of at least
// minRecall is measured.
var breadths = []int{16, 32, 64, 128, 256, 512}

const minRecall = 0.99

func (s setting) measure(n int) ([]row, error) {
	folder := filepath.Join(s.cache, fmt.Sprintf("%d-%d-%d", n, s.columns, s.seed))
	if err := s.makeVectors(folder, n); err != nil {
		return nil, err
	}
	rows, methods := []row{}, []method{}
	own := row{Vectors: n, Columns: s.columns, Head: s.head, Method: "likeness", Recall: 1}
	var exact *ownSearch
	if !s.prepare {
		var err error
		if exact, err = s.open(folder, n, &own); err != nil {
			return nil, err
		}
		rows, methods = append(rows, own), append(methods, exact)
	}
	for _, name := range s.peers {
		p, err := s.start(name, folder)
		if err != nil {
			return nil, errors.Wrap(err, name)
		}
		defer p.stop()
		r := row{Vectors: n, Columns: s.columns, Head: s.head, Method: name, Version: p.about.Version, Build: p.about.Build, Bytes: p.about.Bytes}
		if s.prepare {
			rows = append(rows, r)
			continue
		}
		if r.Recall, r.Breadth, err = p.tune(exact.found); err != nil {
			return nil, errors.Wrap(err, name)
		}
		rows, methods = append(rows, r), append(methods, p)
	}
	times, all := make([][]float64, len(rows)), make([][]float64, len(rows))
	for round := range rounds {
		for i, m := range methods {
			few, err := m.one(round*s.queries/rounds, (round+1)*s.queries/rounds)
			if err != nil {
				return nil, errors.Wrap(err, rows[i].Method)
			}
			mean, err := m.together()
			if err != nil {
				return nil, errors.Wrap(err, rows[i].Method)
			}
			times[i], all[i] = append(times[i], few...), append(all[i], mean)
		}
	}
	for i := range methods {
		rows[i].One, rows[i].Together = median(times[i]), median(all[i])
	}
	return rows, nil
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// ownSearch is the exact search of this module.
type ownSearch struct {
	vectors *index.Vectors
	queries [][]float32
	count   int                // of queries that other methods search, too
	found   [][]index.Neighbor // of these
}

// open reads the vectors and searches all queries once.
func (s setting) open(folder string, n int, r *row) (*ownSearch, error) {
	file, err := os.Open(filepath.Join(folder, "vectors.f32"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	o := &ownSearch{count: s.queries}
	before, start := heap(), time.Now()
	if o.vectors, err = index.NewVectors(s.distance, s.columns); err != nil {
		return nil, err
	}
	reader, vector := bufio.NewReaderSize(file, 1<<20), make([]float32, s.columns)
	for range n {
		if err := binary.Read(reader, binary.NativeEndian, vector); err != nil {
			return nil, err
		}
		if err := o.vectors.Append(vector); err != nil {
			return nil, err
		}
	}
	r.Build, r.Bytes = time.Since(start).Seconds(), heap()-before
	o.queries = s.drawn(n)
	if o.found, err = o.vectors.Nearest(o.queries[:s.queries], neighbors, nil); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *ownSearch) one(first, last int) (times []float64, err error) {
	for i := first; i < last; i++ {
		start := time.Now()
		if _, err := o.vectors.Nearest(o.queries[i:i+1], neighbors, nil); err != nil {
			return nil, err
		}
		times = append(times, microseconds(start))
	}
	return times, nil
}

func (o *ownSearch) together() (float64, error) {
	start := time.Now()
	_, err := o.vectors.Nearest(o.queries, neighbors, nil)
	return microseconds(start) / float64(len(o.queries)), err
}

func microseconds(since time.Time) float64 {
	return float64(time.Since(since)) / float64(time.Microsecond)
}

// peer is a process of search.py.
type peer struct {
	command  *exec.Cmd
	requests io.WriteCloser
	answers  *json.Decoder
	about    struct {
		Build   float64 `json:"build"` // in seconds; negative in the file of an index that was made while other programs ran
		Bytes   int64   `json:"bytes"`
		Version string  `json:"version"`
	}
}

// start starts a process, which builds an index.
func (s setting) start(name, folder string) (*peer, error) {
	p := &peer{command: exec.Command(s.python, "-B", s.script, name, folder, fmt.Sprint(s.columns), fmt.Sprint(neighbors))}
	p.command.Stderr = os.Stderr
	answers, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.requests, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, errors.Wrap(err, "-python")
	}
	p.answers = json.NewDecoder(answers)
	if err := p.answers.Decode(&p.about); err != nil {
		p.stop()
		return nil, errors.Wrapf(err, "%s ended before it had an index", s.script)
	}
	return p, nil
}

func (p *peer) stop() {
	_ = p.requests.Close()
	_ = p.command.Wait()
}

// ask sends a request and decodes the answer.
func (p *peer) ask(answer any, request string, arguments ...any) error {
	if _, err := fmt.Fprintln(p.requests, append([]any{request}, arguments...)...); err != nil {
		return err
	}
	return errors.Wrapf(p.answers.Decode(answer), "request %s", request)
}

// tune chooses the breadth; a flat index has none.
func (p *peer) tune(exact [][]index.Neighbor) (recall float64, breadth int, err error) {
	all := breadths
	if p.command.Args[3] == "faiss-flat" {
		all = []int{0}
	}
	for _, breadth = range all {
		var done bool
		if err := p.ask(&done, "ef", breadth); err != nil {
			return 0, 0, err
		}
		var rows [][]int
		if err := p.ask(&rows, "rows"); err != nil {
			return 0, 0, err
		}
		if recall = recallOf(exact, rows); recall >= minRecall {
			break
		}
	}
	return recall, breadth, nil
}

func (p *peer) one(first, last int) (times []float64, err error) {
	return times, errors.WithStack(p.ask(&times, "one", first, last))
}

func (p *peer) together() (time float64, err error) {
	return time, errors.WithStack(p.ask(&time, "together"))
}

// recallOf is the share of the true nearest rows that were found. Another row at the same
// distance does not count.
func recallOf(exact [][]index.Neighbor, found [][]int) float64 {
	hits, all := 0, 0
	for i := range exact {
		for _, neighbor := range exact[i] {
			all++
			if i < len(found) && slices.Contains(found[i], neighbor.Row) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}

// heap returns the size of the heap in use in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the first does not empty sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// perClass is the number of examples of a class. A query is another example of a random class, so
// that half of its ten nearest vectors are of other classes.
const perClass = 5

// example returns example number i of a class.
func (s setting) example(class, i int) []float32 { return clusters.Vector(s.seed, s.columns, class, i) }

// drawn returns the queries for a number of vectors.
func (s setting) drawn(n int) [][]float32 {
	chance := random.New(s.seed, "queries")
	queries := make([][]float32, s.together)
	for i := range queries {
		queries[i] = s.example(chance.IntN((n+perClass-1)/perClass), perClass+i)
	}
	return queries
}

// makeVectors writes the vectors, and the queries of the other methods, unless they are there.
func (s setting) makeVectors(folder string, n int) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	queries := s.drawn(n)[:s.queries]
	if err := writeVectors(filepath.Join(folder, "queries.f32"), len(queries), func(i int) []float32 { return queries[i] }); err != nil {
		return err
	}
	path := filepath.Join(folder, "vectors.f32")
	if info, err := os.Stat(path); err == nil && info.Size() == int64(4*n*s.columns) {
		return nil
	}
	return writeVectors(path, n, func(i int) []float32 { return s.example(i/perClass, i%perClass) })
}

// writeVectors writes vectors as float32 in the byte order of the machine, many at a time.
func writeVectors(path string, n int, vector func(i int) []float32) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		const many = 4096
		for first := 0; first < n; first += many {
			vectors := make([][]float32, min(many, n-first))
			parallel.For(len(vectors), func(i int) { vectors[i] = vector(first + i) })
			for _, v := range vectors {
				if _, err := w.Write(unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 4*len(v))); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func noWeights() *graph.Weights { return graph.NewWeights(graph.Float32, 1) }
