package main

import (
	"fmt"
	"slices"
	"strings"
)

// neon is the instruction set of arm64. With tiles of these sizes the sums, a vector of each
// row of A and a row of packed columns fill the registers.
var neon = &machine{name: "neon", lanes: 4, registers: 32, rows: []int{0, 14, 10, 7, 5}}

// neonUnits are the assembly files of NEON, by topic.
var neonUnits = []struct {
	name  string
	write []func(*text)
}{
	{"rows", []func(*text){neonRows}},
	{"outer", []func(*text){neonOuter}},
	{"inner", []func(*text){neonInner}},
	{"depthwise", []func(*text){neonDepthwise}},
	{"windows", []func(*text){neonWindows}},
	{"elements", []func(*text){neonElements, neonDistances, neonTranspose}},
	{"activations", []func(*text){neonActivations}},
	{"channels", []func(*text){neonChannels, neonSums}},
	{"scan", []func(*text){neonScan}},
}

// neonFiles returns all generated files of NEON, by name. avo supports amd64 only, so
// this assembly is written as text.
func neonFiles() map[string][]byte {
	all := map[string][]byte{}
	var declarations strings.Builder
	for _, unit := range neonUnits {
		t := &text{}
		t.line(generated + "\n#include \"textflag.h\"")
		for _, write := range unit.write {
			write(t)
		}
		all[unit.name+"_neon_arm64.s"] = []byte(t.String())
		for _, d := range t.declarations {
			fmt.Fprintf(&declarations, "//go:noescape\nfunc %s\n\n", d)
		}
	}
	all["table_neon_arm64.go"] = table(neon, nil, declarations.String())
	return all
}

// text writes an assembly file.
type text struct {
	strings.Builder
	labels       int
	table        general  // the argument of that name
	declarations []string // of functions that are not in the table of tiles
}

// general is a general register, vector a vector register. R18 is reserved for the operating
// system, R26 to R30 for Go.
type (
	general int
	vector  int
)

func (r general) String() string { return fmt.Sprintf("R%d", int(r)) }

// String is the register's name as a whole vector of float32; see scalar.
func (v vector) String() string { return fmt.Sprintf("V%d.S4", int(v)) }

// scalar is the register's name in loads and stores, of which FMOVQ moves all
// of it, FMOVD half and FMOVS a quarter; loads clear the rest.
func (v vector) scalar() string { return fmt.Sprintf("F%d", int(v)) }

// doubles is the register's name as a vector of float64.
func (v vector) doubles() string { return fmt.Sprintf("V%d.D2", int(v)) }

// bytes is the register's name where lanes do not matter.
func (v vector) bytes() string { return fmt.Sprintf("V%d.B16", int(v)) }

// lane is the name of a float32 of the register.
func (v vector) lane(i int) string { return fmt.Sprintf("V%d.S[%d]", int(v), i) }

// at is an address in memory.
func at(base general, offset int) string { return fmt.Sprintf("%d(%v)", offset, base) }

func (t *text) line(format string, arguments ...any) {
	fmt.Fprintf(t, format+"\n", arguments...)
}

// function begins a function with the given sizes of its frame and its arguments.
func (t *text) function(name, declaration string, frame, arguments int) {
	t.labels = 0
	t.line("\n// func %s%s", name, declaration)
	t.line("TEXT ·%s(SB), NOSPLIT, $%d-%d", name, frame, arguments)
}

// op writes an instruction, its operands in the order of Go's assembler: the
// destination is the last.
func (t *text) op(mnemonic string, operands ...any) {
	var names []string
	for _, o := range operands {
		if number, ok := o.(int); ok {
			o = fmt.Sprintf("$%d", number)
		}
		names = append(names, fmt.Sprint(o))
	}
	t.line("%s", strings.TrimRight("\t"+mnemonic+"\t"+strings.Join(names, ", "), "\t"))
}

// newLabel returns a new label of the function.
func (t *text) newLabel(name string) string {
	t.labels++
	return fmt.Sprintf("%s%d", name, t.labels)
}

func (t *text) label(name string) { t.line("%s:", name) }

func (t *text) zero(v vector) { t.op("VEOR", v.bytes(), v.bytes(), v.bytes()) }

// loadRow loads consecutive vectors, and with advance moves the address past them.
func (t *text) loadRow(first vector, count int, base general, advance bool) {
	for i := 0; i < count; i += 2 {
		mnemonic, to, offset, bytes := "FLDPQ", fmt.Sprintf("(F%d, F%d)", first, first+1), 16*i, 32
		if i+1 == count {
			mnemonic, to, bytes = "FMOVQ", first.scalar(), 16
		}
		if advance {
			mnemonic, offset = mnemonic+".P", bytes
		}
		t.op(mnemonic, at(base, offset), to)
		first += 2
	}
}

// The bits of the mask of a call give the number of lanes of the last vector of a row: 1, 3,
// 7 or 15.

