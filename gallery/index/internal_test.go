package index

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"pgregory.net/rapid"
)

// Whatever the bytes, Read gives an error or a graph that is written as it was read
// and can be searched.
func FuzzRead(f *testing.F) {
	const rows, features = 40, 3
	weights := (heads.L2{})
	distance, err := weights.Distance(nil)
	if err != nil {
		f.Fatal(err)
	}
	vectors, err := NewVectors(distance, features)
	if err != nil {
		f.Fatal(err)
	}
	numbers := make([]int32, rows)
	for row := range rows {
		numbers[row] = int32(row)
		if err := vectors.Append([]float32{float32(row * row % 7), float32(row % 5), float32(row)}); err != nil {
			f.Fatal(err)
		}
	}
	graph, err := Build(context.Background(), vectors, 1)
	if err != nil {
		f.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := graph.WriteTo(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add(file.Bytes()[:20])
	f.Fuzz(func(t *testing.T, content []byte) {
		var g *Graph
		var err error
		testutil.LimitAllocations(t, 16*len(content), func() { g, err = Read(bytes.NewReader(content), vectors, numbers) })
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if _, err := g.WriteTo(&first); err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(first.Bytes()), vectors, numbers)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.WriteTo(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("what was read is written otherwise each time (%v)", err)
		}
	})
}

// A queue hands out what was put in, in order.
func TestQueueSorts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		farthest := rapid.Bool().Draw(t, "farthest")
		visits := rapid.SliceOf(rapid.Map(rapid.IntRange(0, 30), func(i int) visit {
			return visit{distance: float32(i % 5), node: int32(i)}
		})).Draw(t, "visits")
		q := queue{farthest: farthest}
		for _, v := range visits {
			q.push(v)
		}
		want := slices.SortedFunc(slices.Values(visits), func(a, b visit) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.node, b.node))
		})
		if farthest {
			slices.Reverse(want)
		}
		for i := range want {
			if got := q.pop(); got != want[i] {
				t.Fatalf("item %d is %v, want %v", i, got, want[i])
			}
		}
		if len(q.items) > 0 {
			t.Errorf("%d are left", len(q.items))
		}
	})
}
