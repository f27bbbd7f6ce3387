package index

import (
	"slices"
	"sync"

	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The parameters of Malkov & Yashunin 2016. Links is their M and baseLinks their
// Mmax0, which they recommend to be 2·M; buildBreadth is efConstruction.
const (
	links        = 16
	baseLinks    = 2 * links
	buildBreadth = 128
)

// Breadth is the default number of candidates that a search of a Graph keeps, the
// paper's ef: a larger number gives a higher recall and takes proportionally more time.
const Breadth = 128

// mostLevels is far more than any number of vectors makes likely.
const mostLevels = 32

// Crossover is the number of vectors from which on a search of a Graph is faster than an
// exact search: for queries of 64 elements on two cores, at a recall@10 of 0.95 or more.
// benchmarks/search measures it; the results are in benchmarks/results/search.md.
const Crossover = 5_000

// Graph is an approximate index of the first rows of Vectors. Each row is a node with
// links to some of its neighbors on level 0; the levels above have fewer and fewer nodes
// and longer links. A search descends greedily from the highest level, and then searches
// the neighborhood on level 0. It may be searched by many goroutines at once.
type Graph struct {
	vectors *Vectors
	nodes   int
	entry   int32   // a node of the highest level; -1 without nodes
	levels  []uint8 // of each node, the highest that it is on

	// Blocks of a count and so many links: one a node for level 0, and for the
	// levels above one each, those of a node from upperAt on.
	base    []int32
	upper   []int32
	upperAt []int32

	walks sync.Pool // of *walk
}

// Indexable returns why a Graph of a distance cannot be built, or nil if it can.
func Indexable(distance heads.Distance) error {
	if distance == nil {
		return errNoDistance
	}
	if form, _ := distance.Form(); form.Signed() {
		j := slices.IndexFunc(form.Weights, func(w float32) bool { return w < 0 })
		return errors.Errorf("the head %s has a negative weight (%v for feature %d), so that its distances may be negative and two neighbors of a vector may be anywhere: it is searched exactly", distance.Name(), form.Weights[j], j)
	}
	if !filterFor(distance).ordered {
		return errors.Errorf("the head %s has no form, from which an index could be built: it is searched exactly", distance.Name())
	}
	return nil
}

// Len returns the number of indexed rows, which are the first rows of the vectors.
func (g *Graph) Len() int {
	if g == nil {
		return 0
	}
	return g.nodes
}

// errNoGraph is the error of all methods of a nil or zero Graph.
var errNoGraph = errors.New("found no graph that Build or Read made, or nothing to write it to")

func (g *Graph) made() bool { return g != nil && g.vectors.made() }

// newGraph is a graph without links.
func newGraph(v *Vectors, levels []uint8) *Graph {
	g := &Graph{vectors: v, nodes: len(levels), entry: -1, levels: levels}
	g.upperAt = make([]int32, g.nodes)
	blocks := int32(0)
	for i, level := range levels {
		g.upperAt[i] = blocks
		blocks += int32(level)
	}
	g.base = make([]int32, g.nodes*(1+baseLinks))
	g.upper = make([]int32, int(blocks)*(1+links))
	return g
}

// block is the memory of the links of a node on a level: their count, and as many
// elements as there may be links. The node must be on the level.
func (g *Graph) block(node int32, level int) []int32 {
	if level == 0 {
		at := int(node) * (1 + baseLinks)
		return g.base[at : at+1+baseLinks]
	}
	at := (int(g.upperAt[node]) + level - 1) * (1 + links)
	return g.upper[at : at+1+links]
}

// links are the nodes at the other ends of a node's links on a level.
func (g *Graph) links(node int32, level int) []int32 {
	block := g.block(node, level)
	return block[1 : 1+block[0]]
}

// link replaces the links of a node on a level.
func (g *Graph) link(node int32, level int, to []visit) {
	block := g.block(node, level)
	block[0] = int32(len(to))
	for i, neighbor := range to {
		block[1+i] = neighbor.node
	}
}

// top is the highest level.
func (g *Graph) top() int { return int(g.levels[g.entry]) }

// between is the filter's measure of two nodes.
func (g *Graph) between(a, b int32) float32 {
	return float32(g.vectors.filter.measure(g.vectors.compared(int(a)), g.vectors.compared(int(b))))
}

// Nearest finds, for each query, most of the k nearest rows, one of each group; see
// Vectors.Nearest. Rows that were appended after Build are searched exactly. The breadth
// is at least k; 0 stands for Breadth. Distances are exact, and equal input gives equal
// output.
func (g *Graph) Nearest(queries [][]float32, k int, groups Groups, breadth int) ([][]Neighbor, error) {
	if !g.made() {
		return nil, errNoGraph
	}
	if g.vectors.rows < g.nodes {
		return nil, errors.Errorf("the vectors have %d rows, expected the %d that are indexed: those that were removed must be removed here, too", g.vectors.rows, g.nodes)
	}
	if err := g.vectors.checkSearch(queries, k, groups); err != nil {
		return nil, err
	}
	if breadth < 0 {
		return nil, errors.Errorf("breadth %d, expected 0 or more", breadth)
	}
	if breadth == 0 {
		breadth = Breadth
	}
	answers := g.vectors.nearest(queries, k, groups, g.nodes)
	for i, query := range queries {
		all := selection{k: k, groups: groups, found: answers[i]}
		for _, neighbor := range g.search(query, k, groups, max(k, breadth)) {
			all.offer(neighbor)
		}
		answers[i] = all.found
	}
	return answers, nil
}

// search is Nearest for one query among the nodes. Where the found neighbors are of too
// few groups, it increases the breadth, and in the end searches exactly.
func (g *Graph) search(query []float32, k int, groups Groups, breadth int) []Neighbor {
	if g.nodes == 0 {
		return nil
	}
	w := g.borrow()
	defer g.walks.Put(w)
	compared := g.vectors.prepared(query)
	for nearest := g.descend(w, compared, 0); ; breadth *= 4 {
		g.around(w, compared, 0, breadth, nearest)
		answer := selection{k: k, groups: groups}
		for _, v := range w.found.items {
			answer.offer(Neighbor{Row: int(v.node), Distance: g.vectors.distance.Between(query, g.vectors.Row(int(v.node)))})
		}
		if len(answer.found) == k {
			return answer.found
		}
		if breadth >= g.nodes/4 {
			return g.vectors.nearest([][]float32{query}, k, groups, 0)[0]
		}
	}
}

// visit is a node and its distance from the query by the filter's measure.
type visit struct {
	distance float32
	node     int32
}

// before orders visits by distance, and equal ones by node, so that results are
// deterministic.
func (v visit) before(other visit) bool {
	return v.distance < other.distance || v.distance == other.distance && v.node < other.node
}

// walk is the memory of one search, which the next one reuses.
type walk struct {
	frontier queue // nodes to go on from, the nearest first
	found    queue // the nearest so far, the farthest first
	marks    []uint32
	mark     uint32 // what marks has for the nodes that this walk came by
}

// borrow returns an unused walk, which must be returned to walks.
func (g *Graph) borrow() *walk {
	if w, ok := g.walks.Get().(*walk); ok && len(w.marks) == g.nodes {
		return w
	}
	return &walk{marks: make([]uint32, g.nodes), found: queue{farthest: true}}
}

// begin clears the marks of the previous search.
func (w *walk) begin() {
	w.frontier.items, w.found.items = w.frontier.items[:0], w.found.items[:0]
	if w.mark++; w.mark == 0 { // after 2³² walks
		clear(w.marks)
		w.mark = 1
	}
}

// first marks a node as visited and returns whether it was not before.
func (w *walk) first(node int32) bool {
	if w.marks[node] == w.mark {
		return false
	}
	w.marks[node] = w.mark
	return true
}

// at is the visit of a node for a prepared query.
func (g *Graph) at(query []float32, node int32) visit {
	return visit{float32(g.vectors.filter.measure(query, g.vectors.compared(int(node)))), node}
}

// descend searches greedily from the entry down to the level.
func (g *Graph) descend(w *walk, query []float32, level int) visit {
	nearest := g.at(query, g.entry)
	for l := g.top(); l > level; l-- {
		nearest = g.closer(query, nearest, l)
	}
	return nearest
}

// closer follows links to nearer nodes for as long as there are any.
func (g *Graph) closer(query []float32, nearest visit, level int) visit {
	for {
		from := nearest
		for _, node := range g.links(from.node, level) {
			if v := g.at(query, node); v.before(nearest) {
				nearest = v
			}
		}
		if nearest == from {
			return nearest
		}
	}
}

// around finds the nodes nearest to the query on a level, at most breadth of them,
// starting from one node; they are in w.found. It is algorithm 2 of the paper: it ends
// when the nearest candidate is farther than all nodes that were found.
func (g *Graph) around(w *walk, query []float32, level, breadth int, from visit) {
	w.begin()
	w.first(from.node)
	w.frontier.push(from)
	w.found.push(from)
	for len(w.frontier.items) > 0 {
		nearest := w.frontier.pop()
		if len(w.found.items) == breadth && w.found.items[0].before(nearest) {
			return
		}
		for _, node := range g.links(nearest.node, level) {
			if !w.first(node) {
				continue
			}
			v := g.at(query, node)
			if len(w.found.items) == breadth {
				if !v.before(w.found.items[0]) {
					continue
				}
				w.found.pop()
			}
			w.found.push(v)
			w.frontier.push(v)
		}
	}
}

// queue is a binary heap of visits with the nearest or the farthest first.
type queue struct {
	items    []visit
	farthest bool
}

func (q *queue) ahead(i, j int) bool {
	if q.farthest {
		i, j = j, i
	}
	return q.items[i].before(q.items[j])
}

func (q *queue) push(v visit) {
	q.items = append(q.items, v)
	for i := len(q.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.ahead(i, parent) {
			return
		}
		q.items[i], q.items[parent] = q.items[parent], q.items[i]
		i = parent
	}
}

// pop takes the first, which must be there.
func (q *queue) pop() visit {
	first, last := q.items[0], len(q.items)-1
	q.items[0] = q.items[last]
	q.items = q.items[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.ahead(child+1, child) {
			child++
		}
		if !q.ahead(child, i) {
			return first
		}
		q.items[i], q.items[child] = q.items[child], q.items[i]
		i = child
	}
}
