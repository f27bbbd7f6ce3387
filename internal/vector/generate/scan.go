package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of scanCall, in bytes.
const (
	scanCodes = 8 * iota
	scanBase
	scanQueries
	scanQueryStride // bytes from a unit to the next
	scanLimits
	scanNear
	scanNearStride // bytes from a group to the next
	scanUnits
	scanGroups
)

// scanRows is the number of rows of a group.
const scanRows = 32

// scanKind is a way to compare compressed rows.
type scanKind struct {
	field string // of the table
	unit  int    // bytes of a row that are side by side, for each of which there is one sum
}

var scanKinds = []scanKind{{"scanProducts", 4}, {"scanDifferences", 8}}

// tiles returns the numbers of queries of the tiles, the largest first. The sums of a tile are
// in registers.
func (k scanKind) tiles(m *machine) []int {
	switch {
	case m.name == "avx512" && k.unit == 4:
		return []int{12, 4, 1}
	case m.name == "avx512":
		return []int{5, 1}
	case m.name == "avx2" && k.unit == 4:
		return []int{2, 1}
	case m.name == "avx2":
		return []int{1}
	}
	return []int{1} // NEON
}

func (k scanKind) name(m *machine, queries int) string {
	return fmt.Sprintf("%s_%s_%d", k.field, m.name, queries)
}

// scanTable returns the fields of a machine's table, and the declarations.
func scanTable(m *machine) (fields, declarations string) {
	for _, k := range scanKinds {
		entries := ""
		for _, queries := range k.tiles(m) {
			entries += fmt.Sprintf("{%d, %s},\n", queries, k.name(m, queries))
			declarations += fmt.Sprintf("//go:noescape\nfunc %s(call *scanCall)\n\n", k.name(m, queries))
		}
		if entries != "" {
			fields += fmt.Sprintf("%s: []scanTile{\n%s},\n", k.field, entries)
		}
	}
	return fields, declarations
}

func writeScan(c *code) {
	for _, k := range scanKinds {
		for _, queries := range k.tiles(c.machine) {
			c.scanTile(k, queries)
		}
	}
}

// scanTile writes the loops over groups and units, for some queries.
func (c *code) scanTile(k scanKind, queries int) {
	c.labels = 0
	c.Function(k.name(c.machine, queries))
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func(call *byte)")
	call := c.argument("call")
	field := func(offset int) reg.GPVirtual {
		to := c.GP64()
		c.MOVQ(operand.Mem{Base: call, Disp: offset}, to)
		return to
	}
	codes, base, first, limits, near := field(scanCodes), field(scanBase), field(scanQueries), field(scanLimits), field(scanNear)
	queryStride, nearStride := field(scanQueryStride), field(scanNearStride)
	units, groups := field(scanUnits), field(scanGroups)
	query, left := c.GP64(), c.GP64()
	s := scanner{code: c, queries: queries, vectors: scanRows * k.unit / (4 * c.lanes)}
	s.begin(k)

	group := c.label("group")
	c.Label(group)
	for q := range queries {
		for v := range s.vectors {
			if k.unit == 4 {
				c.load(operand.Mem{Base: base, Disp: 4 * v * c.lanes}, s.sums[q][v])
			} else {
				c.zero(s.sums[q][v])
			}
		}
	}
	c.MOVQ(first, query)
	c.MOVQ(units, left)
	unit := c.label("unit")
	c.Label(unit)
	s.unit(k, codes, query)
	c.ADDQ(operand.U32(scanRows*k.unit), codes)
	c.ADDQ(queryStride, query)
	c.DECQ(left)
	c.JNZ(operand.LabelRef(unit))
	for q := range queries {
		s.compare(k, q, operand.Mem{Base: limits, Disp: 4 * q}, operand.Mem{Base: near, Disp: 4 * q})
	}
	c.ADDQ(nearStride, near)
	if k.unit == 4 {
		c.ADDQ(operand.U32(4*scanRows), base)
	}
	c.DECQ(groups)
	c.JNZ(operand.LabelRef(group))
	c.end()
}

func (c *code) load(from operand.Mem, to reg.VecVirtual) {
	if c.wide() {
		c.VMOVDQU32(from, to)
	} else {
		c.VMOVDQU(from, to)
	}
}

// scanner writes the parts of a tile.
type scanner struct {
	*code
	queries, vectors int // of the sums of a query
	sums             [][]reg.VecVirtual
	codes            []reg.VecVirtual
	low              reg.VecVirtual // AVX2: 0x00ff in each lane of 16 bits
}

func (s *scanner) begin(k scanKind) {
	for range s.queries {
		var sums []reg.VecVirtual
		for range s.vectors {
			sums = append(sums, s.any())
		}
		s.sums = append(s.sums, sums)
	}
	if s.wide() {
		for range s.vectors {
			s.codes = append(s.codes, s.any())
		}
	} else if k.unit == 4 {
		s.low = s.any()
		s.VPCMPEQW(s.low, s.low, s.low)
		s.VPSRLW(operand.Imm(8), s.low, s.low)
	}
}

