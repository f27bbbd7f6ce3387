package index_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Nothing, as vectors, a graph or an argument, is an error and no panic.
func TestNothing(t *testing.T) {
	for name, function := range map[string]any{"NewVectors": index.NewVectors, "Build": index.Build, "Read": index.Read, "Indexable": index.Indexable} {
		testutil.CallOfNothing(t, name, function, false)
	}
	testutil.CallsOfNothing(t, (*index.Vectors)(nil))
	testutil.CallsOfNothing(t, new(index.Vectors))
	testutil.CallsOfNothing(t, (*index.Graph)(nil))
	testutil.CallsOfNothing(t, new(index.Graph))

	distance := distanceOf(t, heads.L2{}.Name(), 2)
	v := vectorsOf(t, distance, [][]float32{{1, 2}, {3, 4}, {5, 6}})
	g, err := index.Build(t.Context(), v, 1)
	if err != nil {
		t.Fatal(err)
	}
	testutil.CallsOfNothing(t, g)
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
		if len(numbers) == 4 {
			continue // a graph has some of the rows only
		}
		if _, err := g.Remove(numbers); err == nil {
			t.Errorf("remove %v of a graph: found no error", numbers)
		}
	}
	if v.Len() != 3 || v.Row(2)[1] != 6 {
		t.Errorf("found %d rows", v.Len())
	}
	// A graph whose vectors have lost rows says so.
	numbers := v.Renumber(func(row int) bool { return row == 0 })
	remove(t, v, numbers)
	if _, err := g.Nearest([][]float32{{1, 2}}, 1, nil, 0); err == nil {
		t.Error("found no error of a graph that has more rows than its vectors")
	}
	var file bytes.Buffer
	if _, err := removed(t, g, numbers).WriteTo(&file); err != nil {
		t.Error(err)
	}
}
