package heads_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/floats/scalar"
	"pgregory.net/rapid"
)

// defined is a distance beside its definition.
type defined struct {
	heads.Distance
	naive func(x, y []float32) float64
}

// definitions are the distances of all heads, and of forms that no head of the
// package has, for embeddings of so many columns.
func definitions(t rapid.TB, columns int) map[string]defined {
	t.Helper()
	weights := normal(7, columns)
	positive := normal(8, columns)
	for j := range positive {
		positive[j] = float32(math.Abs(float64(positive[j])))
	}
	sum := func(term func(j int, x, y float64) float64) func(x, y []float32) float64 {
		return func(x, y []float32) (total float64) {
			for j := range x {
				total += term(j, float64(x[j]), float64(y[j]))
			}
			return total
		}
	}
	square := sum(func(_ int, x, y float64) float64 { return (x - y) * (x - y) })
	dot := sum(func(_ int, x, y float64) float64 { return x * y })
	oneMinusCosine := func(x, y []float32) float64 { return 1 - dot(x, y)/math.Sqrt(dot(x, x)*dot(y, y)) }
	weighted := sum(func(j int, x, y float64) float64 { return float64(weights[j]) * math.Abs(x-y) })
	weightedSquare := sum(func(j int, x, y float64) float64 { return float64(positive[j]) * (x - y) * (x - y) })
	of := func(head heads.Head) heads.Distance {
		distance, err := head.Distance(nil)
		if err != nil {
			t.Fatal(err)
		}
		return distance
	}
	formed := func(form heads.Form) heads.Distance {
		distance, err := heads.FromForm("own", form)
		if err != nil {
			t.Fatal(err)
		}
		return distance
	}
	return map[string]defined{
		"squared-l2":  {of(heads.SquaredL2{}), square},
		"l2":          {of(heads.L2{}), func(x, y []float32) float64 { return math.Sqrt(square(x, y)) }},
		"l1":          {of(heads.L1{}), sum(func(_ int, x, y float64) float64 { return math.Abs(x - y) })},
		"weighted-l1": {formed(heads.Form{Power: 1, Weights: weights}), weighted},
		"cosine":      {of(heads.Cosine{}), oneMinusCosine},
		"scaled l2": {formed(heads.Form{Power: 2, Root: true, Scale: 0.25}),
			func(x, y []float32) float64 { return 0.5 * math.Sqrt(square(x, y)) }},
		"scaled weighted l1": {formed(heads.Form{Power: 1, Weights: weights, Scale: 3}), func(x, y []float32) float64 { return 3 * weighted(x, y) }},
		"weighted l2":        {formed(heads.Form{Power: 2, Weights: positive, Root: true}), func(x, y []float32) float64 { return math.Sqrt(weightedSquare(x, y)) }},
		"chord": {formed(heads.Form{Normalize: true, Power: 2, Root: true}),
			func(x, y []float32) float64 { return math.Sqrt(max(0, 2*oneMinusCosine(x, y))) }},
		"a function": {function(t, weighted), weighted},
	}
}

func function(t rapid.TB, between func(x, y []float32) float64) heads.Distance {
	t.Helper()
	distance, err := heads.FromFunc("a function", between)
	if err != nil {
		t.Fatal(err)
	}
	return distance
}

// normal is independent normal numbers.
func normal(seed uint64, n int) []float32 {
	r := random.New(seed, "normal", n)
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return data
}