// unit adds the products or differences of a unit.
func (s *scanner) unit(k scanKind, codes, query reg.GPVirtual) {
	at := func(v int) operand.Mem { return operand.Mem{Base: codes, Disp: 4 * v * s.lanes} }
	of := func(q int) operand.Mem { return operand.Mem{Base: query, Disp: k.unit * q} }
	switch {
	case s.wide():
		for v, code := range s.codes {
			s.load(at(v), code)
		}
		for q, sums := range s.sums {
			element := s.any()
			if k.unit == 4 {
				s.VPBROADCASTD(of(q), element)
			} else {
				s.VPBROADCASTQ(of(q), element)
			}
			for v, sum := range sums {
				if k.unit == 4 {
					s.addProducts(s.codes[v], element, sum)
				} else {
					s.addDifferences(s.codes[v], element, sum)
				}
			}
		}
	case k.unit == 8:
		for q, sums := range s.sums {
			element := s.any()
			s.VPBROADCASTQ(of(q), element)
			for v, sum := range sums {
				s.addDifferences(at(v), element, sum)
			}
		}
	default:
		// The even and the odd codes of a unit are multiplied as numbers of 16 bits.
		even, odd := make([]reg.VecVirtual, s.queries), make([]reg.VecVirtual, s.queries)
		for q := range s.sums {
			even[q], odd[q] = s.any(), s.any()
			s.VPBROADCASTD(of(q), odd[q])
			s.VPSLLW(operand.Imm(8), odd[q], even[q])
			s.VPSRAW(operand.Imm(8), even[q], even[q])
			s.VPSRAW(operand.Imm(8), odd[q], odd[q])
		}
		for v := range s.vectors {
			evenCodes, oddCodes, product := s.any(), s.any(), s.any()
			s.load(at(v), oddCodes)
			s.VPAND(s.low, oddCodes, evenCodes)
			s.VPSRLW(operand.Imm(8), oddCodes, oddCodes)
			for q, sums := range s.sums {
				s.VPMADDWD(even[q], evenCodes, product)
				s.VPADDD(product, sums[v], sums[v])
				s.VPMADDWD(odd[q], oddCodes, product)
				s.VPADDD(product, sums[v], sums[v])
			}
		}
	}
}

// addProducts adds the four products of each lane, of unsigned codes and signed elements.
func (s *scanner) addProducts(codes, elements, sum reg.VecVirtual) { s.byteDot(elements, codes, sum) }

// addDifferences adds the eight absolute differences of each lane.
func (s *scanner) addDifferences(codes operand.Op, elements, sum reg.VecVirtual) {
	differences := s.any()
	s.VPSADBW(codes, elements, differences)
	s.VPADDQ(differences, sum, sum)
}

// The predicates of comparisons.
const (
	scanAtMost  = 2
	scanAtLeast = 5
)

// compare writes the bits of the rows of a query.
func (s *scanner) compare(k scanKind, q int, limit, near operand.Mem) {
	sums := s.sums[q]
	bits := len(sums) // lanes of a vector
	bits = scanRows / bits
	if s.wide() {
		var wide reg.VecVirtual
		if k.unit == 8 {
			number := s.GP64()
			s.MOVLQSX(limit, number)
			wide = s.any()
			s.VPBROADCASTQ(number, wide)
		}
		for v, sum := range sums {
			mask, to := s.K(), near
			to.Disp += bits / 8 * v
			if k.unit == 4 {
				s.VPCMPD_BCST(operand.Imm(scanAtLeast), limit, sum, mask)
				s.KMOVW(mask, to)
			} else {
				s.VPCMPQ(operand.Imm(scanAtMost), wide, sum, mask)
				s.KMOVB(mask, to)
			}
		}
		return
	}
	wide, above, all := s.any(), s.any(), s.GP32()
	if k.unit == 4 {
		s.VPBROADCASTD(limit, wide)
	} else {
		number := s.GP64()
		s.MOVLQSX(limit, number)
		s.VMOVQ(number, wide.AsX())
		s.VPBROADCASTQ(wide.AsX(), wide)
	}
	s.XORL(all, all)
	for v := len(sums) - 1; v >= 0; v-- {
		outside := s.GP32()
		if k.unit == 4 {
			s.VPCMPGTD(sums[v], wide, above) // limit > sum
			s.VMOVMSKPS(above, outside)
		} else {
			s.VPCMPGTQ(wide, sums[v], above) // sum > limit
			s.VMOVMSKPD(above, outside)
		}
		s.SHLL(operand.Imm(uint64(bits)), all)
		s.ORL(outside, all)
	}
	s.NOTL(all)
	s.MOVL(all, near)
}
