package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// machine is an instruction set.
type machine struct {
	name      string
	lanes     int   // float32 elements in a vector
	registers int   // number of vector registers
	rows      []int // the largest number of rows of a tile, by its width in vectors
	pairs     bool  // the elements of factors are pairs of bfloat16 numbers
}

var machines = []*machine{
	{name: "avx512", lanes: 16, registers: 32, rows: []int{0, 12, 12, 8, 6}},
	{name: "avx2", lanes: 8, registers: 16, rows: []int{0, 10, 6}},
}

// code writes an assembly file for one machine.
type code struct {
	*build.Context
	*machine
	labels       int
	routines     []routine
	byteRoutines []routine // of the table of bytes
}

// wide reports whether the machine is AVX-512, whose vectors have 16 lanes and whose
// instructions take masks.
func (c *code) wide() bool { return c.lanes == 16 }

// hasPeaks reports whether there are tiles of Peaks, which need masks.
func (m *machine) hasPeaks() bool { return m.name == "avx512" }

// vector returns vector register i.
func (c *code) vector(i int) reg.VecPhysical {
	if i >= c.registers {
		panic(fmt.Sprintf("%s has no vector register %d", c.name, i))
	}
	if c.wide() {
		return zmm[i]
	}
	return ymm[i]
}

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

var ymm = []reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

// label returns a new label of the function.
func (c *code) label(name string) string {
	c.labels++
	return fmt.Sprintf("%s%d", name, c.labels)
}

// function begins a function with one argument, a pointer to a call.
func (c *code) function(name string) {
	c.labels = 0
	c.Function(name)
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func(call *byte)")
}

// call loads the pointer to the call.
func (c *code) call(to reg.Register) {
	c.Load(c.Param("call"), to)
}

func (c *code) end() {
	c.VZEROUPPER()
	c.RET()
}

// zero clears a vector.
func (c *code) zero(v operand.Op) {
	if c.wide() {
		c.VPXORD(v, v, v)
	} else {
		c.VXORPS(v, v, v)
	}
}

// fma adds a·b to sum.
func (c *code) fma(sum, a, b operand.Op) { c.VFMADD231PS(b, a, sum) }

// product adds to sum the product of elements of two factors.
func (c *code) product(sum, a, b reg.VecPhysical) {
	if c.pairs {
		c.dotPairs(sum, a, b)
		return
	}
	c.fma(sum, a, b)
}

// multipliesMemory reports whether a product takes an element of memory for all lanes.
func (c *code) multipliesMemory() bool { return c.wide() && !c.pairs }

// The mask of the last vector of a row is in K1, or in a register.
const maskBits, maskLanes = 0, 8 // offsets in a mask

func (c *code) loadMask(call reg.Register, offset int, v reg.VecPhysical) {
	if c.wide() {
		c.KMOVW(operand.Mem{Base: call, Disp: offset + maskBits}, reg.K1)
	} else {
		c.VMOVUPS(operand.Mem{Base: call, Disp: offset + maskLanes}, v)
	}
}

// loadMasked loads the lanes in the mask and clears the others.
func (c *code) loadMasked(from operand.Mem, to, mask reg.VecPhysical) {
	if c.wide() {
		c.VMOVUPS_Z(from, reg.K1, to)
	} else {
		c.VMASKMOVPS(from, mask, to)
	}
}

// storeMasked stores the lanes in the mask.
func (c *code) storeMasked(from reg.VecPhysical, to operand.Mem, mask reg.VecPhysical) {
	if c.wide() {
		c.VMOVUPS(from, reg.K1, to)
	} else {
		c.VMASKMOVPS(from, mask, to)
	}
}

// routine is an assembly function with plain parameters; the table refers to it by name.
type routine struct {
	name      string
	signature string // "(y, x *float32, n int)"
}

func (r routine) symbol(m *machine) string { return r.name + "_" + m.name }

// routine begins such a function. Its registers are virtual; avo assigns the physical ones.
func (c *code) routine(name, signature string) {
	r := routine{name, signature}
	c.routines = append(c.routines, r)
	c.labels = 0
	c.Function(r.symbol(c.machine))
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func" + signature)
}

// argument loads an integer or a pointer.
func (c *code) argument(name string) reg.GPVirtual {
	return c.Load(c.Param(name), c.GP64()).(reg.GPVirtual)
}

// inMemory returns the address of an argument, for arguments that are not kept in a
// register.
func (c *code) inMemory(name string) operand.Mem {
	b, err := c.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// everywhere loads a float32 argument into all lanes.
func (c *code) everywhere(name string) reg.VecVirtual {
	v := c.any()
	c.VBROADCASTSS(c.inMemory(name), v)
	return v
}

// any returns a new vector.
func (c *code) any() reg.VecVirtual {
	if c.wide() {
		return c.ZMM()
	}
	return c.YMM()
}

// zeros returns a new vector of zeros.
func (c *code) zeros() reg.VecVirtual {
	v := c.any()
	c.zero(v)
	return v
}
