package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pairMachine is AVX-512 with the extension BF16: the elements of the factors of Rows and Outer are
// pairs of bfloat16 numbers, whose two products VDPBF16PS adds to a float32 sum.
var pairMachine = &machine{name: "avx512bf16", lanes: 16, registers: 32, rows: []int{0, 12, 12, 8, 6}, pairs: true}

// pairFiles returns the files of pairMachine, and those of what decides whether it is used.
func pairFiles() map[string][]byte {
	m := pairMachine
	all := map[string][]byte{"table_" + m.name + "_amd64.go": pairTable(m)}
	all["rows_"+m.name+"_amd64.s"], _ = assemble(m, writeRows)
	all["outer_"+m.name+"_amd64.s"], _ = assemble(m, writeOuter)
	all["ceiling_"+m.name+"_amd64.s"], _ = assemble(m, writePairCeiling)
	all["cpuid_amd64.s"], _ = assemble(m, writeIdentification)
	return all
}

// pairTable returns a Go file with the declarations of the tiles, and the tables in which package
// vector finds them.
func pairTable(m *machine) []byte {
	var b, declarations bytes.Buffer
	fmt.Fprint(&b, generated+"\npackage vector\n\n")
	for _, kind := range kinds {
		fmt.Fprintf(&b, "// %s_%s holds the tiles by width in vectors and number of rows.\nvar %s_%s = [][]func(*%s){nil,\n", kind.name, m.name, kind.name, m.name, kind.call)
		for width := 1; width < len(m.rows); width++ {
			fmt.Fprint(&b, "{nil,")
			for rows := 1; rows <= m.rows[width]; rows++ {
				fmt.Fprintf(&b, "%s,", kind.function(m, width, rows))
				fmt.Fprintf(&declarations, "//go:noescape\nfunc %s(call *%s)\n\n", kind.function(m, width, rows), kind.call)
			}
			fmt.Fprint(&b, "},\n")
		}
		fmt.Fprint(&b, "}\n\n")
	}
	b.Write(declarations.Bytes())
	source, err := format.Source(b.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	return source
}

// dotPairs adds to each lane of sum the two products of the pairs of a and b. Neither avo nor Go's
// assembler has the instruction, VDPBF16PS, so it is written as its six bytes (Intel's manual,
// volume 2: EVEX.512.F3.0F38.W0 52 /r).
func (c *code) dotPairs(sum, a, b reg.VecPhysical) {
	to, first, second := byte(sum.PhysicalIndex()), byte(a.PhysicalIndex()), byte(b.PhysicalIndex())
	// Bits of register numbers are inverted, except those of the last byte.
	bit := func(register byte, i int) byte { return ^register >> i & 1 }
	payload := [3]byte{
		bit(to, 3)<<7 | bit(second, 4)<<6 | bit(second, 3)<<5 | bit(to, 4)<<4 | 2,
		^first&15<<3 | 1<<2 | 2,
		2<<5 | bit(first, 4)<<3,
	}
	begin := uint32(0x62) | uint32(payload[0])<<8 | uint32(payload[1])<<16 | uint32(payload[2])<<24
	rest := uint32(0x52) | uint32(3<<6|to&7<<3|second&7)<<8
	c.Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(begin)}})
	c.Instruction(&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16(rest)}})
}

// constant returns a vector with a value in each lane of 32 bits.
func (c *code) constant(value uint32) reg.VecVirtual {
	v, scalar := c.any(), c.GP32()
	c.MOVL(operand.U32(value), scalar)
	if c.wide() {
		c.VPBROADCASTD(scalar, v)
		return v
	}
	c.VMOVD(scalar, v.AsX())
	c.VPBROADCASTD(v.AsX(), v)
	return v
}

// rounding rounds float32 numbers to the nearest bfloat16 number, and to the even one of two that
// are equally near.
type rounding struct {
	*code
	one, below, quiet reg.VecVirtual
}

func (c *code) newRounding() rounding {
	return rounding{c, c.constant(1), c.constant(0x7fff), c.constant(1 << 22)}
}

