package index

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/pkg/errors"
)

// format is the version of what WriteTo writes.
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

// Read reads a graph that WriteTo wrote. Numbers says which row of the vectors
// each of its nodes is now, -1 for one that is gone: the others must be the first
// rows, in the order of the nodes. Anything that Build cannot have made is an
// error.
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
