package heads

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/wording"
)

// Head compares embeddings. A head is plain data: one value serves many graphs,
// and those that learn bind the same weights in each of them.
type Head interface {
	// Name is one of Names for a head of this package; a head of the user's own
	// has a name for people. It identifies no head: see Builtin and Identifier.
	Name() string
	// Between adds to the graph the distances of aligned rows: (batch, features)
	// and (batch, features) to (batch).
	Between(b *graph.Builder, x, y *graph.Node) *graph.Node
	// Matrix adds to the graph the distances of all rows from one another:
	// (batch, features) to (batch, batch). It needs memory for
	// batch² + batch·features elements.
	Matrix(b *graph.Builder, x *graph.Node) *graph.Node
	// Distance is the head on plain slices, with what it has learned. It is an
	// error when the weights lack the head's own.
	Distance(weights *graph.Weights) (Distance, error)
}

// Names are the heads that Named knows.
var Names = []string{"cosine", "l1", "l2", "signed-weighted-l1", "squared-l2", "weighted-l1"}

// Named finds a head by its name: Named(h.Name()) is h.
func Named(name string) (Head, error) {
	switch name {
	case "cosine":
		return Cosine{}, nil
	case "l1":
		return L1{}, nil
	case "l2":
		return L2{}, nil
	case "signed-weighted-l1":
		return WeightedL1{Signed: true}, nil
	case "squared-l2":
		return SquaredL2{}, nil
	case "weighted-l1":
		return WeightedL1{}, nil
	}
	return nil, wording.Unknown("head", name, Names)
}
