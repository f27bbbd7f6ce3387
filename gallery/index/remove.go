package index

import "github.com/pkg/errors"

// Remove is the graph without the rows that numbers leaves out, after
// Vectors.Remove has moved the others to where numbers says. A node that led to
// a removed one leads to what that one led to instead, as far as there is room
// (Singh et al. 2021, "FreshDiskANN", algorithm 4). The time is proportional to
// the number of nodes. Numbers that Renumber cannot have given for these vectors are an
// error.
func (g *Graph) Remove(numbers []int32) (*Graph, error) {
	if !g.made() {
		return nil, errNoGraph
	}
	if len(numbers) < g.nodes {
		return nil, errors.Errorf("remove: found numbers for %d rows, expected them for the %d that are indexed", len(numbers), g.nodes)
	}
	if err := checkNumbers(numbers[:g.nodes], g.vectors.rows); err != nil {
		return nil, errors.Wrap(err, "remove")
	}
	return g.renumbered(g.vectors, numbers[:g.nodes]), nil
}

// checkNumbers checks that numbers are such as Renumber gives, of rows of which so many
// are left: those that are not removed count up from 0.
func checkNumbers(numbers []int32, left int) error {
	next := 0
	for node, number := range numbers {
		if number < 0 {
			continue
		}
		if int(number) != next || next >= left {
			return errors.Errorf("node %d is row %d of %d, expected %d", node, number, left, next)
		}
		next++
	}
	return nil
}

// renumbered is Remove for a graph whose links are read and whose removed rows
// the vectors may never have had.
func (g *Graph) renumbered(v *Vectors, numbers []int32) *Graph {
	var levels []uint8
	for node, number := range numbers {
		if number >= 0 {
			levels = append(levels, g.levels[node])
		}
	}
	smaller := newGraph(v, levels)
	for node, number := range numbers {
		if number < 0 {
			continue
		}
		for level := range int(levels[number]) + 1 {
			smaller.repair(g, numbers, int32(node), level)
		}
		if smaller.entry < 0 || int(levels[number]) > smaller.top() {
			smaller.entry = number
		}
	}
	return smaller
}

// repair gives a node its links again.
func (g *Graph) repair(old *Graph, numbers []int32, node int32, level int) {
	block := g.block(numbers[node], level)
	before := old.links(node, level)
	whole := true
	for i, to := range before {
		block[1+i] = numbers[to]
		whole = whole && numbers[to] >= 0
	}
	if whole {
		block[0] = int32(len(before))
		return
	}
	candidates := old.survivors(numbers, node, level)
	for i, to := range candidates {
		candidates[i].distance = g.between(numbers[node], to.node)
	}
	g.link(numbers[node], level, g.choose(candidates, len(block)-1))
}

// mostSurvivors is how many nodes behind removed ones are looked for: enough to
// choose from.
const mostSurvivors = 4 * baseLinks

// survivors are the nodes that a node leads to on a level, straight or over
// removed ones only, by their new numbers.
func (g *Graph) survivors(numbers []int32, node int32, level int) (found []visit) {
	seen := map[int32]bool{node: true}
	over := []int32{node} // removed nodes to go on from, and at first the node itself
	for len(over) > 0 && len(found) < mostSurvivors {
		from := over[0]
		over = over[1:]
		for _, to := range g.links(from, level) {
			switch {
			case seen[to]:
			case numbers[to] < 0:
				over = append(over, to)
			default:
				found = append(found, visit{node: numbers[to]})
			}
			seen[to] = true
		}
	}
	return found
}
