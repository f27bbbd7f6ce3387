package heads

import (
	"reflect"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// OwnPrefix begins the Identifier of a head that is a Go type of the user's own.
const OwnPrefix = "own:"

// Builtin returns the head of this package that a head is, or points to. ok is
// false for every other type, whatever its Name says and even where it embeds a
// head of this package, and for nil. What depends on which distance a head is
// must ask Builtin, not Name.
func Builtin(head Head) (builtin Head, ok bool) {
	if pointer := reflect.ValueOf(head); pointer.Kind() == reflect.Pointer && !pointer.IsNil() {
		if value, isHead := pointer.Elem().Interface().(Head); isHead {
			head = value
		}
	}
	switch head.(type) {
	case Cosine, L1, L2, SquaredL2, WeightedL1:
		return head, true
	}
	return nil, false
}

// Identifier is the name of a head of this package, and "own:" and the name of
// any other, so that no two distances have one identifier because their authors
// chose one name. It is "none" for nil.
func Identifier(head Head) string {
	if head == nil {
		return "none"
	}
	if builtin, ok := Builtin(head); ok {
		return builtin.Name()
	}
	return OwnPrefix + head.Name()
}

// DistanceOf is head.Distance(weights) for a head of any origin: a head that is
// nil or panics, or a distance without a function, is an error. The distance of
// a head of the user's own is of no head of this package, even where its author
// made it of one.
func DistanceOf(head Head, weights *graph.Weights) (distance Distance, err error) {
	defer func() {
		if r := recover(); r != nil {
			distance, err = Distance{}, errors.Errorf("head of type %T: its method Distance panics: %v", head, r)
		}
	}()
	if head == nil {
		return Distance{}, errors.New("found no head, expected one of package heads or of your own")
	}
	if distance, err = head.Distance(weights); err != nil {
		return Distance{}, err
	}
	if distance.Between == nil {
		return Distance{}, errors.Errorf("head of type %T: its method Distance gives a distance without a function Between", head)
	}
	distance.builtin, _ = Builtin(head)
	return distance, nil
}