// loadPart loads one to three lanes, according to the bits of a mask.
func (t *text) loadPart(from general, offset int, to, spare vector, bits general) {
	one, done := t.newLabel("one"), t.newLabel("done")
	t.op("TBZ", 1, bits, one)
	t.op("FMOVD", at(from, offset), to.scalar())
	t.op("TBZ", 2, bits, done)
	t.op("FMOVS", at(from, offset+8), spare.scalar())
	t.op("VMOV", spare.lane(0), to.lane(2))
	t.op("B", done)
	t.label(one)
	t.op("FMOVS", at(from, offset), to.scalar())
	t.label(done)
}

// The instructions below are not known to Go's assembler (1.26), and are written as words,
// each with Arm's notation in a comment, in which the destination is first.

// fmaLane adds x·(lane i of y) to sum.
func (t *text) fmaLane(sum, x, y vector, i int) {
	word := 0x4f801000 | uint32(i&1)<<21 | uint32(y)<<16 | uint32(i>>1)<<11 | uint32(x)<<5 | uint32(sum)
	t.word(word, "FMLA V%d.4S, V%d.4S, V%d.S[%d]", sum, x, y, i)
}

// fmaLane64 is fmaLane for float64.
func (t *text) fmaLane64(sum, x, y vector, i int) {
	word := 0x4fc01000 | uint32(y)<<16 | uint32(i)<<11 | uint32(x)<<5 | uint32(sum)
	t.word(word, "FMLA V%d.2D, V%d.2D, V%d.D[%d]", sum, x, y, i)
}

func (t *text) word(word uint32, format string, arguments ...any) {
	t.line("\tWORD\t$0x%08x // "+format, append([]any{word}, arguments...)...)
}

// instruction is a vector instruction of one or two operands.
type instruction struct {
	name             string
	lanes, fromLanes string
	word             uint32
}

var (
	add          = instruction{"FADD", "4S", "4S", 0x4e20d400}
	subtract     = instruction{"FSUB", "4S", "4S", 0x4ea0d400}
	multiply     = instruction{"FMUL", "4S", "4S", 0x6e20dc00}
	divide       = instruction{"FDIV", "4S", "4S", 0x6e20fc00}
	minimum      = instruction{"FMIN", "4S", "4S", 0x4ea0f400} // NaN if either is
	maximum      = instruction{"FMAX", "4S", "4S", 0x4e20f400} // NaN if either is
	addPairs     = instruction{"FADDP", "4S", "4S", 0x6e20d400}
	atLeast      = instruction{"FCMGE", "4S", "4S", 0x6e20e400} // false if either is NaN, like all comparisons
	equal        = instruction{"FCMEQ", "4S", "4S", 0x4e20e400}
	absolute     = instruction{"FABS", "4S", "4S", 0x4ea0f800}  // unary
	signs        = instruction{"SSHR", "4S", "4S", 0x4f210400}  // by 31: all bits are the sign, unary
	negate       = instruction{"FNEG", "4S", "4S", 0x6ea0f800}  // unary
	atMostZero   = instruction{"FCMLE", "4S", "4S", 0x6ea0d800} // unary
	add64        = instruction{"FADD", "2D", "2D", 0x4e60d400}
	subtract64   = instruction{"FSUB", "2D", "2D", 0x4ee0d400}
	difference64 = instruction{"FABD", "2D", "2D", 0x6ee0d400} // |x − y|
	addPairs64   = instruction{"FADDP", "2D", "2D", 0x6e60d400}
	lower64      = instruction{"FCVTL", "2D", "2S", 0x0e617800} // the lower half, unary
	upper64      = instruction{"FCVTL2", "2D", "4S", 0x4e617800}
	andNot       = instruction{"BIC", "16B", "16B", 0x4e601c00}
	narrow16     = instruction{"XTN", "4H", "4S", 0x0e612800} // unary
	narrow8      = instruction{"XTN", "8B", "8H", 0x0e212800} // unary

	and               = instruction{"AND", "16B", "16B", 0x4e201c00}
	add32             = instruction{"ADD", "4S", "4S", 0x4ea08400}
	addPairs32        = instruction{"ADDP", "4S", "4S", 0x4ea0bc00}
	atLeast32         = instruction{"CMGE", "4S", "4S", 0x4ea03c00}
	multiply16        = instruction{"MUL", "8H", "8H", 0x4e609c00}
	addPairs16        = instruction{"UADALP", "4S", "8H", 0x6e606800} // adds to the result, unary
	addSignedPairs16  = instruction{"SADALP", "4S", "8H", 0x4e606800} // likewise
	difference8       = instruction{"UABD", "16B", "16B", 0x6e207400}
	sumPairs8         = instruction{"UADDLP", "8H", "16B", 0x6e202800} // unary
	shiftLeft4        = instruction{"SHL", "4S", "4S, #4", 0x4f245400} // unary, as the following
	shiftLeft8        = instruction{"SHL", "8H", "8H, #8", 0x4f185400}
	shiftRight8       = instruction{"USHR", "8H", "8H, #8", 0x6f180400}
	shiftRightSigned8 = instruction{"SSHR", "8H", "8H, #8", 0x4f180400}
)

