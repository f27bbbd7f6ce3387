package heads

import (
	"reflect"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/wording"
)

// Head is the distance between two embeddings as part of a graph that Gorgonia
// differentiates. A head holds no state: one value may be used in many graphs, and a head
// with trainable weights uses the same weights in each of them.
type Head interface {
	// Name is one of Names for a head of this package. A user-defined head may have any
	// name: Identifier distinguishes them.
	Name() string

	// Paired adds to the graph the distances of aligned rows, of row i of x from
	// row i of y: (rows, features) and (rows, features) to (rows).
	Paired(b *graph.Builder, x, y *graph.Node) *graph.Node

	// Pairwise adds to the graph the distances of every row of x from every row
	// of y: (rows, features) and (references, features) to (rows, references). x
	// and y may be the same node: all distances within one batch, where equal rows
	// are at distance exactly zero. The heads of this package need memory for
	// rows·references + (rows + references)·features elements.
	Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node

	// Properties returns what a loss may assume about the distance.
	Properties() Properties

	// Distance returns the head on plain slices, with its trained weights. It is an error
	// if the weights lack those of the head.
	Distance(weights *graph.Weights) (Distance, error)
}

// Properties describe the values of a head. The zero value describes a head whose values
// are at least zero and have no other known properties.
type Properties struct {
	Metric  bool    // the triangle inequality holds
	Signed  bool    // values may be negative: they are evidence, not distances
	Squared bool    // the values are squares of a metric, as those of SquaredL2
	Sums    bool    // the values are sums of absolute differences, which grow with the number of features, as those of L1
	Means   bool    // the distance from the mean of a set S is Σₛ d(x,s)/|S| − Σₛₜ d(s,t)/(2|S|²), as for SquaredL2 and Cosine
	Max     float64 // the largest value; 0 if there is none. It is 2 for Cosine
}

// builtin are the heads of this package.
var builtin = []Head{Cosine{}, L1{}, L2{}, WeightedL1{Signed: true}, SquaredL2{}, WeightedL1{}}

// Names are the names of the heads that Named returns.
var Names = names()

func names() []string {
	var names []string
	for _, head := range builtin {
		names = append(names, head.Name())
	}
	return names
}

// Named returns the head of this package with the given name: Named(h.Name()) is h.
func Named(name string) (Head, error) {
	for _, head := range builtin {
		if head.Name() == name {
			return head, nil
		}
	}
	return nil, wording.Unknown("head", name, Names)
}

// OwnPrefix begins the Identifier of a head that is a user-defined Go type.
const OwnPrefix = "own:"

// Identifier returns the identifier of a head in files, galleries and checkpoints: the
// name of a head of this package, or "own:" and the name of a user-defined head, which
// cannot be confused with a head of this package that has the same name. It is "none" for
// nil.
func Identifier(head Head) string {
	switch {
	case head == nil:
		return "none"
	case IsOwn(head):
		return OwnPrefix + head.Name()
	}
	return head.Name()
}

// IsOwn reports whether a head is a user-defined Go type, whatever its name, even if it
// embeds a head of this package. It is false for a pointer to a head of this package and
// for nil.
func IsOwn(head Head) bool {
	if head == nil {
		return false
	}
	if pointer := reflect.ValueOf(head); pointer.Kind() == reflect.Pointer && !pointer.IsNil() {
		if value, isHead := pointer.Elem().Interface().(Head); isHead {
			head = value
		}
	}
	return !slices.Contains(builtin, head)
}
