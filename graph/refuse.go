package graph

import (
	"fmt"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// distinct refuses two nodes of one hash: Gorgonia's compiler goes by the hash
// alone and would compute only one of them.
func distinct(g *gorgonia.ExprGraph) error {
	seen := map[uint32]*Node{}
	for _, node := range g.AllNodes() {
		hash := node.Hashcode()
		if other := seen[hash]; other != nil {
			return errors.Errorf("nodes %v and %v have the same hash: Gorgonia would take them for one; name or order them differently", other, node)
		}
		seen[hash] = node
		if extent := slicedExtent(g, node); extent > 256 {
			return errors.Errorf("%v is a slice of an axis of %d elements, expected at most 256: of a longer one Gorgonia may take two slices for one; use a Function", node, extent)
		}
	}
	return nil
}

// slicedExtent is the extent of the axis that gorgonia.Slice slices, 0 for
// other nodes. The hash of a slice holds its bounds cut to one byte, so
// x[0:256] and x[256:512] have the same; and as their operations and operands
// are equal, the graph keeps only one of them and no trace of the other.
func slicedExtent(g *gorgonia.ExprGraph, node *Node) int {
	if fmt.Sprintf("%T", node.Op()) != "*gorgonia.sliceOp" {
		return 0
	}
	operand := g.From(node.ID())
	operand.Next()
	axis := strings.Count(node.Op().String(), ":, ") // as in T[:, :, 0:256:1...]
	return operand.Node().(*Node).Shape()[axis]
}
