package datasets

import (
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Triplet is three images of a dataset by their indices: the positive has the
// anchor's class and the negative another.
type Triplet struct{ Anchor, Positive, Negative int }

// TripletSampler draws n triplets, a function of r and n alone. Those of this package
// draw none where r is nil or n is negative.
type TripletSampler interface {
	Triplets(r *rand.Rand, n int) []Triplet
}

// RandomTriplets returns a sampler that draws the anchor's class and the
// negative's uniformly, whatever their sizes, then their images; anchor and
// positive are never the same image. A class of one image yields negatives only.
//
// It is ErrTooFew without two classes, or when no class has two images.
func RandomTriplets(d *Dataset) (TripletSampler, error) {
	classes, err := newClassDraw(d)
	if err != nil {
		return nil, errors.Wrap(err, "random triplets")
	}
	return randomTriplets{classes}, nil
}

type randomTriplets struct{ *classDraw }

func (t randomTriplets) Triplets(r *rand.Rand, n int) []Triplet {
	if r == nil || n < 0 {
		return nil
	}
	triplets := make([]Triplet, n)
	for i := range triplets {
		class, anchor, positive := t.same(r)
		triplets[i] = Triplet{Anchor: anchor, Positive: positive, Negative: t.outside(r, class)}
	}
	return triplets
}

// ListedTriplets returns a sampler of given triplets. n of them are drawn
// without replacement; when there are fewer, all occur equally often, give or
// take one. No list yields no triplets.
func ListedTriplets(triplets []Triplet) TripletSampler { return listedTriplets(triplets) }

type listedTriplets []Triplet

func (l listedTriplets) Triplets(r *rand.Rand, n int) []Triplet { return drawListed(r, l, n) }