// vectors writes to = instruction(x, y).
func (t *text) vectors(i instruction, x, y, to vector) {
	t.word(i.word|uint32(y)<<16|uint32(x)<<5|uint32(to),
		"%s V%d.%s, V%d.%s, V%d.%s", i.name, to, i.lanes, x, i.fromLanes, y, i.fromLanes)
}

// unary writes to = instruction(x).
func (t *text) unary(i instruction, x, to vector) {
	operand := ""
	switch i {
	case atMostZero:
		operand = ", #0.0"
	case signs:
		operand = ", #31"
	}
	t.word(i.word|uint32(x)<<5|uint32(to),
		"%s V%d.%s, V%d.%s", i.name, to, i.lanes, x, fmt.Sprint(i.fromLanes, operand))
}

// chunk is the number of elements that a loop processes at a time: two vectors, one, or a
// single element, in the first lane of a vector whose other lanes are zero.
type chunk struct{ elements, vectors int }

var chunks = []chunk{{8, 2}, {4, 1}, {1, 1}}

// inChunks writes the loops over count elements, a register that they count down: over as
// many large chunks as there are, then over smaller ones.
func (t *text) inChunks(count general, body func(chunk)) {
	for _, c := range chunks {
		loop, end := t.newLabel("loop"), t.newLabel("end")
		t.op("SUBS", c.elements, count)
		t.op("BLT", end)
		t.label(loop)
		body(c)
		t.op("SUBS", c.elements, count)
		t.op("BGE", loop)
		t.label(end)
		if c.elements > 1 {
			t.op("ADD", c.elements, count)
		}
	}
}

// load loads a chunk, and with advance moves the pointer past it.
func (t *text) load(c chunk, first vector, from general, advance bool) {
	switch {
	case c.elements > 1:
		t.loadRow(first, c.vectors, from, advance)
	case advance:
		t.op("FMOVS.P", at(from, 4), first.scalar())
	default:
		t.op("FMOVS", at(from, 0), first.scalar())
	}
}

// save stores a chunk and moves the pointer past it.
func (t *text) save(c chunk, from []vector, to general) {
	switch c.elements {
	case 1:
		t.op("FMOVS.P", from[0].scalar(), at(to, 4))
	case 4:
		t.op("FMOVQ.P", from[0].scalar(), at(to, 16))
	default:
		t.line("\tFSTPQ.P\t(%s, %s), %s", from[0].scalar(), from[1].scalar(), at(to, 32))
	}
}

// doubles returns the number of vectors of a chunk in float64.
func (c chunk) doubles() int { return min(2*c.vectors, c.elements) }

// widen converts a chunk to float64.
func (t *text) widen(c chunk, from, to vector) {
	for i := range vector(c.doubles()) {
		if i%2 == 0 {
			t.unary(lower64, from+i/2, to+i)
		} else {
			t.unary(upper64, from+i/2, to+i)
		}
	}
}

// loadDoubles loads a chunk of float64.
func (t *text) loadDoubles(c chunk, first vector, from general) {
	if c.elements == 1 {
		t.op("FMOVD", at(from, 0), first.scalar())
		return
	}
	t.loadRow(first, c.doubles(), from, false)
}

// saveDoubles stores a chunk of float64 and moves the pointer past it.
func (t *text) saveDoubles(c chunk, first vector, to general) {
	if c.elements == 1 {
		t.op("FMOVD.P", first.scalar(), at(to, 8))
		return
	}
	t.storeRow(first, c.doubles(), to)
	t.op("ADD", 8*c.elements, to)
}

// neonFactor holds a float32 argument in all lanes, neonZero zeros.
const (
	neonZero   = vector(30)
	neonFactor = vector(31)
)

// loop describes a function that processes arrays element by element, in rows of n elements.
// Its arguments are pointers to all arrays, n, the number of rows if there are channels, and
// the factor or the table of constants if there is one.
type loop struct {
	name     string
	to       string   // the array that is written
	elements []string // arrays that are read, row after row
	channels []string // arrays of one row, which are read again for each row
	factor   bool
	table    bool
	body     func(in []vector) vector // returns the register of the result
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
	if l.table {
		arguments = append(arguments, "table *float32")
	}
	registers := t.begin(l.name, arguments, "")
	t.table = registers["table"]
	t.zero(neonZero)

	// Reading and writing advance separate pointers.
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

// begin begins a function and loads its arguments: a float32, which must be the last one, into
// all lanes of neonFactor, the others into general registers, which are returned by name.
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
