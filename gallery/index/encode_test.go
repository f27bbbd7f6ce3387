package index_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery/index"
)

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
