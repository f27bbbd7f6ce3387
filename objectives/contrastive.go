package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Contrastive pulls pairs of one class together and pushes pairs of two
// classes apart until they are Margin away from each other:
//
//	L = (1 − Y)·½·D² + Y·½·max(0, Margin − D)²
//
// with Y = different (1 where the classes differ), D and Y of shape (batch),
// and the mean over the batch. Source: Hadsell, Chopra & LeCun 2006, equation
// 4, which adds over the pairs where this takes the mean.
//
// It is defined for distances that are not squared already.
type Contrastive struct {
	Margin float64 // above 0
}

// Name is "contrastive".
func (Contrastive) Name() string { return "contrastive" }

// Check implements Objective.
func (c Contrastive) Check(head heads.Head) error { return checkContrastive(c, c.Margin, head) }

// PairCost implements PairObjective.
func (c Contrastive) PairCost(b *graph.Builder, distance, different *graph.Node) *graph.Node {
	e := expression{b}
	e.must(checkPositive(c, c.Margin))
	e.row(c, distance, different)
	return e.mean(e.contrastive(c.Margin, distance, different))
}

// contrastive is L of each pair, in any shape.
func (e expression) contrastive(margin float64, distance, different *graph.Node) *graph.Node {
	pull := e.product(e.less(1, different), e.square(distance))
	push := e.product(different, e.square(e.hinge(e.less(margin, distance))))
	return e.scale(0.5, e.add(pull, push))
}

func checkContrastive(o Objective, margin float64, head heads.Head) error {
	if propertiesOf(head).Squared {
		return errors.Errorf("%s with %s: the equation squares the distance itself: use l2", o.Name(), head.Name())
	}
	if err := checkSign(o, head); err != nil {
		return err
	}
	return checkMargin(o, margin, head)
}
