package index

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// mostAtOnce is the maximum number of nodes that are inserted at the same time. They
// search for neighbors in the graph as it was before and among each other, so the
// result does not depend on the number of threads.
const mostAtOnce = 256

// Build indexes all rows of the vectors. It is an error if their distance is not
// Indexable, or if the context ends. The vectors must not change meanwhile; rows that
// are appended afterwards are not in the graph.
func Build(ctx context.Context, v *Vectors, seed uint64) (*Graph, error) {
	if ctx == nil {
		return nil, errors.New("build index: the context is nil, expected one such as context.Background()")
	}
	if !v.made() {
		return nil, errors.Wrap(errNoVectors, "build index")
	}
	if err := Indexable(v.distance); err != nil {
		return nil, errors.Wrap(err, "build index")
	}
	// In the order of the rows, those of one class would come one after the other
	// and fill each other's links before any way led to them.
	chance := random.New(seed, "gallery", "index")
	sequence := chance.Perm(v.rows)
	levels := make([]uint8, v.rows)
	for i := range levels {
		// Levels are geometrically distributed with 1/ln M, the paper's mL.
		level := -math.Log(1-chance.Float64()) / math.Log(links)
		levels[i] = uint8(min(level, mostLevels))
	}
	g := newGraph(v, levels)
	for done := 0; done < g.nodes; {
		if err := ctx.Err(); err != nil {
			return nil, errors.Wrapf(err, "build index: %d of %d vectors are done", done, g.nodes)
		}
		count := min(max(1, done/4), mostAtOnce, g.nodes-done)
		g.insert(sequence[done : done+count])
		done += count
	}
	return g, nil
}

// insert adds nodes to the graph: each gets its links, then the nodes at their ends
// get links back.
func (g *Graph) insert(rows []int) {
	if g.entry < 0 {
		g.entry, rows = int32(rows[0]), rows[1:]
	}
	wanted := make([][]backlink, len(rows))
	g.each(len(rows), func(w *walk, i int) { wanted[i] = g.connect(w, int32(rows[i]), rows) })
	back := slices.Concat(wanted...)
	slices.SortFunc(back, func(a, b backlink) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.level, b.level), cmp.Compare(a.to.distance, b.to.distance), cmp.Compare(a.to.node, b.to.node))
	})
	var places [][]backlink // those of one node on one level
	for begin := 0; begin < len(back); {
		end := begin + 1
		for end < len(back) && back[end].node == back[begin].node && back[end].level == back[begin].level {
			end++
		}
		places = append(places, back[begin:end])
		begin = end
	}
	g.each(len(places), func(_ *walk, i int) { g.linkBack(places[i]) })
	for _, row := range rows {
		if int(g.levels[row]) > g.top() {
			g.entry = int32(row)
		}
	}
}

// backlink is a link to be added in the opposite direction of another.
type backlink struct {
	node  int32
	level int
	to    visit
}

// connect chooses a new node's links and returns those to be added in the opposite
// direction. No link leads to the node yet, so that other nodes can be connected at the
// same time.
func (g *Graph) connect(w *walk, node int32, mates []int) (back []backlink) {
	query := g.vectors.compared(int(node))
	level := int(g.levels[node])
	nearest := g.descend(w, query, level)
	for l := level; l >= 0; l-- {
		var candidates []visit
		if l <= g.top() {
			g.around(w, query, l, buildBreadth, nearest)
			candidates = slices.Clone(w.found.items)
		}
		for _, mate := range mates {
			if int32(mate) != node && int(g.levels[mate]) >= l {
				candidates = append(candidates, g.at(query, int32(mate)))
			}
		}
		chosen := g.choose(candidates, links)
		g.link(node, l, chosen)
		for _, neighbor := range chosen {
			back = append(back, backlink{neighbor.node, l, visit{neighbor.distance, node}})
		}
		if l <= g.top() {
			nearest = nearestOf(w.found.items)
		}
	}
	return back
}

func nearestOf(visits []visit) visit {
	nearest := visits[0]
	for _, v := range visits[1:] {
		if v.before(nearest) {
			nearest = v
		}
	}
	return nearest
}

// linkBack adds links to a node on a level, and chooses among them if there are too
// many.
func (g *Graph) linkBack(wanted []backlink) {
	node, level := wanted[0].node, wanted[0].level
	block := g.block(node, level)
	var candidates []visit
	for _, other := range g.links(node, level) {
		candidates = append(candidates, visit{node: other})
	}
	for _, b := range wanted {
		// Two new nodes may have chosen each other.
		if !slices.Contains(g.links(node, level), b.to.node) {
			candidates = append(candidates, b.to)
		}
	}
	if len(candidates) > len(block)-1 {
		for i := range block[0] {
			candidates[i].distance = g.between(node, candidates[i].node)
		}
		candidates = g.choose(candidates, len(block)-1)
	}
	g.link(node, level, candidates)
}

// each calls work(0) … work(count−1) on all threads. No two calls may write to the same
// memory.
func (g *Graph) each(count int, work func(w *walk, i int)) {
	walks := make([]*walk, min(count, parallel.Threads()))
	for i := range walks {
		walks[i] = g.borrow()
		defer g.walks.Put(walks[i])
	}
	parallel.ForWorkers(len(walks), count, func(worker, i int) { work(walks[worker], i) })
}

// choose sorts the candidates and selects at most the given number of them for the links
// of the node from which their distances are measured. It is the paper's algorithm 4: a
// candidate that is closer to a selected one than to the node is skipped, since it can be
// reached through that one, so that links lead in all directions and out of clusters.
// Remaining links go to the nearest of the skipped candidates.
func (g *Graph) choose(candidates []visit, most int) []visit {
	slices.SortFunc(candidates, func(a, b visit) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.node, b.node))
	})
	if len(candidates) <= most {
		return candidates
	}
	chosen := make([]visit, 0, most)
	var passed []visit
	for _, candidate := range candidates {
		if len(chosen) == most {
			break
		}
		reached := slices.ContainsFunc(chosen, func(c visit) bool {
			return g.between(c.node, candidate.node) < candidate.distance
		})
		if reached {
			passed = append(passed, candidate)
		} else {
			chosen = append(chosen, candidate)
		}
	}
	return append(chosen, passed[:min(len(passed), most-len(chosen))]...)
}
