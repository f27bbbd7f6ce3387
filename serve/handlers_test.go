package serve

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
)

// learned returns the distance of a head with the given trainable weights v, if it has
// any; the weighted head uses softplus(v).
func learned(t *testing.T, head heads.Head, v ...float64) heads.Distance {
	t.Helper()
	weights := graph.NewWeights(graph.Float32, 1)
	if err := weights.Add("head.weight", graph.Kernel, []int{len(v)}, v); err != nil {
		t.Fatal(err)
	}
	distance, err := head.Distance(weights)
	if err != nil {
		t.Fatal(err)
	}
	return distance
}

// Contributions agree with values computed by hand.
func TestExplanations(t *testing.T) {
	near := cmpopts.EquateApprox(0, 1e-6)
	x, y := []float32{3, 0, 4}, []float32{0, 1, 0}
	log2 := math.Log(2) // softplus(0)
	for name, c := range map[string]struct {
		distance heads.Distance
		want     explanation
	}{
		"koch": {learned(t, heads.WeightedL1{Signed: true}, 2, -4, 0.5), explanation{
			Formula: "wⱼ|xⱼ − yⱼ|", AddsUpTo: "distance", Total: 4, Deciding: []share{{0, 6, 1.5}, {1, -4, -1}, {2, 2, 0.5}}}},
		"weighted-l1": {learned(t, heads.WeightedL1{}, 0, 0, 0), explanation{
			Formula: "wⱼ|xⱼ − yⱼ|", AddsUpTo: "distance", Total: 8 * log2, Deciding: []share{{2, 4 * log2, 0.5}, {0, 3 * log2, 0.375}, {1, log2, 0.125}}}},
		"l1": {learned(t, heads.L1{}, 0), explanation{
			Formula: "|xⱼ − yⱼ|", AddsUpTo: "distance", Total: 8, Deciding: []share{{2, 4, 0.5}, {0, 3, 0.375}, {1, 1, 0.125}}}},
		"l2": {learned(t, heads.L2{}, 0), explanation{
			Formula: "(xⱼ − yⱼ)²", AddsUpTo: "squared distance", Total: 26, Deciding: []share{{2, 16, 16.0 / 26}, {0, 9, 9.0 / 26}, {1, 1, 1.0 / 26}}}},
		"squared-l2": {learned(t, heads.SquaredL2{}, 0), explanation{
			Formula: "(xⱼ − yⱼ)²", AddsUpTo: "distance", Total: 26, Deciding: []share{{2, 16, 16.0 / 26}, {0, 9, 9.0 / 26}, {1, 1, 1.0 / 26}}}},
		"cosine": {learned(t, heads.Cosine{}, 0), explanation{
			Formula: "1/D − xⱼyⱼ/(‖x‖‖y‖)", AddsUpTo: "distance", Total: 1, Deciding: []share{{0, 1.0 / 3, 1.0 / 3}, {1, 1.0 / 3, 1.0 / 3}, {2, 1.0 / 3, 1.0 / 3}}}},
	} {
		c.want.Dimensions = 3
		if diff := cmp.Diff(&c.want, contributionsTo(c.distance, x, y), near); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	own, err := heads.FromFunc("own", func(x, y []float32) float64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	if e := contributionsTo(own, x, y); e != nil {
		t.Errorf("a user-defined distance: found %+v, want none", e)
	}
}

// The listed dimensions and the rest add up to the distance or its square, and none of the
// rest is larger than a listed one.
func TestExplanationsAddUp(t *testing.T) {
	draw := random.New(1, "embeddings")
	vector := func() []float32 {
		v := make([]float32, 50)
		for j := range v {
			v[j] = float32(draw.NormFloat64())
		}
		return v
	}
	factors := make([]float64, 50)
	for j := range factors {
		factors[j] = draw.NormFloat64()
	}
	for _, head := range []heads.Head{heads.L1{}, heads.L2{}, heads.SquaredL2{}, heads.Cosine{}, heads.WeightedL1{}, heads.WeightedL1{Signed: true}} {
		distance := learned(t, head, factors...)
		x, y := vector(), vector()
		want := distance.Between(x, y)
		if head == (heads.L2{}) {
			want *= want
		}
		e := contributionsTo(distance, x, y)
		sum := e.Rest
		for i, s := range e.Deciding {
			sum += s.Contribution
			if i > 0 && math.Abs(s.Contribution) > math.Abs(e.Deciding[i-1].Contribution) {
				t.Errorf("%s: dimension %d comes too late", head.Name(), s.Dimension)
			}
		}
		if len(e.Deciding) != 10 || math.Abs(sum-want) > 1e-5 || math.Abs(e.Total-want) > 1e-5 {
			t.Errorf("%s: found %d dimensions, with the rest %v, in all %v, want 10 and %v", head.Name(), len(e.Deciding), sum, e.Total, want)
		}
	}
}

// Equal images and zero vectors cause no division by zero.
func TestExplanationsOfZero(t *testing.T) {
	zero := make([]float32, 2)
	if e := contributionsTo(learned(t, heads.L1{}, 0), zero, zero); e.Total != 0 || e.Deciding[0].Share != 0 {
		t.Errorf("equal images: found %+v", e)
	}
	if e := contributionsTo(learned(t, heads.Cosine{}, 0), zero, []float32{1, 2}); e.Total != 1 || e.Deciding[0].Contribution != 0.5 {
		t.Errorf("cosine with the zero vector: found %+v, want 1 in equal parts", e)
	}
}
