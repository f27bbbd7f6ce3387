package objectives

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Objective is what training asks of distances. It is plain data, and one of
// PairObjective, TripletObjective and BatchObjective, which say what it is
// asked about. Their costs are scalars.
type Objective interface {
	// Name is one of Names.
	Name() string
	// Check refuses a head whose distances the objective can make no sense of,
	// and settings out of range; the error gives the reason.
	Check(head heads.Head) error
}

// PairObjective judges pairs.
type PairObjective interface {
	Objective
	// PairCost is the cost of distances (batch) and labels different (batch),
	// which are 1 where the classes of a pair differ and 0 where they are the
	// same.
	PairCost(b *graph.Builder, distance, different *graph.Node) *graph.Node
}

// TripletObjective judges triplets of an anchor, a positive of its class and a
// negative of another.
type TripletObjective interface {
	Objective
	// TripletCost is the cost of the distances from anchor to positive (batch)
	// and from anchor to negative (batch).
	TripletCost(b *graph.Builder, positive, negative *graph.Node) *graph.Node
}

// BatchObjective judges what it finds in one labelled batch.
type BatchObjective interface {
	Objective
	// BatchCost is the cost of all distances (batch, batch) and the classes,
	// labels (batch): whole numbers below 2²⁴, which float32 tells apart. A
	// batch in which there is nothing to judge costs 0, with gradient zero. The
	// diagonal of the distances is not looked at.
	BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node
}

// propertiesOf are those of the head, and unknown ones of nil.
func propertiesOf(head heads.Head) heads.Properties {
	if head == nil {
		return heads.Properties{}
	}
	return head.Properties()
}

// checkMargin refuses margins that no distance of the head can make sense of.
func checkMargin(o Objective, margin float64, head heads.Head) error {
	if err := checkPositive(o, margin); err != nil {
		return err
	}
	if most := propertiesOf(head).Max; most > 0 && margin > most {
		return errors.Errorf("%s with %s: found margin %v, but these distances lie in [0, %v]", o.Name(), head.Name(), margin, most)
	}
	return nil
}

// checkPositive refuses margins that are none.
func checkPositive(o Objective, margin float64) error {
	if !(margin > 0) || math.IsInf(margin, 0) {
		return errors.Errorf("%s: found margin %v, expected a positive number", o.Name(), margin)
	}
	return nil
}

// checkSign refuses the head whose values may be negative.
func checkSign(o Objective, head heads.Head) error {
	if propertiesOf(head).Signed {
		return errors.Errorf("%s with %s: its values may be negative and so are no distances: use weighted-l1", o.Name(), head.Name())
	}
	return nil
}