// round returns the rounded numbers in the upper halves of the lanes; the lower halves are to be
// cleared. NaN stays NaN.
func (r rounding) round(v reg.VecVirtual) reg.VecVirtual {
	const unordered = 3
	rounded := r.any()
	r.VPSRLD(operand.Imm(16), v, rounded)
	r.and(r.one, rounded)
	r.VPADDD(r.below, rounded, rounded)
	r.VPADDD(v, rounded, rounded)
	if r.wide() {
		nan := r.K()
		r.VCMPPS(operand.Imm(unordered), v, v, nan)
		r.VPORD(r.quiet, v, nan, rounded)
		return rounded
	}
	nan, quiet := r.any(), r.any()
	r.VCMPPS(operand.Imm(unordered), v, v, nan)
	r.VPOR(r.quiet, v, quiet)
	r.VBLENDVPS(nan, quiet, rounded, rounded)
	return rounded
}

// writeBFloat16 writes the conversions to bfloat16. They use no instruction of the extension BF16.
func writeBFloat16(c *code) {
	c.routine("roundBFloat16", "(y, x *float32, n int)")
	r, upper := c.newRounding(), c.constant(0xffff0000)
	c.elementwise([]string{"y", "x"}, 4, func(p part, y, x, _ reg.GPVirtual) {
		rounded := r.round(p.load(x))
		c.and(upper, rounded)
		p.store(rounded, y)
	})
	if !c.wide() {
		return
	}

	c.routine("pairLists", "(y, x0, x1 *float32, n int)")
	r, upper = c.newRounding(), c.constant(0xffff0000)
	c.elementwise([]string{"y", "x0", "x1"}, 2, func(p part, y, x0, x1 reg.GPVirtual) {
		low, high := r.round(p.load(x0)), r.round(p.load(x1))
		c.VPSRLD(operand.Imm(16), low, low)
		c.and(upper, high)
		c.VPORD(low, high, high)
		p.store(high, y)
	})

	// The number of blocks, of 32 numbers, is at least one.
	c.routine("pairNeighbors", "(y, x *float32, blocks int)")
	y, x, blocks := c.argument("y"), c.argument("x"), c.argument("blocks")
	r = c.newRounding()
	loop := c.label("loop")
	c.Label(loop)
	for half := range 2 {
		v := c.any()
		c.VMOVUPS(operand.Mem{Base: x, Disp: 64 * half}, v)
		v = r.round(v)
		c.VPSRLD(operand.Imm(16), v, v)
		c.VPMOVDW(v, operand.Mem{Base: y, Disp: 32 * half})
	}
	c.ADDQ(operand.U32(128), x)
	c.ADDQ(operand.U32(64), y)
	c.DECQ(blocks)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}

// writePairCeiling writes products of pairs that depend neither on memory nor on each other, as
// writeCeiling does of float32 numbers.
func writePairCeiling(c *code) {
	c.Function("ceilingPairs")
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func(iterations int, factor uint32)")
	left, factor, loop := reg.RAX, c.vector(ceilingSums), c.label("loop")
	c.Load(c.Param("factor"), reg.EAX)
	c.VPBROADCASTD(reg.EAX, factor)
	c.Load(c.Param("iterations"), left)
	for i := range ceilingSums {
		c.zero(c.vector(i))
	}
	c.Label(loop)
	for range 2 {
		for i := range ceilingSums {
			c.dotPairs(c.vector(i), factor, factor)
		}
	}
	c.DECQ(left)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}

// writeIdentification writes the instruction with which a processor describes itself.
func writeIdentification(c *code) {
	c.Function("cpuid")
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func(leaf, subleaf uint32) (a, b, c, d uint32)")
	c.Load(c.Param("leaf"), reg.EAX)
	c.Load(c.Param("subleaf"), reg.ECX)
	c.CPUID()
	for i, r := range []reg.Register{reg.EAX, reg.EBX, reg.ECX, reg.EDX} {
		c.Store(r, c.ReturnIndex(i))
	}
	c.RET()
}
