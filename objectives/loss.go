package objectives

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// Loss is what training minimizes: a function of the embeddings of one batch and of their
// labels. A loss holds no state: one value may be used in many graphs. Its exported
// fields are its parameters; a checkpoint records them as JSON.
type Loss interface {
	// Name is one of Names for a loss of this package. It appears in messages and
	// records.
	Name() string
	// Kind is the kind of examples that the loss needs. It decides how many
	// embeddings and which labels a Batch has.
	Kind() datasets.Kind
	// Check returns an error, with the reason, for a head whose distances the loss
	// is not defined for and for parameters that are out of range.
	Check(head heads.Head) error
	// Cost adds the loss of one batch to the graph and returns it, a scalar: in this
	// package a mean, so that it does not grow with the batch size. It is 0, with
	// gradient zero, for a batch without anything to compare.
	Cost(b *graph.Builder, batch Batch) *graph.Node
}

// MarginLoss is a loss of triplets that may have a margin.
type MarginLoss interface {
	Loss
	// HingeMargin returns the margin: the loss of a triplet is zero if its negative is
	// farther from the anchor than its positive by the margin or more. If the loss has no
	// margin, as in its soft form, ok is false.
	HingeMargin() (margin float64, ok bool)
}

// Sum is the weighted sum of several losses of one kind:
//
//	objectives.Sum{{Weight: 1, Loss: a}, {Weight: 0.1, Loss: b}}
//
// The names of the trainable weights that Batch.Weight creates contain the number of the
// loss: "loss.1.NAME", "loss.2.NAME". The weight "head.bias" of the cross-entropies is
// shared by all of them.
type Sum []Weighted

// Weighted is a loss with its weight in a Sum.
type Weighted struct {
	Weight float64 // positive and finite
	Loss   Loss
}

// Name lists the losses with their weights, as in "1 n-pair + 0.1 nca".
func (s Sum) Name() string {
	var terms []string
	for _, term := range s {
		terms = append(terms, fmt.Sprintf("%v %s", term.Weight, term.name()))
	}
	if len(terms) == 0 {
		return "empty sum"
	}
	return strings.Join(terms, " + ")
}

// Kind is the kind of the first loss, KoLeo aside, which takes examples of any kind.
func (s Sum) Kind() datasets.Kind {
	if len(s) == 0 || s[0].Loss == nil {
		return datasets.Pairs
	}
	return s[s.first()].Loss.Kind()
}

// first is the first loss that has a kind of its own, or 0.
func (s Sum) first() int {
	return max(0, slices.IndexFunc(s, func(term Weighted) bool { return term.Loss != nil && !takesAnyKind(term.Loss) }))
}

// Check requires at least one loss, one kind and positive weights, and checks
// each loss.
func (s Sum) Check(head heads.Head) error {
	if len(s) == 0 {
		return errors.New("sum: found no loss, expected at least one")
	}
	for i, term := range s {
		switch {
		case term.Loss == nil:
			return errors.Errorf("sum: loss %d is nil, expected a loss", i+1)
		case !(term.Weight > 0) || math.IsInf(term.Weight, 0):
			return errors.Errorf("sum: found weight %v of loss %d (%s), expected a positive number", term.Weight, i+1, term.Loss.Name())
		case term.Loss.Kind() != s.Kind() && !takesAnyKind(term.Loss):
			first := s.first()
			return errors.Errorf("sum: loss %d (%s) needs %v, but loss %d (%s) needs %v: a sum has losses of one kind",
				i+1, term.Loss.Name(), term.Loss.Kind(), first+1, s[first].Loss.Name(), s.Kind())
		}
		if _, ok := term.Loss.(remembering); ok { // a trainer has one memory
			return errors.Errorf("sum: loss %d is a CrossBatchMemory, expected one memory around the sum", i+1)
		}
		if err := term.Loss.Check(head); err != nil {
			return errors.WithMessagef(err, "sum: loss %d", i+1)
		}
	}
	return nil
}

// Cost implements Loss.
func (s Sum) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, s, batch)
	var total *graph.Node
	for i, term := range s {
		own := batch
		own.scope += strconv.Itoa(i+1) + "."
		cost := term.Loss.Cost(b, own)
		if cost == nil || !cost.IsScalar() {
			b.Fail("sum: the Cost of loss %d (%s) is not a scalar", i+1, term.Loss.Name())
		}
		cost = expression{b}.scale(term.Weight, cost)
		if total == nil {
			total = cost
		} else {
			total = b.Node(gorgonia.Add(total, cost))
		}
	}
	return total
}

// MarshalJSON also writes the name of the loss, since losses of two types may
// have the same fields.
func (w Weighted) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Weight float64
		Name   string
		Loss   Loss
	}{w.Weight, w.name(), w.Loss})
}

func (w Weighted) name() string {
	if w.Loss == nil {
		return "nil"
	}
	return w.Loss.Name()
}

// IsOwn reports whether a loss is a user-defined type, and for a Sum whether one of its
// losses is. The name and the fields of a loss of this package determine what it
// computes; those of a user-defined loss need not, even if it embeds a loss of this
// package. A CrossBatchMemory is user-defined if its loss is. It is false for nil.
func IsOwn(loss Loss) bool {
	if loss == nil {
		return false
	}
	value := reflect.Indirect(reflect.ValueOf(loss))
	if !value.IsValid() || value.Type().PkgPath() != reflect.TypeFor[Sum]().PkgPath() {
		return true
	}
	switch loss := value.Interface().(type) {
	case Sum:
		return slices.ContainsFunc(loss, func(term Weighted) bool { return IsOwn(term.Loss) })
	case CrossBatchMemory:
		return IsOwn(loss.Loss)
	case Projection:
		return IsOwn(loss.Loss)
	}
	return false
}

// begin checks that the batch is one of the loss's kind and the loss one for its
// head, and describes the loss in the graph.
func begin(b *graph.Builder, loss Loss, batch Batch) expression {
	e := expression{b}
	e.must(errors.WithMessage(batch.check(loss.Kind()), loss.Name()))
	e.must(loss.Check(batch.Head))
	e.Describe(loss.Name(), loss)
	return e
}
