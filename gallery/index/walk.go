package index

// visit is a node that a walk came by, and how far from the query the filter
// finds it.
type visit struct {
	distance float32
	node     int32
}

// before orders visits; among equals the lower node comes first, so that nothing
// depends on chance.
func (v visit) before(other visit) bool {
	return v.distance < other.distance || v.distance == other.distance && v.node < other.node
}

// walk is what one search needs to remember, used again by the next.
type walk struct {
	frontier queue // nodes to go on from, the nearest first
	found    queue // the nearest so far, the farthest first
	marks    []uint32
	mark     uint32 // what marks has for the nodes that this walk came by
}

// borrow is a walk that nobody uses; give it back to walks.
func (g *Graph) borrow() *walk {
	if w, ok := g.walks.Get().(*walk); ok && len(w.marks) == g.nodes {
		return w
	}
	return &walk{marks: make([]uint32, g.nodes), found: queue{farthest: true}}
}

// begin forgets the last walk.
func (w *walk) begin() {
	w.frontier.items, w.found.items = w.frontier.items[:0], w.found.items[:0]
	if w.mark++; w.mark == 0 { // after 2³² walks
		clear(w.marks)
		w.mark = 1
	}
}

// first says whether the walk comes by the node for the first time.
func (w *walk) first(node int32) bool {
	if w.marks[node] == w.mark {
		return false
	}
	w.marks[node] = w.mark
	return true
}

// at is a node as seen from a query, which is as the filter compares it.
func (g *Graph) at(query []float32, node int32) visit {
	return visit{float32(g.vectors.filter.measure(query, g.vectors.compared(int(node)))), node}
}

// descend goes from the entry down to the level, always to the nearest link.
func (g *Graph) descend(w *walk, query []float32, level int) visit {
	nearest := g.at(query, g.entry)
	for l := g.top(); l > level; l-- {
		nearest = g.closer(query, nearest, l)
	}
	return nearest
}

// closer goes to the nearest link for as long as one is nearer.
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

// around finds the nodes nearest to the query on a level, up to breadth of them,
// from one of them on; they are in w.found. It is algorithm 2 of the paper: it
// ends where the nearest node to go on from is farther than all that were found.
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
