package main

import (
	"fmt"
	"slices"
	"strings"
)

// neonFactor holds a float32 argument in all lanes, neonZero zeros.
const (
	neonZero   = vector(30)
	neonFactor = vector(31)
)

// loop is a function that goes through arrays element by element, in rows of n.
// Its arguments are pointers to all arrays, n, the number of rows if there are
// channels, and the factor if there is one.
type loop struct {
	name     string
	to       string   // the array that is written
	elements []string // arrays that are read, row after row
	channels []string // arrays that are read anew for each row
	factor   bool
	body     func(in []vector) vector // returns where it left the result
}

func (t *text) loop(l loop) {
	arrays := slices.Concat([]string{l.to}, l.elements, l.channels)
	if slices.Contains(l.elements, l.to) {
		arrays = arrays[1:]
	}
	arguments := pointers32(arrays...)
	arguments = append(arguments, "n int")
	if l.channels != nil {
		arguments = append(arguments, "rows int")
	}
	if l.factor {
		arguments = append(arguments, "factor float32")
	}
	registers := t.begin(l.name, arguments, "")
	t.zero(neonZero)

	// Reading and writing advance pointers of their own.
	const to, first, left = general(16), general(19), general(17)
	t.op("MOVD", registers[l.to], to)
	var in []general
	for _, name := range l.elements {
		in = append(in, registers[name])
	}
	row := t.newLabel("row")
	t.label(row)
	for i, name := range l.channels {
		t.op("MOVD", registers[name], first+general(i))
		in = append(in, first+general(i))
	}
	t.op("MOVD", registers["n"], left)
	t.inChunks(left, func(c chunk) {
		var results []vector
		for i, from := range in {
			t.load(c, vector(c.vectors*i), from, true)
		}
		for k := range c.vectors {
			var vectors []vector
			for i := range in {
				vectors = append(vectors, vector(c.vectors*i+k))
			}
			results = append(results, l.body(vectors))
		}
		t.save(c, results, to)
	})
	if l.channels != nil {
		t.op("SUBS", 1, registers["rows"])
		t.op("BNE", row)
	}
	t.op("RET")
}

// begin begins a function and loads its arguments: a float32, which is the last
// one, to all lanes of neonFactor, others to general registers, which are
// returned by name.
func (t *text) begin(name string, arguments []string, result string) map[string]general {
	declaration, bytes := "("+strings.Join(arguments, ", ")+")", 8*len(arguments)
	switch {
	case result != "":
		declaration += " " + result
		bytes += map[string]int{"float32": 4, "float64": 8}[result]
	case strings.HasSuffix(declaration, " float32)"):
		bytes -= 4
	}
	t.declarations = append(t.declarations, name+declaration)
	t.function(name, declaration, 0, bytes)
	registers := map[string]general{}
	for i, a := range arguments {
		argument, kind, _ := strings.Cut(a, " ")
		from := fmt.Sprintf("%s+%d(FP)", argument, 8*i)
		if kind == "float32" {
			t.op("FMOVS", from, neonFactor.scalar())
			t.op("VDUP", neonFactor.lane(0), neonFactor)
			continue
		}
		registers[argument] = general(i)
		t.op("MOVD", from, general(i))
	}
	return registers
}

// pointers32 declares arrays of float32.
func pointers32(names ...string) []string {
	var all []string
	for _, n := range names {
		all = append(all, n+" *float32")
	}
	return all
}
