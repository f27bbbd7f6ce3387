package index_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"pgregory.net/rapid"
)

// forms are distances that no head of package heads has; of Weights only that they
// are there.
var forms = map[string]heads.Form{
	"scaled l2":                  {Power: 2, Scale: 1.7, Root: true},
	"root of l1":                 {Power: 1, Root: true},
	"chord":                      {Normalize: true, Power: 2, Root: true},
	"scaled cosine":              {Normalize: true, Power: 2, Scale: 3.3},
	"scaled weighted l1":         {Power: 1, Weights: []float32{}, Scale: 0.3},
	"signed weighted l1":         {Power: 1, Weights: []float32{}, Scale: 0.3},
	"weighted l2":                {Power: 2, Weights: []float32{}, Root: true},
	"signed weighted squared l2": {Power: 2, Weights: []float32{}},
}

// names are the distances that distanceOf knows.
var names = append(slices.Sorted(maps.Keys(forms)), heads.Names...)

// distanceOf is a head's distance for vectors of so many elements; a learned
// one's weights are drawn, of either sign where it is signed.
func distanceOf(t rapid.TB, name string, columns int) heads.Distance {
	t.Helper()
	if form, own := forms[name]; own {
		chance := random.New(2, "weights")
		if form.Weights != nil {
			form.Weights = make([]float32, columns)
		}
		for j := range form.Weights {
			form.Weights[j] = float32(chance.NormFloat64())
			if !strings.HasPrefix(name, "signed") {
				form.Weights[j] = float32(math.Abs(float64(form.Weights[j])))
			}
		}
		distance, err := heads.FromForm(name, form)
		if err != nil {
			t.Fatal(err)
		}
		return distance
	}
	head, err := heads.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	chance := random.New(1, "weights")
	elements := make([]float64, columns)
	for j := range elements {
		elements[j] = chance.NormFloat64()
	}
	weights := graph.NewWeights(graph.Float32, 1)
	if err := weights.Add("head.weight", graph.Kernel, []int{columns}, elements); err != nil {
		t.Fatal(err)
	}
	distance, err := head.Distance(weights)
	if err != nil {
		t.Fatal(err)
	}
	return distance
}

// vectorsOf is the matrix of rows.
func vectorsOf(t rapid.TB, distance heads.Distance, rows [][]float32) *index.Vectors {
	t.Helper()
	v, err := index.NewVectors(distance, len(rows[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := v.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// clustered is vectors of length 1 in clusters of about ten, one after the other,
// as the examples of classes are.
func clustered(seed uint64, n, columns int) [][]float32 {
	rows := make([][]float32, n)
	for i := range rows {
		center, around := random.New(seed, "center", i/10), random.New(seed, "around", i)
		rows[i] = make([]float32, columns)
		var squares float64
		for j := range rows[i] {
			rows[i][j] = float32(center.NormFloat64() + 0.4*around.NormFloat64())
			squares += float64(rows[i][j]) * float64(rows[i][j])
		}
		for j := range rows[i] {
			rows[i][j] /= float32(math.Sqrt(squares))
		}
	}
	return rows
}

// sorted is the naive search: all distances, sorted.
func sorted(distance heads.Distance, rows [][]float32, query []float32, k int, groups index.Groups) []index.Neighbor {
	var all, nearest []index.Neighbor
	for i, row := range rows {
		all = append(all, index.Neighbor{Row: i, Distance: distance.Between(query, row)})
	}
	slices.SortStableFunc(all, func(a, b index.Neighbor) int {
		switch {
		case a.Distance < b.Distance:
			return -1
		case a.Distance > b.Distance:
			return 1
		}
		return 0
	})
	taken := map[int32]bool{}
	for _, neighbor := range all {
		group := int32(neighbor.Row)
		if groups != nil {
			group = groups[neighbor.Row]
		}
		if len(nearest) < k && !taken[group] {
			nearest = append(nearest, neighbor)
		}
		taken[group] = true
	}
	return nearest
}

func nearestExactly(t testing.TB, v *index.Vectors, queries [][]float32, k int, groups index.Groups) [][]index.Neighbor {
	t.Helper()
	found, err := v.Nearest(queries, k, groups)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func remove(t testing.TB, v *index.Vectors, numbers []int32) {
	t.Helper()
	if err := v.Remove(numbers); err != nil {
		t.Fatal(err)
	}
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
