package page

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/mat"
)

// Points in a plane of a larger space lie on the map as far apart as there, and
// the components have the shares of the variance that a decomposition of the
// covariance finds.
func TestPrincipal(t *testing.T) {
	const n, features = 30, 5
	chance := random.New(1, "plane")
	along, across := make([]float64, features), make([]float64, features)
	for k := range features {
		along[k], across[k] = chance.NormFloat64(), chance.NormFloat64()
	}
	var data []float32
	for range n {
		a, b := 3*chance.NormFloat64(), chance.NormFloat64()
		for k := range features {
			data = append(data, float32(7+a*along[k]+b*across[k]))
		}
	}
	embeddings, err := evaluate.NewEmbeddings(n, features, data)
	if err != nil {
		t.Fatal(err)
	}
	places, shares, err := principal(embeddings)
	if err != nil {
		t.Fatal(err)
	}
	distances := make([]float64, n*n)
	if err := (evaluate.Euclidean{}).Distances(distances, embeddings, embeddings); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for j := range n {
			found := math.Hypot(places[i][0]-places[j][0], places[i][1]-places[j][1])
			if math.Abs(found-distances[i*n+j]) > 1e-4 {
				t.Fatalf("points %d and %d: %v apart on the map, %v in space", i, j, found, distances[i*n+j])
			}
		}
	}
	if diff := cmp.Diff(eigenShares(t, embeddings), shares[:], cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("shares (-of the covariance +found):\n%s", diff)
	}
}

// eigenShares are the two greatest eigenvalues of the covariance, as shares of
// all.
func eigenShares(t *testing.T, e evaluate.Embeddings) []float64 {
	t.Helper()
	covariance := mat.NewSymDense(e.Columns, nil)
	mean := make([]float64, e.Columns)
	for row := range e.Rows {
		for k, x := range e.Row(row) {
			mean[k] += float64(x) / float64(e.Rows)
		}
	}
	for j := range e.Columns {
		for k := range j + 1 {
			var sum float64
			for row := range e.Rows {
				sum += (float64(e.Row(row)[j]) - mean[j]) * (float64(e.Row(row)[k]) - mean[k])
			}
			covariance.SetSym(j, k, sum)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(covariance, false) {
		t.Fatal("no eigenvalues")
	}
	values, total := eigen.Values(nil), mat.Trace(covariance)
	return []float64{values[len(values)-1] / total, values[len(values)-2] / total}
}

// One feature has one component, equal embeddings have none, and more features
// than images are no matter.
func TestPrincipalAtItsEnds(t *testing.T) {
	for name, test := range map[string]struct {
		rows, columns int
		data          []float32
		shares        [2]float64
	}{
		"one feature":   {4, 1, []float32{0, 1, 2, 5}, [2]float64{1, 0}},
		"equal":         {4, 2, []float32{3, 4, 3, 4, 3, 4, 3, 4}, [2]float64{0, 0}},
		"a line":        {4, 2, []float32{0, 0, 1, 1, 2, 2, 3, 3}, [2]float64{1, 0}},
		"many features": {2, 4, []float32{0, 1, 2, 3, 4, 5, 6, 7}, [2]float64{1, 0}},
		"a square":      {4, 3, []float32{1, 0, 0, -1, 0, 0, 0, 1, 0, 0, -1, 0}, [2]float64{0.5, 0.5}},
	} {
		embeddings, err := evaluate.NewEmbeddings(test.rows, test.columns, test.data)
		if err != nil {
			t.Fatal(err)
		}
		places, shares, err := principal(embeddings)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.shares, shares, cmpopts.EquateApprox(0, 1e-9)); diff != "" || len(places) != test.rows {
			t.Errorf("%s: %d places, shares (-want +found):\n%s", name, len(places), diff)
		}
	}
}

// Negative distances, as Koch's may be, keep their order, and rounding parts no
// pair from itself.
func TestSquares(t *testing.T) {
	distances := []float64{
		0, -2, 1,
		-2, 0, 3.5,
		1, 4.5, 0,
	}
	want := []float64{
		0, 0, 9,
		0, 0, 36,
		9, 36, 0,
	}
	if diff := cmp.Diff(want, squares(distances, 3)); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}
