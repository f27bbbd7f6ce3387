package serve

import (
	"cmp"
	"math"
	"slices"

	"github.com/likeness-go/likeness/heads"
)

// explanation says why a distance is what it is: what each dimension of the two
// embeddings adds to it. Null for a distance that is no sum of dimensions.
type explanation struct {
	Formula    string  `json:"formula"`    // of the contribution of dimension j
	AddsUpTo   string  `json:"adds_up_to"` // "distance" or "squared distance"
	Total      float64 `json:"total"`      // of all dimensions
	Dimensions int     `json:"dimensions"` // of an embedding
	Rest       float64 `json:"rest"`       // what those add that are not listed
	Deciding   []share `json:"deciding"`   // the largest, by magnitude, in descending order
}

// share is what one dimension adds. It is below zero where a dimension makes the
// images more alike: under cosine, and where a signed weight is negative.
type share struct {
	Dimension    int     `json:"dimension"` // from 0
	Contribution float64 `json:"contribution"`
	Share        float64 `json:"share"` // of the total; 0 where that is 0
}

// mostDeciding is how many dimensions are listed.
const mostDeciding = 10

// explain lists the dimensions that decide. Under l2 they are those of the squared
// distance, which is a sum where its root is none.
func explain(distance heads.Distance, x, y []float32) *explanation {
	e := &explanation{AddsUpTo: "distance", Dimensions: len(x)}
	var term func(j int, x, y float64) float64
	switch distance.Builtin().(type) {
	case heads.WeightedL1:
		e.Formula = "wⱼ|xⱼ − yⱼ|"
		term = func(j int, x, y float64) float64 { return float64(distance.Weights[j]) * math.Abs(x-y) }
	case heads.L1:
		e.Formula = "|xⱼ − yⱼ|"
		term = func(_ int, x, y float64) float64 { return math.Abs(x - y) }
	case heads.L2:
		e.Formula, e.AddsUpTo = "(xⱼ − yⱼ)²", "squared distance"
		term = func(_ int, x, y float64) float64 { return (x - y) * (x - y) }
	case heads.SquaredL2:
		e.Formula = "(xⱼ − yⱼ)²"
		term = func(_ int, x, y float64) float64 { return (x - y) * (x - y) }
	case heads.Cosine:
		e.Formula = "1/D − xⱼyⱼ/(‖x‖‖y‖)"
		lengths, each := length(x)*length(y), 1/float64(len(x))
		term = func(_ int, x, y float64) float64 {
			if lengths == 0 {
				return each // the head's cosine with the zero vector is 0
			}
			return each - x*y/lengths
		}
	default:
		return nil
	}
	for j := range x {
		contribution := term(j, float64(x[j]), float64(y[j]))
		e.Total += contribution
		e.Deciding = append(e.Deciding, share{Dimension: j, Contribution: contribution})
	}
	slices.SortStableFunc(e.Deciding, func(a, b share) int {
		return cmp.Compare(math.Abs(b.Contribution), math.Abs(a.Contribution))
	})
	for _, s := range e.Deciding[min(mostDeciding, len(x)):] {
		e.Rest += s.Contribution
	}
	e.Deciding = e.Deciding[:min(mostDeciding, len(x))]
	for i := range e.Deciding {
		if e.Total != 0 {
			e.Deciding[i].Share = e.Deciding[i].Contribution / e.Total
		}
	}
	return e
}

// length is the Euclidean one.
func length(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}
