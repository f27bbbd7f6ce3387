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

// Breadth is how many of the nearest a search of a Graph keeps in sight, the
// paper's ef, where nobody chooses otherwise: the more, the more are found, in
// proportionally more time.
const Breadth = 128

// mostLevels is far more than any number of vectors makes likely.
const mostLevels = 32

// Crossover is from how many vectors on a Graph is built rather than searched
// without: where it becomes the faster one for a query of 64 elements on two
// cores, at a recall@10 of 0.95 or more. benchmarks/search measures it, and its
// record is benchmarks/results/search.md.
const Crossover = 5_000

// Graph is an index of the first rows of Vectors. Each row is a node with links
// to some of its neighbours on level 0; ever fewer nodes are on the levels above,
// where links are longer. A search goes from the top down to where it is near,
// and then looks around. It may be searched by many goroutines at once.
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

// Indexable says why there can be no Graph of a distance; nil if there can.
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

// Len is the number of rows that are indexed, the first of the vectors.
func (g *Graph) Len() int {
	if g == nil {
		return 0
	}
	return g.nodes
}

// errNoGraph is the error of all that a nil Graph, or a zero one, is asked for.
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

// block is where the links of a node on a level are: their count, then room for
// as many as there may be. The node must be on the level.
func (g *Graph) block(node int32, level int) []int32 {
	if level == 0 {
		at := int(node) * (1 + baseLinks)
		return g.base[at : at+1+baseLinks]
	}
	at := (int(g.upperAt[node]) + level - 1) * (1 + links)
	return g.upper[at : at+1+links]
}

// links are the nodes that a node leads to on a level.
func (g *Graph) links(node int32, level int) []int32 {
	block := g.block(node, level)
	return block[1 : 1+block[0]]
}

// link makes the nodes those that a node leads to; there must be room.
func (g *Graph) link(node int32, level int, to []visit) {
	block := g.block(node, level)
	block[0] = int32(len(to))
	for i, neighbour := range to {
		block[1+i] = neighbour.node
	}
}

// top is the highest level.
func (g *Graph) top() int { return int(g.levels[g.entry]) }

// between is how far apart the filter finds two nodes.
func (g *Graph) between(a, b int32) float32 {
	return float32(g.vectors.filter.measure(g.vectors.compared(int(a)), g.vectors.compared(int(b))))
}

// Nearest finds, for each query, most of the k nearest rows, of each group one;
// see Vectors.Nearest. Rows that were appended after Build are searched exactly.
// The breadth is at least k; 0 means Breadth. Distances are the head's, and
// equal input gives equal output.
func (g *Graph) Nearest(queries [][]float32, k int, groups Groups, breadth int) ([][]Neighbour, error) {
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
		for _, neighbour := range g.search(query, k, groups, max(k, breadth)) {
			all.offer(neighbour)
		}
		answers[i] = all.found
	}
	return answers, nil
}

// search is Nearest for one query among the nodes. Where as many neighbours as
// the breadth are of too few groups, it looks farther, and in the end at all.
func (g *Graph) search(query []float32, k int, groups Groups, breadth int) []Neighbour {
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
			answer.offer(Neighbour{int(v.node), g.vectors.distance.Between(query, g.vectors.Row(int(v.node)))})
		}
		if len(answer.found) == k {
			return answer.found
		}
		if breadth >= g.nodes/4 {
			return g.vectors.nearest([][]float32{query}, k, groups, 0)[0]
		}
	}
}