func pairwise(t testing.TB, distance heads.Distance, x, y []float32, columns int) []float64 {
	t.Helper()
	out := make([]float64, len(x)/columns*(len(y)/columns))
	if err := distance.Pairwise(out, x, y, columns); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDistancesByHand(t *testing.T) {
	x, y := []float32{1, -2, 2, 0, 4}, []float32{-3, 1, 2, 0, 4} // differences 4, −3, 0, 0, 0
	queries := append(append(append([]float32{}, x...), y...), 0, 0, 0, 0, 0)
	references := append(append([]float32{}, x...), y...)
	form := func(form heads.Form) heads.Distance {
		distance, err := heads.FromForm("form", form)
		if err != nil {
			t.Fatal(err)
		}
		return distance
	}
	near := cmpopts.EquateApprox(1e-12, 1e-12)
	for name, test := range map[string]struct {
		distance heads.Distance
		want     []float64
	}{
		"squared-l2":  {form(heads.Form{Power: 2}), []float64{0, 25, 25, 0, 25, 30}},
		"l2":          {form(heads.Form{Power: 2, Root: true}), []float64{0, 5, 5, 0, 5, math.Sqrt(30)}},
		"l1":          {form(heads.Form{Power: 1}), []float64{0, 7, 7, 0, 9, 10}},
		"weighted-l1": {form(heads.Form{Power: 1, Weights: []float32{0.5, -1, 3, 3, 0.25}}), []float64{0, -1, -1, 0, 5.5, 7.5}},
		"cosine":      {form(heads.Form{Normalize: true, Power: 2, Scale: 0.5}), []float64{0, 1 - 15/(5*math.Sqrt(30)), 1 - 15/(5*math.Sqrt(30)), 0, 1, 1}},
	} {
		if diff := cmp.Diff(test.want, pairwise(t, test.distance, queries, references, 5), near); diff != "" {
			t.Errorf("%s, pairwise: %s", name, diff)
		}
		paired := make([]float64, 2)
		if err := test.distance.Paired(paired, append(append([]float32{}, x...), 0, 0, 0, 0, 0), append(append([]float32{}, y...), x...), 5); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float64{test.want[1], test.want[4]}, paired, near); diff != "" {
			t.Errorf("%s, paired: %s", name, diff)
		}
		for i, want := range test.want {
			if found := test.distance.Between(queries[i/2*5:i/2*5+5], references[i%2*5:i%2*5+5]); math.Abs(found-want) > 1e-12 {
				t.Errorf("%s, between: found %v, want %v", name, found, want)
			}
		}
	}
}

// Shapes on both sides of the tiles' edges, and rows of every length modulo 4.
func TestDistancesEqualTheirDefinitions(t *testing.T) {
	for _, shape := range [][3]int{{1, 1, 2}, {3, 2, 5}, {129, 257, 3}, {128, 256, 4}, {127, 513, 7}, {2, 300, 62}} {
		columns := shape[2]
		x, y, z := normal(1, shape[0]*columns), normal(2, shape[1]*columns), normal(3, shape[1]*columns)
		for name, distance := range definitions(t, columns) {
			want := pairwise(t, function(t, distance.naive), x, y, columns)
			expectClose(t, fmt.Sprint(name, shape), pairwise(t, distance, x, y, columns), want, 1e-9)
			paired, wantPaired, between := make([]float64, shape[1]), make([]float64, shape[1]), make([]float64, shape[1])
			if err := distance.Paired(paired, z, y, columns); err != nil {
				t.Fatal(err)
			}
			for i := range wantPaired {
				left, right := z[i*columns:(i+1)*columns], y[i*columns:(i+1)*columns]
				wantPaired[i], between[i] = distance.naive(left, right), distance.Between(left, right)
			}
			expectClose(t, fmt.Sprint(name, shape, " paired"), paired, wantPaired, 1e-9)
			expectClose(t, fmt.Sprint(name, shape, " between"), between, wantPaired, 1e-9)
		}
	}
}

// expectClose allows for rounding; 1e-7 absolutely, for the chord of directions that
// are nearly one.
func expectClose(t testing.TB, what string, found, want []float64, relative float64) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(found), len(want))
	}
	absolute := 1e-12
	if strings.HasPrefix(what, "chord") {
		absolute = 1e-7
	}
	for i := range found {
		if !scalar.EqualWithinAbsOrRel(found[i], want[i], absolute, relative) {
			t.Fatalf("%s: number %d is %v, want %v", what, i, found[i], want[i])
		}
	}
}

// The distance of close embeddings far from the origin is where ‖x‖² + ‖y‖² −
// 2x·y has no digits left.
func TestCloseEmbeddingsKeepTheirDigits(t *testing.T) {
	const columns = 33
	x, y := normal(1, columns), normal(2, 40*columns)
	for j := range x {
		x[j] += 1000
	}
	for i := range y {
		y[i] = x[i%columns] + float32(math.Pow(0.5, float64(i/columns)/4))*y[i]
	}
	for name, distance := range definitions(t, columns) {
		if name == "cosine" || name == "chord" {
			continue
		}
		want := pairwise(t, function(t, distance.naive), x, y, columns)
		expectClose(t, name, pairwise(t, distance, x, y, columns), want, 1e-7)
	}
}

