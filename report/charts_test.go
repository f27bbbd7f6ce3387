package report

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
)

// verified returns same-class pairs at distances 0, 1, 2 and different-class pairs at 2, 3, 10.
func verified(threshold float64) *VerificationEvidence {
	v := &VerificationEvidence{Distances: []float64{0, 2, 1, 3, 2, 10}, Threshold: &threshold}
	for i := range v.Distances {
		v.Pairs = append(v.Pairs, datasets.Pair{Left: 2 * i, Right: 2*i + 1, Different: i%2 == 1})
	}
	return v
}

func TestMistakes(t *testing.T) {
	for threshold, want := range map[float64][2]float64{-1: {1, 0}, 1: {1. / 3, 0}, 2: {0, 1. / 3}, 3: {0, 2. / 3}, 99: {0, 1}} {
		refused, accepted := mistakes(verified(threshold))
		if diff := cmp.Diff(want, [2]float64{refused, accepted}, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("threshold %v (-want +found):\n%s", threshold, diff)
		}
	}
}

// Every pair is in one bin, the largest distance in the last.
func TestHistogram(t *testing.T) {
	v := verified(2)
	low, high := rangeOf(v.Distances)
	if low != 0 || high != 10 {
		t.Errorf("found a range of %v to %v, expected 0 to 10", low, high)
	}
	third := 100. / 3
	for different, want := range map[bool]map[int]float64{false: {0: third, 4: third, 8: third}, true: {8: third, 12: third, bins - 1: third}} {
		found := map[int]float64{}
		for i, share := range histogram(v, different, low, high) {
			if share != 0 {
				found[i] = share
			}
		}
		if diff := cmp.Diff(want, found, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("different = %v (-want +found):\n%s", different, diff)
		}
	}
	if low, high := rangeOf([]float64{3, 3}); !(low < 3 && 3 < high) {
		t.Errorf("of equal distances found %v to %v", low, high)
	}
}

// A thinned curve keeps its ends and stays close to the curve.
func TestThinned(t *testing.T) {
	chance := random.New(1, "distances")
	var distances []float64
	var pairs []evaluate.Pair
	for i := range 20_000 {
		distances = append(distances, chance.NormFloat64()+float64(i%2))
		pairs = append(pairs, evaluate.Pair{Left: 2 * i, Right: 2*i + 1, Different: i%2 == 1})
	}
	v, err := evaluate.NewVerification(distances, pairs)
	if err != nil {
		t.Fatal(err)
	}
	curve := v.ROC()
	points := thinned(curve)
	if last := len(points) - 1; points[0].X != 0 || points[0].Y != 0 || points[last].X != 100 || points[last].Y != 100 {
		t.Errorf("the curve goes from %v to %v", points[0], points[last])
	}
	if len(points) > 1000 {
		t.Errorf("%d points of %d are left", len(points), len(curve))
	}
	next := 0 // the last kept point at or before a point of the curve
	for _, at := range curve {
		x, y := 100*at.FalseAcceptRate, 100*at.TrueAcceptRate
		for next+1 < len(points) && points[next+1].X <= x && points[next+1].Y <= y {
			next++
		}
		if math.Abs(points[next].X-x) > 0.2 || math.Abs(points[next].Y-y) > 0.2 {
			t.Fatalf("the point %v, %v is far from %v", x, y, points[next])
		}
	}
}

func TestDistanceDigits(t *testing.T) {
	for d, want := range map[float64]string{0: "0.000", 0.5: "0.500", 12.3456: "12.346", -2: "-2.000", 0.01234: "0.0123", 1.5e-9: "1.5e-09", 123456: "1.235e+05"} {
		if found := distance(d); found != want {
			t.Errorf("%v: found %q, expected %q", d, found, want)
		}
	}
}
