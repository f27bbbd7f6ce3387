package index

import (
	"bytes"
	"context"
	"testing"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
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