// Equal rows must be at equal distances wherever they lie in memory, or ties
// would be decided by rounding; and a row must be at no distance from itself.
func TestEqualRowsAreTied(t *testing.T) {
	for columns := 1; columns < 20; columns++ {
		queries, row := normal(1, 5*columns), normal(2, columns)
		var references []float32
		for range 300 {
			references = append(references, row...)
		}
		for name, distance := range definitions(t, columns) {
			found := pairwise(t, distance, queries, references, columns)
			for i, d := range found {
				if first := found[i/300*300]; d != first {
					t.Fatalf("%s, %d columns: query %d is at %v and at %v from equal references", name, columns, i/300, first, d)
				}
			}
			for i, d := range pairwise(t, distance, row, references, columns) {
				if d != 0 {
					t.Fatalf("%s, %d columns: a row is at %v from itself (reference %d)", name, columns, d, i)
				}
			}
		}
	}
}

// The distance of two rows is that of the two alone, bit for bit: it does not depend on the
// other rows, their number, their order, the number of threads, or whether both matrices
// are the same memory. The numbers of rows and columns are on both sides of the sizes of
// tiles and parts.
func TestDistancesDependOnTwoRowsOnly(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	for _, shape := range [][3]int{{1, 1, 1}, {9, 25, 5}, {128, 24, 127}, {130, 131, 129}} {
		columns := shape[2]
		x, y := normal(1, shape[0]*columns), normal(2, shape[1]*columns)
		for name, distance := range definitions(t, columns) {
			parallel.SetThreads(1)
			d := pairwise(t, distance, x, y, columns)
			parallel.SetThreads(3)
			back, itself, itselfCopied := pairwise(t, distance, y, x, columns), pairwise(t, distance, x, x, columns), pairwise(t, distance, x, slices.Clone(x), columns)
			for i := range shape[0] {
				for j := range shape[1] {
					if d[i*shape[1]+j] != back[j*shape[0]+i] {
						t.Fatalf("%s, %v: rows %d and %d: found %v, and %v with the matrices exchanged", name, shape, i, j, d[i*shape[1]+j], back[j*shape[0]+i])
					}
				}
				j := i * 7 % shape[1]
				alone := pairwise(t, distance, x[i*columns:][:columns], y[j*columns:][:columns], columns)
				if alone[0] != d[i*shape[1]+j] {
					t.Fatalf("%s, %v: rows %d and %d: found %v, alone %v", name, shape, i, j, d[i*shape[1]+j], alone[0])
				}
			}
			if !slices.Equal(itself, itselfCopied) {
				t.Fatalf("%s, %v: the distances of a matrix from itself are not those from its copy", name, shape)
			}
		}
	}
}

func TestDistancesAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 9).Draw(t, "columns")
		rows := rapid.IntRange(1, 6).Draw(t, "rows")
		x := rapid.SliceOfN(rapid.Map(rapid.IntRange(-2, 2), func(i int) float32 { return float32(i) }), rows*columns, rows*columns).Draw(t, "x")
		for name, distance := range definitions(t, columns) {
			d := make([]float64, rows*rows)
			if err := distance.Pairwise(d, x, x, columns); err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				for j := range i {
					if d[i*rows+j] != d[j*rows+i] {
						t.Errorf("%s: %v there and %v back", name, d[i*rows+j], d[j*rows+i])
					}
				}
			}
		}
	})
}

