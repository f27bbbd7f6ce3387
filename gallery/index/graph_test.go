package index_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/testutil"
)

func build(t testing.TB, v *index.Vectors) *index.Graph {
	t.Helper()
	g, err := index.Build(context.Background(), v, 1)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func nearestByGraph(t testing.TB, g *index.Graph, queries [][]float32, k int, groups index.Groups) [][]index.Neighbor {
	t.Helper()
	found, err := g.Nearest(queries, k, groups, 0)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leastRecall is what is demanded of the index, at 10.
const leastRecall = 0.95

// indexed are the heads that there are indices of.
var indexed = []string{"l2", "squared-l2", "cosine", "l1", "weighted-l1"}

// Of 2,500 clustered vectors, 5,000 with LIKENESS_LONG, the index finds what it should, by
// each head, and its distances are the head's.
func TestRecall(t *testing.T) {
	many := 2500
	if testutil.Long() {
		many = 5000
	}
	rows, queries := clustered(1, many, 32), clustered(1, many+300, 32)[many:]
	queries = append(queries, rows[:200]...)
	for _, name := range indexed {
		v := vectorsOf(t, distanceOf(t, name, 32), rows)
		exact := nearestExactly(t, v, queries, 10, nil)
		found := recall(exact, nearestByGraph(t, build(t, v), queries, 10, nil))
		if found < leastRecall {
			t.Errorf("%s: recall at 10 is %v, want %v", name, found, leastRecall)
		}
	}
}

// So it does of classes, of which the nearest rows are few, or one.
func TestRecallOfGroups(t *testing.T) {
	rows := clustered(1, 3000, 16)
	groups := make(index.Groups, len(rows))
	for i := range groups {
		groups[i] = int32(i / 300) // ten classes of thirty clusters
	}
	v := vectorsOf(t, distanceOf(t, "l2", 16), rows)
	queries := clustered(2, 100, 16)
	g := build(t, v)
	for _, k := range []int{1, 3, 10} {
		exact := nearestExactly(t, v, queries, k, groups)
		if found := recall(exact, nearestByGraph(t, g, queries, k, groups)); found < leastRecall {
			t.Errorf("%d classes: recall is %v, want %v", k, found, leastRecall)
		}
	}
}

// One seed gives one graph, on any number of threads.
func TestOneSeedOneGraph(t *testing.T) {
	v := vectorsOf(t, distanceOf(t, "l2", 16), clustered(1, 1500, 16))
	var files []string
	defer parallel.SetThreads(parallel.Threads())
	for _, threads := range []int{1, 4} {
		parallel.SetThreads(threads)
		files = append(files, written(t, build(t, v)))
	}
	if files[0] != files[1] {
		t.Error("four threads build another graph than one")
	}
	other, err := index.Build(context.Background(), v, 2)
	if err != nil {
		t.Fatal(err)
	}
	if written(t, other) == files[0] {
		t.Error("another seed builds the same graph")
	}
}

// Rows that come after the graph was built are found, always.
func TestAppendedAfterwards(t *testing.T) {
	v := vectorsOf(t, distanceOf(t, "l2", 16), clustered(1, 500, 16))
	g := build(t, v)
	more := clustered(2, 40, 16)
	for _, row := range more {
		if err := v.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	for i, found := range nearestByGraph(t, g, more, 1, nil) {
		if want := []index.Neighbor{{Row: 500 + i}}; !cmp.Equal(want, found) {
			t.Errorf("row %d: found %v", 500+i, found)
		}
	}
}

// Without a third of its rows, whole clusters and single ones, a graph still finds
// what is left and nothing else.
func TestRemoveFromGraph(t *testing.T) {
	rows := clustered(1, 3000, 16)
	v := vectorsOf(t, distanceOf(t, "cosine", 16), rows)
	g := build(t, v)
	for range 2 { // also from what was repaired
		numbers := v.Renumber(func(row int) bool { return row/50%5 == 0 || row%17 == 0 })
		remove(t, v, numbers)
		g = removed(t, g, numbers)
	}
	if g.Len() != v.Len() {
		t.Fatalf("the graph has %d nodes for %d rows", g.Len(), v.Len())
	}
	exact := nearestExactly(t, v, rows[:500], 10, nil)
	if found := recall(exact, nearestByGraph(t, g, rows[:500], 10, nil)); found < leastRecall {
		t.Errorf("recall at 10 is %v, want %v", found, leastRecall)
	}
	numbers := v.Renumber(func(int) bool { return true })
	remove(t, v, numbers)
	if g = removed(t, g, numbers); g.Len() != 0 || len(nearestByGraph(t, g, rows[:1], 1, nil)[0]) != 0 {
		t.Error("something is left of a graph without rows")
	}
}

// A head whose distances may be negative is not indexed, and neither is one that
// nobody knows; the reason is said.
func TestNotIndexable(t *testing.T) {
	own, err := heads.FromFunc("own", func(x, y []float32) float64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		distance heads.Distance
		want     string
	}{
		{distanceOf(t, "signed-weighted-l1", 2), "may be negative"},
		{own, "own has no form"},
	} {
		v := vectorsOf(t, test.distance, [][]float32{{1, 2}, {3, 4}})
		if _, err := index.Build(context.Background(), v, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, want %q", test.distance.Name(), err, test.want)
		}
	}
	for _, name := range indexed {
		if err := index.Indexable(distanceOf(t, name, 2)); err != nil {
			t.Error(err)
		}
	}
}

func TestBuildEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v := vectorsOf(t, distanceOf(t, "l2", 2), [][]float32{{1, 2}})
	if _, err := index.Build(ctx, v, 1); err == nil || !strings.Contains(err.Error(), "0 of 1 vectors") {
		t.Errorf("found error %v", err)
	}
}

// Small graphs, of one row or of rows that are all equal, are searched as well.
func TestSmallGraphs(t *testing.T) {
	for _, rows := range [][][]float32{{{1, 2}}, {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {0, 0}}} {
		for _, name := range indexed {
			distance := distanceOf(t, name, 2)
			v := vectorsOf(t, distance, rows)
			want := sorted(distance, rows, []float32{1, 2}, 3, nil)
			if diff := cmp.Diff(want, nearestByGraph(t, build(t, v), [][]float32{{1, 2}}, 3, nil)[0]); diff != "" {
				t.Errorf("%s, %d rows (-want +got):\n%s", name, len(rows), diff)
			}
		}
	}
	empty, err := index.NewVectors(distanceOf(t, "l2", 2), 2)
	if err != nil {
		t.Fatal(err)
	}
	if found := nearestByGraph(t, build(t, empty), [][]float32{{1, 2}}, 3, nil)[0]; len(found) != 0 {
		t.Errorf("nothing has the neighbors %v", found)
	}
}

func written(t testing.TB, g *index.Graph) string {
	t.Helper()
	var b bytes.Buffer
	n, err := g.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", n, b.Len(), err)
	}
	return b.String()
}

// same are the numbers of rows that stayed where they were.
func same(n int) []int32 {
	numbers := make([]int32, n)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	return numbers
}

// A graph that is written and read is the same, and one that is read for vectors
// of which some are gone is what Remove makes of it.
func TestWriteAndRead(t *testing.T) {
	rows := clustered(1, 1000, 16)
	v := vectorsOf(t, distanceOf(t, "l2", 16), rows)
	g := build(t, v)
	file := written(t, g)
	read, err := index.Read(strings.NewReader(file), v, same(len(rows)))
	if err != nil {
		t.Fatal(err)
	}
	if written(t, read) != file {
		t.Error("the graph that was read is another")
	}
	numbers := v.Renumber(func(row int) bool { return row%4 == 0 })
	remove(t, v, numbers)
	read, err = index.Read(strings.NewReader(file), v, numbers)
	if err != nil {
		t.Fatal(err)
	}
	queries := rows[:50]
	if diff := cmp.Diff(nearestByGraph(t, removed(t, g, numbers), queries, 10, nil), nearestByGraph(t, read, queries, 10, nil)); diff != "" {
		t.Errorf("(-removed +read):\n%s", diff)
	}
}

// Nothing that is damaged is read, and nothing panics.
func TestReadDamaged(t *testing.T) {
	rows := clustered(1, 60, 4)
	v := vectorsOf(t, distanceOf(t, "l2", 4), rows)
	whole := written(t, build(t, v))
	// set is the file with another 32-bit integer at a place.
	set := func(at int, value int32) string {
		return whole[:at] + string(binary.LittleEndian.AppendUint32(nil, uint32(value))) + whole[at+4:]
	}
	const links = 16 + 60 // after the header and the levels
	for name, test := range map[string]struct{ file, want string }{
		"nothing":        {"", "header"},
		"a header alone": {whole[:16], "levels"},
		"half":           {whole[:len(whole)/2], "node"},
		"format":         {set(0, 9), "found format 9"},
		"nodes":          {set(4, 59), "found 59 nodes, expected 60"},
		"entry":          {set(12, 60), "the entry is node 60 of 60"},
		"level":          {whole[:16] + "\xff" + whole[17:], "node 0 has level 255"},
		"count":          {set(links, 1000), "found 1000 links"},
		"negative count": {set(links, -1), "found -1 links"},
		"link":           {set(links+4, 60), "found a link to node 60"},
	} {
		if _, err := index.Read(strings.NewReader(test.file), v, same(60)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, want %q", name, err, test.want)
		}
	}
	numbers := same(60)
	numbers[5] = 7
	if _, err := index.Read(strings.NewReader(whole), v, numbers); err == nil || !strings.Contains(err.Error(), "node 5 is row 7") {
		t.Errorf("numbers out of order: found error %v", err)
	}
	remove(t, v, v.Renumber(func(row int) bool { return row == 59 }))
	if _, err := index.Read(strings.NewReader(whole), v, same(60)); err == nil || !strings.Contains(err.Error(), "node 59 is row 59 of 59") {
		t.Errorf("too few vectors: found error %v", err)
	}
}
