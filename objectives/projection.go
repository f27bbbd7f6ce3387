package objectives

import (
	"encoding/json"
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Projection is a loss of projected embeddings. The projection is a network that is trained with
// the loss and left out of the saved model: linear layers of the given numbers of units, with
// batch normalization and ReLU after each but the last. What a loss without labels makes
// embeddings forget, such as colors that the augmentation changes, is then forgotten by the
// projection, and the embeddings before it are better for other tasks.
//
// Its weights are weights of the loss (see Batch.Weight), such as
// "loss.projection.linear1.weight", and all towers share them.
//
// Inputs: those of Loss, without references. Requirements: a head without weights, which Loss is
// defined for; a Loss without class vectors; not the cross-entropies, whose bias is that of the
// embeddings' distances. In training batch normalization needs at least 2 examples.
//
// Source: Chen et al. 2020, section 4.2, with two layers of 2048 and 128 units on ResNet-50;
// Zbontar et al. 2021 and Bardes et al. 2022 have three of 8192.
type Projection struct {
	Loss  Loss
	Units []int // of each layer, at least 1
}

// Name is that of the loss with the units, as in "simclr after a projection of 256, 128".
func (p Projection) Name() string {
	name := "nil"
	if p.Loss != nil {
		name = p.Loss.Name()
	}
	units := ""
	for i, n := range p.Units {
		if i > 0 {
			units += ", "
		}
		units += fmt.Sprint(n)
	}
	return name + " after a projection of " + units
}

// Kind is that of the loss.
func (p Projection) Kind() datasets.Kind {
	if p.Loss == nil {
		return datasets.Pairs
	}
	return p.Loss.Kind()
}

// maxUnits bounds the units of a layer of a projection.
const maxUnits = 1 << 16

// Check checks the units, the loss and the head.
func (p Projection) Check(head heads.Head) error {
	switch {
	case p.Loss == nil:
		return errors.New("projection: found no loss, expected one")
	case len(p.Units) == 0:
		return errors.Errorf("projection of %s: found no units, expected those of one or more layers, such as 256 and 128", p.Loss.Name())
	case hasClassVectors(p.Loss):
		return errors.Errorf("projection of %s: its class vectors are compared with embeddings: leave out the projection", p.Loss.Name())
	case takesSigned(p.Loss):
		return errors.Errorf("projection of %s: its bias is that of distances of embeddings: leave out the projection", p.Loss.Name())
	}
	if _, ok := p.Loss.(remembering); ok {
		return errors.New("projection of a CrossBatchMemory: embeddings of earlier batches are not projected: leave out one of the two")
	}
	for i, units := range p.Units {
		if units < 1 || units > maxUnits {
			return errors.Errorf("projection of %s: found %d units in layer %d, expected 1 to %d", p.Loss.Name(), units, i+1, maxUnits)
		}
	}
	switch head.(type) {
	case heads.WeightedL1, *heads.WeightedL1:
		return errors.Errorf("projection of %s with %s: the weights of this head are those of the features of embeddings: use cosine, l2, squared-l2 or l1", p.Loss.Name(), heads.Identifier(head))
	}
	return p.Loss.Check(head)
}

// hasClassVectors reports whether a loss, or one of a sum, has class vectors.
func hasClassVectors(loss Loss) bool {
	switch loss := loss.(type) {
	case ClassVectorLoss:
		return true
	case *Sum:
		return loss != nil && hasClassVectors(*loss)
	case Sum:
		for _, term := range loss {
			if hasClassVectors(term.Loss) {
				return true
			}
		}
	}
	return false
}

// Cost implements Loss.
func (p Projection) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := expression{b}
	e.must(p.Check(batch.Head))
	e.must(errors.WithMessage(batch.checkEmbeddings(), p.Name()))
	if batch.References != nil {
		b.Fail("%s: found references, which are not projected: leave them out", p.Name())
	}
	e.Describe("projection", p.Units)
	var blocks []graph.Block
	for i, units := range p.Units {
		if i > 0 {
			blocks = append(blocks, graph.BatchNorm{}, graph.Activate{Function: "relu"})
		}
		blocks = append(blocks, graph.Linear{Units: units})
	}
	projected := batch
	projected.Embeddings = nil
	for _, tower := range batch.Embeddings {
		projected.Embeddings = append(projected.Embeddings, b.Scope(WeightPrefix+batch.scope+"projection", func() *graph.Node { return b.Sequence(blocks, tower) }))
	}
	return p.Loss.Cost(b, projected)
}

// MarshalJSON also writes the name of the loss, since losses of two types may have the same
// fields.
func (p Projection) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Units []int
		Name  string
		Loss  Loss
	}{p.Units, Weighted{Loss: p.Loss}.name(), p.Loss})
}
