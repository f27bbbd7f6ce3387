package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// expression writes objectives as Gorgonia expressions. Its methods take and
// give nodes; operands of two-place methods have equal shapes.
type expression struct{ *graph.Builder }

func (e expression) add(x, y *graph.Node) *graph.Node { return e.Node(gorgonia.Add(x, y)) }
func (e expression) sub(x, y *graph.Node) *graph.Node { return e.Node(gorgonia.Sub(x, y)) }

// product is element by element.
func (e expression) product(x, y *graph.Node) *graph.Node {
	return e.Node(gorgonia.HadamardProd(x, y))
}

func (e expression) scale(factor float64, x *graph.Node) *graph.Node {
	return e.Node(gorgonia.HadamardProd(e.Constant(factor), x))
}

// less is value − x.
func (e expression) less(value float64, x *graph.Node) *graph.Node {
	return e.Node(gorgonia.Sub(e.Constant(value), x))
}

func (e expression) plus(x *graph.Node, value float64) *graph.Node {
	return e.Node(gorgonia.Add(x, e.Constant(value)))
}

func (e expression) square(x *graph.Node) *graph.Node { return e.Node(gorgonia.Square(x)) }

// sigmoid is 1/(1 + exp(−x)).
func (e expression) sigmoid(x *graph.Node) *graph.Node { return e.Builder.Sigmoid(x) }

// hinge is max(0, x).
func (e expression) hinge(x *graph.Node) *graph.Node { return e.Node(gorgonia.Rectify(x)) }

// softplus is log(1 + exp(x)), without overflow.
func (e expression) softplus(x *graph.Node) *graph.Node { return e.Builder.Softplus(x) }

// scalar is the one element of x, of shape (1).
func (e expression) scalar(x *graph.Node) *graph.Node { return e.Node(gorgonia.Sum(x)) }

// row demands that the nodes have one shape (batch).
func (e expression) row(o Objective, nodes ...*graph.Node) {
	e.Describe(o.Name(), o)
	for _, node := range nodes {
		if node.Dims() != 1 || !node.Shape().Eq(nodes[0].Shape()) {
			e.Fail("%s: found shapes %v and %v, expected (batch) twice", o.Name(), nodes[0].Shape(), node.Shape())
		}
	}
}

// batch demands distances (batch, batch) and labels (batch).
func (e expression) batch(o Objective, distances, labels *graph.Node) {
	e.Describe(o.Name(), o)
	d, l := distances.Shape(), labels.Shape()
	if d.Dims() != 2 || d[0] != d[1] || !l.Eq(tensor.Shape{d[0]}) {
		e.Fail("%s: found distances of shape %v and labels of shape %v, expected (batch, batch) and (batch)", o.Name(), d, l)
	}
}

// must ends the building of the graph where there is an error.
func (e expression) must(err error) {
	if err != nil {
		e.Fail("%v", err)
	}
}
