package datasets

import (
	"math/rand/v2"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// Pair is two images of a dataset by their indices, and whether their classes
// differ.
type Pair = evaluate.Pair

// PairSampler draws n pairs, a function of r and n alone. Those of this package draw
// none where r is nil or n is negative.
type PairSampler interface {
	Pairs(r *rand.Rand, n int) []Pair
}

// BalancedPairs returns a sampler of pairs that alternate between one class and
// two, the first of one: of n pairs ⌊n/2⌋ differ. Classes are drawn uniformly,
// whatever their sizes, then their images; the two images of a pair are never
// the same. A class of one image occurs in different pairs only.
//
// It is ErrTooFew without two classes, or when no class has two images.
func BalancedPairs(d *Dataset) (PairSampler, error) {
	classes, err := newClassDraw(d)
	if err != nil {
		return nil, errors.Wrap(err, "balanced pairs")
	}
	return balancedPairs{classes}, nil
}

type balancedPairs struct{ *classDraw }

func (b balancedPairs) Pairs(r *rand.Rand, n int) []Pair {
	if r == nil || n < 0 {
		return nil
	}
	pairs := make([]Pair, n)
	for i := range pairs {
		if i%2 == 0 {
			_, left, right := b.same(r)
			pairs[i] = Pair{Left: left, Right: right}
		} else {
			class := r.IntN(len(b.classes))
			pairs[i] = Pair{Left: b.image(r, class), Right: b.outside(r, class), Different: true}
		}
	}
	return pairs
}

// ListedPairs returns a sampler of given pairs. n of them are drawn without
// replacement; when there are fewer, all occur equally often, give or take one.
// No list yields no pairs.
func ListedPairs(pairs []Pair) PairSampler { return listedPairs(pairs) }

type listedPairs []Pair

func (l listedPairs) Pairs(r *rand.Rand, n int) []Pair { return drawListed(r, l, n) }

func drawListed[T any](r *rand.Rand, list []T, n int) []T {
	if len(list) == 0 || r == nil || n < 0 {
		return nil
	}
	drawn := make([]T, 0, n)
	for len(drawn) < n {
		drawn = append(drawn, pick(list, choose(r, len(list), min(n-len(drawn), len(list))))...)
	}
	return drawn
}