func TestShapesOfDistancesAreChecked(t *testing.T) {
	x := make([]float32, 6) // two rows
	for name, distance := range definitions(t, 3) {
		for want, err := range map[string]error{
			"0 columns":                               distance.Pairwise(make([]float64, 4), x, x, 0),
			"5 elements, expected a multiple of":      distance.Pairwise(make([]float64, 2), x, x[:5], 3),
			"found 3 distances for 2 × 2 rows":        distance.Pairwise(make([]float64, 3), x, x, 3),
			"4 elements, expected a multiple of":      distance.Paired(make([]float64, 2), x[:4], x, 3),
			"found 1 distances for 2 and 2 rows":      distance.Paired(make([]float64, 1), x, x, 3),
			"found 2 distances for 2 and 1 rows, exp": distance.Paired(make([]float64, 2), x, x[:3], 3),
		} {
			if strings.HasPrefix(want, "0 columns") && strings.Contains(name, "weighted") {
				want = "found embeddings of 0 columns, expected 3"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: found error %v, want %q", name, err, want)
			}
		}
	}
	weighted, err := heads.FromForm("own", heads.Form{Power: 1, Weights: make([]float32, 3)})
	if err != nil {
		t.Fatal(err)
	}
	const want = `distance "own": found embeddings of 4 columns, expected 3, one for each weight`
	if err := weighted.Pairwise(make([]float64, 1), make([]float32, 4), make([]float32, 4), 4); err == nil || err.Error() != want {
		t.Errorf("found error %v, want %s", err, want)
	}
}

func TestFormsAreChecked(t *testing.T) {
	for want, form := range map[string]heads.Form{
		"field Power: found 0":         {},
		"field Power: found 3":         {Power: 3},
		"with Power 2":                 {Power: 1, Normalize: true},
		"without Weights":              {Power: 2, Normalize: true, Weights: []float32{1}},
		"field Scale: found -1":        {Power: 2, Scale: -1},
		"field Scale: found NaN":       {Power: 2, Scale: math.NaN()},
		"some weights are negative":    {Power: 2, Root: true, Weights: []float32{1, -1}},
		"field Scale: found 1e+31":     {Power: 1, Scale: 1e31},
		`distance "own": field Scale:`: {Power: 1, Scale: 1e-31},
	} {
		if _, err := heads.FromForm("own", form); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: found error %v, want %q", form, err, want)
		}
	}
	if _, err := heads.FromFunc("own", nil); err == nil || !strings.Contains(err.Error(), "found no function") {
		t.Errorf("found error %v", err)
	}
}

// A function that panics is an error of Paired and of Pairwise, and one that gets
// unequal lengths is not called.
func TestFunctionsThatPanic(t *testing.T) {
	panics := function(t, func(x, y []float32) float64 { panic("not done yet") })
	for _, err := range []error{
		panics.Paired(make([]float64, 1), make([]float32, 2), make([]float32, 2), 2),
		panics.Pairwise(make([]float64, 1), make([]float32, 2), make([]float32, 2), 2),
	} {
		if err == nil || !strings.Contains(err.Error(), "not done yet") {
			t.Errorf("found error %v", err)
		}
	}
	if d := panics.Between([]float32{1}, []float32{1, 2}); !math.IsNaN(d) {
		t.Errorf("of unequal lengths: found %v, want NaN", d)
	}
}

// What files hold of heads: "own:" before the name of a user's own type, whatever
// its name and what it embeds.
func TestIdentifier(t *testing.T) {
	for want, head := range map[string]heads.Head{
		"l2": &heads.L2{}, "cosine": heads.Cosine{}, "signed-weighted-l1": heads.WeightedL1{Signed: true}, "weighted-l1": &heads.WeightedL1{},
		"own:l1": embedding{heads.L1{}}, "none": nil,
	} {
		if found := heads.Identifier(head); found != want {
			t.Errorf("%#v: found %q, want %q", head, found, want)
		}
		if head != nil && heads.IsOwn(head) != strings.HasPrefix(want, heads.OwnPrefix) {
			t.Errorf("%#v: IsOwn says %v", head, heads.IsOwn(head))
		}
	}
}

type embedding struct{ heads.Head }

func TestDistanceOf(t *testing.T) {
	for want, head := range map[string]heads.Head{"found no head": nil, "its method Distance panics": embedding{}, "gives no distance": nothing{}} {
		if _, err := heads.DistanceOf(head, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%#v: found error %v, want %q", head, err, want)
		}
	}
}

type nothing struct{ heads.L2 }

func (nothing) Distance(*graph.Weights) (heads.Distance, error) { return nil, nil }
