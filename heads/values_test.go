package heads_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// Distances worked by hand, in all three forms of each head.
func TestWorkedValues(t *testing.T) {
	c := batch{rows: 3, features: 2,
		x: []float64{3, 0 /**/, 1, 1 /**/, 0, 0},
		y: []float64{0, 4 /**/, 2, 2 /**/, 3, 4},
	}
	log3 := math.Log(3) // softplus(log 3) = log 4
	tests := map[string]struct {
		head    heads.Head
		weight  []float64
		between []float64
		matrix  []float64
	}{
		"l2": {heads.L2{}, nil, []float64{5, math.Sqrt2, 5},
			[]float64{0, math.Sqrt(5), 3 /**/, math.Sqrt(5), 0, math.Sqrt2 /**/, 3, math.Sqrt2, 0}},
		"squared l2": {heads.SquaredL2{}, nil, []float64{25, 2, 25},
			[]float64{0, 5, 9 /**/, 5, 0, 2 /**/, 9, 2, 0}},
		"l1": {heads.L1{}, nil, []float64{7, 2, 7},
			[]float64{0, 3, 3 /**/, 3, 0, 2 /**/, 3, 2, 0}},
		"weighted l1, at first the plain one": {heads.WeightedL1{}, nil, []float64{7, 2, 7},
			[]float64{0, 3, 3 /**/, 3, 0, 2 /**/, 3, 2, 0}},
		"weighted l1": {heads.WeightedL1{}, []float64{0, log3}, []float64{3*math.Ln2 + 8*math.Ln2, 3 * math.Ln2, 11 * math.Ln2},
			[]float64{0, 4 * math.Ln2, 3 * math.Ln2 /**/, 4 * math.Ln2, 0, 3 * math.Ln2 /**/, 3 * math.Ln2, 3 * math.Ln2, 0}},
		"signed": {heads.WeightedL1{Signed: true}, []float64{2, -1}, []float64{2, 1, 2},
			[]float64{0, 3, 6 /**/, 3, 0, 1 /**/, 6, 1, 0}},
		"cosine": {heads.Cosine{}, nil, []float64{1, 0, 1},
			[]float64{0, 1 - math.Sqrt2/2, 1 /**/, 1 - math.Sqrt2/2, 0, 1 /**/, 1, 1, 1}},
	}
	near := cmpopts.EquateApprox(1e-6, 1e-12) // Distance rounds learned weights to float32
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.weight = test.weight
			r := c.run(t, test.head, graph.Float64)
			if diff := cmp.Diff(test.between, r.between, near); diff != "" {
				t.Errorf("between: %s", diff)
			}
			if diff := cmp.Diff(test.matrix, r.matrix, near); diff != "" {
				t.Errorf("matrix: %s", diff)
			}
			for i, want := range test.between {
				if got := r.distance.Between(c.row(c.x, i), c.row(c.y, i)); !cmp.Equal(want, got, near) {
					t.Errorf("distance of row %d: found %v, want %v", i, got, want)
				}
			}
		})
	}
}

// What a weighted head has learned comes out as the factors it multiplies by.
func TestDistanceKeepsTheLearnedFactors(t *testing.T) {
	c := batch{rows: 1, features: 2, x: []float64{0, 0}, y: []float64{1, 1}, weight: []float64{0, -2}}
	if got, want := formOf(c.run(t, heads.WeightedL1{Signed: true}, graph.Float32).distance).Weights, []float32{0, -2}; !cmp.Equal(got, want) {
		t.Errorf("signed: found %v, want %v", got, want)
	}
	softplus := []float32{math.Ln2, float32(math.Log(1 + math.Exp(-2)))}
	if got := formOf(c.run(t, heads.WeightedL1{}, graph.Float32).distance).Weights; !cmp.Equal(got, softplus) {
		t.Errorf("weighted: found %v, want %v", got, softplus)
	}
}

func TestDistanceOfUnequalLengthsIsNaN(t *testing.T) {
	w := graph.NewWeights(graph.Float32, 1)
	if err := w.Add("head.weight", graph.Kernel, []int{2}, []float64{1, 1}); err != nil {
		t.Fatal(err)
	}
	for _, head := range all {
		distance, err := head.Distance(w)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance.Between([]float32{0, 0}, []float32{0, 0, 0}); !math.IsNaN(d) {
			t.Errorf("%s: found %v, want NaN", head.Name(), d)
		}
		if d := distance.Between([]float32{0, 0, 0}, []float32{0, 0, 0}); formOf(distance).Weights != nil && !math.IsNaN(d) {
			t.Errorf("%s with two factors for three features: found %v, want NaN", head.Name(), d)
		}
	}
}

func TestDistanceNeedsTheHeadsWeight(t *testing.T) {
	_, err := heads.WeightedL1{}.Distance(graph.NewWeights(graph.Float32, 1))
	want := `head weighted-l1: the weights have no "head.weight": they are of a network with another head`
	if err == nil || err.Error() != want {
		t.Errorf("found %v, want %s", err, want)
	}
}
