package index

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/pkg/errors"
)

// format is the version of the format that WriteTo writes.
const format = 1

// WriteTo writes the graph, without the vectors: the format, the numbers of nodes
// and of links, the entry; each node's level; and, node by node and level by
// level from 0, the count of links and the links. All but the levels, bytes, are
// little-endian 32-bit integers.
func (g *Graph) WriteTo(w io.Writer) (int64, error) {
	if !g.made() || w == nil {
		return 0, errors.Wrap(errNoGraph, "write index")
	}
	counted := &counter{w: w}
	b := bufio.NewWriter(counted)
	words := func(values ...int32) {
		// An error of a buffered writer stays; Flush returns it.
		_ = binary.Write(b, binary.LittleEndian, values)
	}
	words(format, int32(g.nodes), links, g.entry)
	_, _ = b.Write(g.levels)
	for node := range int32(g.nodes) {
		for level := range int(g.levels[node]) + 1 {
			to := g.links(node, level)
			words(int32(len(to)))
			words(to...)
		}
	}
	err := b.Flush()
	return counted.n, errors.Wrap(err, "write index")
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Read reads a graph that WriteTo wrote. numbers has for each of its nodes the current
// row of the vectors, or -1 if it was removed: the others must be the first rows, in the
// order of the nodes. A graph that Build cannot produce is an error.
func Read(r io.Reader, v *Vectors, numbers []int32) (*Graph, error) {
	if r == nil || !v.made() {
		return nil, errors.Wrap(errNoVectors, "read index")
	}
	b := bufio.NewReader(r)
	g, err := readNodes(b, len(numbers))
	if err != nil {
		return nil, errors.Wrap(err, "read index")
	}
	if err := g.readLinks(b); err != nil {
		return nil, errors.Wrap(err, "read index")
	}
	if err := checkNumbers(numbers, v.rows); err != nil {
		return nil, errors.Wrap(err, "read index")
	}
	return g.renumbered(v, numbers), nil
}

func readNodes(r io.Reader, nodes int) (*Graph, error) {
	var header [4]int32
	if err := binary.Read(r, binary.LittleEndian, &header); err != nil {
		return nil, errors.Wrap(err, "header")
	}
	if header[0] != format || header[2] != links {
		return nil, errors.Errorf("found format %d with %d links, expected format %d with %d", header[0], header[2], format, links)
	}
	if int(header[1]) != nodes {
		return nil, errors.Errorf("found %d nodes, expected %d", header[1], nodes)
	}
	levels := make([]uint8, nodes)
	if _, err := io.ReadFull(r, levels); err != nil {
		return nil, errors.Wrap(err, "levels")
	}
	for node, level := range levels {
		if level > mostLevels {
			return nil, errors.Errorf("node %d has level %d, expected at most %d", node, level, mostLevels)
		}
	}
	g := newGraph(nil, levels)
	g.entry = header[3]
	if nodes > 0 && (g.entry < 0 || int(g.entry) >= nodes) {
		return nil, errors.Errorf("the entry is node %d of %d", g.entry, nodes)
	}
	return g, nil
}

func (g *Graph) readLinks(r io.Reader) error {
	for node := range int32(g.nodes) {
		for level := range int(g.levels[node]) + 1 {
			block := g.block(node, level)
			if err := binary.Read(r, binary.LittleEndian, block[:1]); err != nil {
				return errors.Wrapf(err, "node %d, level %d", node, level)
			}
			if block[0] < 0 || int(block[0]) >= len(block) {
				return errors.Errorf("node %d, level %d: found %d links, expected at most %d", node, level, block[0], len(block)-1)
			}
			to := g.links(node, level)
			if err := binary.Read(r, binary.LittleEndian, to); err != nil {
				return errors.Wrapf(err, "node %d, level %d", node, level)
			}
			for _, other := range to {
				if other < 0 || int(other) >= g.nodes || int(g.levels[other]) < level {
					return errors.Errorf("node %d, level %d: found a link to node %d, expected one of that level below %d", node, level, other, g.nodes)
				}
			}
		}
	}
	return nil
}

// Remove returns the graph without the rows that numbers marks as removed, after
// Vectors.Remove has moved the others. A node with a link to a removed node gets the
// links of that node instead, up to the maximum number of links (Singh et al. 2021,
// "FreshDiskANN", algorithm 4). The time is proportional to the number of nodes. Numbers
// that Renumber cannot have returned for these vectors are an error.
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

// checkNumbers checks that numbers are as Renumber returns them where so many rows are
// left: those that are not removed count up from 0.
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

// renumbered is Remove for a graph that was read and whose removed rows may never have
// been in the vectors.
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

// repair computes the links of a node again.
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

// mostSurvivors is the maximum number of candidates that are collected behind removed
// nodes.
const mostSurvivors = 4 * baseLinks

// survivors are the nodes that a node reaches on a level, directly or through removed
// nodes only, by their new numbers.
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
