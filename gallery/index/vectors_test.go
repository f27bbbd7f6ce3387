package index_test

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"pgregory.net/rapid"
)

// What an exact search finds is what sorting finds: all heads, one query or many,
// with and without groups, equal distances among them.
func TestExactEqualsASort(t *testing.T) {
	whole := rapid.Map(rapid.IntRange(-2, 2), func(i int) float32 { return float32(i) })
	element := rapid.OneOf(whole, rapid.Float32Range(-1, 1), rapid.Float32Range(-1e-20, 1e-20), rapid.Float32Range(-index.MaxValue, index.MaxValue))
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 20).Draw(t, "columns")
		vector := rapid.SliceOfN(rapid.OneOf(whole, element), columns, columns)
		rows := rapid.SliceOfN(vector, 1, 40).Draw(t, "rows")
		queries := rapid.SliceOfN(rapid.OneOf(vector, rapid.SampledFrom(rows)), 1, 8).Draw(t, "queries")
		k := rapid.IntRange(1, 12).Draw(t, "k")
		var groups index.Groups
		if rapid.Bool().Draw(t, "grouped") {
			groups = rapid.SliceOfN(rapid.Int32Range(0, 5), len(rows), len(rows)).Draw(t, "groups")
		}
		distance := distanceOf(t, rapid.SampledFrom(names).Draw(t, "head"), columns)
		found, err := vectorsOf(t, distance, rows).Nearest(queries, k, groups)
		if err != nil {
			t.Fatal(err)
		}
		for i, query := range queries {
			want := sorted(distance, rows, query, k, groups)
			if diff := cmp.Diff(want, found[i]); diff != "" {
				t.Fatalf("query %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

// The same where there are many blocks, whose rows several goroutines search, and
// more queries than a panel holds.
func TestExactOverManyBlocks(t *testing.T) {
	rows := clustered(1, 3000, 64)
	queries := append(clustered(2, 70, 64), rows[:30]...)
	groups := make(index.Groups, len(rows))
	for i := range groups {
		groups[i] = int32(i / 10)
	}
	for _, name := range names {
		distance := distanceOf(t, name, 64)
		vectors := vectorsOf(t, distance, rows)
		together := nearestExactly(t, vectors, queries, 10, groups)
		for _, i := range []int{0, 1, 69, 70, 99} {
			want := sorted(distance, rows, queries[i], 10, groups)
			if diff := cmp.Diff(want, together[i]); diff != "" {
				t.Errorf("%s, query %d of many (-want +got):\n%s", name, i, diff)
			}
			if diff := cmp.Diff(want, nearestExactly(t, vectors, queries[i:i+1], 10, groups)[0]); diff != "" {
				t.Errorf("%s, query %d alone (-want +got):\n%s", name, i, diff)
			}
		}
	}
}

// Rows that are removed are not found, and the others are where it was said.
func TestRemovedRows(t *testing.T) {
	rows := clustered(1, 50, 8)
	for _, name := range names {
		distance := distanceOf(t, name, 8)
		v := vectorsOf(t, distance, rows)
		remove(t, v, v.Renumber(func(row int) bool { return row%3 != 1 }))
		var kept [][]float32
		for i := 1; i < len(rows); i += 3 {
			kept = append(kept, rows[i])
		}
		if v.Len() != len(kept) {
			t.Fatalf("%s: %d rows are left, want %d", name, v.Len(), len(kept))
		}
		for _, queries := range [][][]float32{rows[:1], rows[:6]} {
			want := sorted(distance, kept, rows[0], 5, nil)
			if diff := cmp.Diff(want, nearestExactly(t, v, queries, 5, nil)[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// A row that is set anew is where its new vector is.
func TestSet(t *testing.T) {
	rows := clustered(1, 20, 8)
	for _, name := range names {
		distance := distanceOf(t, name, 8)
		v := vectorsOf(t, distance, rows)
		changed := append([][]float32{}, rows...)
		changed[7] = []float32{3, -1, 2, 0, 1, 1, 0, -2}
		if err := v.Set(7, changed[7]); err != nil {
			t.Fatal(err)
		}
		for _, queries := range [][][]float32{{changed[7]}, {changed[7], rows[0], rows[1], rows[2]}} {
			want := sorted(distance, changed, changed[7], 20, nil)
			if diff := cmp.Diff(want, nearestExactly(t, v, queries, 20, nil)[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	l2 := distanceOf(t, "l2", 2)
	v := vectorsOf(t, l2, [][]float32{{1, 2}, {3, 4}})
	for name, test := range map[string]struct {
		call func() error
		want string
	}{
		"columns":  {func() error { _, err := index.NewVectors(l2, 0); return err }, "0 elements"},
		"weights":  {func() error { _, err := index.NewVectors(distanceOf(t, "weighted-l1", 3), 2); return err }, "has 3 weights"},
		"length":   {func() error { return v.Append([]float32{1}) }, "has 1 elements, expected 2"},
		"infinity": {func() error { return v.Append([]float32{1, float32(math.Inf(1))}) }, "element 1 of the vector is +Inf"},
		"NaN":      {func() error { return v.Set(0, []float32{float32(math.NaN()), 0}) }, "element 0 of the vector is NaN"},
		"k":        {func() error { _, err := v.Nearest([][]float32{{1, 2}}, 0, nil); return err }, "0 nearest"},
		"groups":   {func() error { _, err := v.Nearest([][]float32{{1, 2}}, 1, index.Groups{1}); return err }, "2 rows have 1 groups"},
		"query":    {func() error { _, err := v.Nearest([][]float32{{1, 2}, {1}}, 1, nil); return err }, "query 1"},
	} {
		if err := test.call(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, want %q", name, err, test.want)
		}
	}
	if v.Len() != 2 {
		t.Errorf("a refused vector is there all the same: %d rows", v.Len())
	}
}

// A distance that package heads does not know is searched, too.
func TestOwnDistance(t *testing.T) {
	own, err := heads.FromFunc("chebyshev", func(x, y []float32) float64 {
		var most float64
		for j := range x {
			most = max(most, math.Abs(float64(x[j])-float64(y[j])))
		}
		return most
	})
	if err != nil {
		t.Fatal(err)
	}
	chance := random.New(3)
	rows := make([][]float32, 100)
	for i := range rows {
		rows[i] = []float32{float32(chance.NormFloat64()), float32(chance.NormFloat64())}
	}
	want := sorted(own, rows, rows[5], 10, nil)
	if diff := cmp.Diff(want, nearestExactly(t, vectorsOf(t, own, rows), rows[5:6], 10, nil)[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// counted counts the distances that are measured by the head.
type counted struct {
	heads.Distance
	calls *atomic.Int64
}

func (c counted) Between(x, y []float32) float64 {
	c.calls.Add(1)
	return c.Distance.Between(x, y)
}

// Few distances are measured by the head: the filter leaves out the rest. Weighted
// squares have no filter.
func TestFilter(t *testing.T) {
	rows := clustered(1, 2000, 32)
	for _, name := range names {
		if form, own := forms[name]; own && form.Power == 2 && form.Weights != nil {
			continue
		}
		distance := distanceOf(t, name, 32)
		var calls atomic.Int64
		v := vectorsOf(t, counted{distance, &calls}, rows)
		for _, queries := range [][][]float32{rows[:1], rows[:8]} {
			calls.Store(0)
			nearestExactly(t, v, queries, 10, nil)
			// Of rows in a random order about k·ln(n/k) are among the k nearest so
			// far, here 53, and as many again for each thread.
			each := int(calls.Load()) / len(queries)
			if most := 53 * 4 * parallel.Threads(); each < 10 || each > most {
				t.Errorf("%s, %d queries: measured %d of %d rows each, want 10 to %d", name, len(queries), each, len(rows), most)
			}
		}
	}
}

// AppendAll is Append of one vector after the other: also the codes are the same, so the same
// neighbors are found in the same way. A vector that Check refuses is named, and nothing is appended.
func TestAppendAll(t *testing.T) {
	rows := clustered(7, 700, 9)
	for _, name := range heads.Names {
		distance := distanceOf(t, name, 9)
		one, all := vectorsOf(t, distance, rows[:5]), vectorsOf(t, distance, rows[:5])
		all.Reserve(100)
		for _, x := range rows[5:] {
			if err := one.Append(x); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := all.AppendAll(rows[5:]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(nearestExactly(t, one, rows[:20], 7, nil), nearestExactly(t, all, rows[:20], 7, nil)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for i := range rows {
			if !slices.Equal(one.Row(i), all.Row(i)) {
				t.Fatalf("%s: row %d: found %v, expected %v", name, i, all.Row(i), one.Row(i))
			}
		}
		bad := slices.Clone(rows[:40])
		bad[31], bad[37] = []float32{1}, nil
		if wrong, err := all.AppendAll(bad); err == nil || wrong != 31 || all.Len() != len(rows) {
			t.Errorf("%s: found the wrong vector %d of %d rows (%v), expected 31 and no new rows", name, wrong, all.Len(), err)
		}
	}
}

// Nothing, as vectors or an argument, is an error and no panic.
func TestNothing(t *testing.T) {
	for name, function := range map[string]any{"NewVectors": index.NewVectors} {
		testutil.CallOfNothing(t, name, function, false)
	}
	testutil.CallsOfNothing(t, (*index.Vectors)(nil))
	testutil.CallsOfNothing(t, new(index.Vectors))

	distance := distanceOf(t, heads.L2{}.Name(), 2)
	v := vectorsOf(t, distance, [][]float32{{1, 2}, {3, 4}, {5, 6}})
	testutil.CallsOfNothing(t, v)
	for _, i := range []int{-1, 3, math.MaxInt, math.MinInt} {
		if v.Row(i) != nil {
			t.Errorf("row %d: found %v", i, v.Row(i))
		}
		if err := v.Set(i, []float32{1, 2}); err == nil {
			t.Errorf("set row %d: found no error", i)
		}
	}
	// Numbers that are not those of these rows change nothing.
	for _, numbers := range [][]int32{{0, 1}, {0, 1, 2, 3}, {1, 0, 2}, {0, 0, 1}, {0, 2, 3}, {math.MaxInt32, 0, 1}} {
		if err := v.Remove(numbers); err == nil {
			t.Errorf("remove %v of vectors: found no error", numbers)
		}
	}
	if v.Len() != 3 || v.Row(2)[1] != 6 {
		t.Errorf("found %d rows", v.Len())
	}
}
