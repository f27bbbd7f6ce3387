package vector

import "unsafe"

// ScanRows is the number of rows of a group of a Scan.
const ScanRows = 32

// The numbers of features of a unit: of these features of each row of a group, the codes
// are side by side.
const (
	ProductUnit    = 4
	DifferenceUnit = 8
)

// Scan finds the compressed rows that are near compressed queries, in groups of ScanRows
// rows. A row or a query has Units units of features, each with a code of 8 bits.
//
// ScanProducts sets bit i of Near[g·queries+q] if, of row i of group g and query q,
//
//	Base[g·ScanRows+i] + Σ code·int8(query code) ≥ Limits[q]
//
// in arithmetic of 32 bits, and ScanDifferences if
//
//	Σ |code − query code| ≤ Limits[q]
//
// and both clear all other bits. Every engine gives the same bits.
type Scan struct {
	Codes   []uint8 // (groups, Units, ScanRows, unit)
	Base    []int32 // (groups, ScanRows), for products only
	Queries []uint8 // (Units, queries, unit)
	Limits  []int32 // (queries); of differences at least 0
	Near    []uint32
	Units   int // at least 1

	call scanCall // part of the struct so that it is not allocated at each call
}

// groups returns the number of groups; it panics if an array is too short.
func (c *Scan) groups(unit int) int {
	queries := len(c.Limits)
	if queries == 0 || len(c.Near) == 0 {
		return 0
	}
	groups := len(c.Near) / queries
	_ = c.Codes[groups*c.Units*ScanRows*unit-1]
	_ = c.Queries[c.Units*queries*unit-1]
	if unit == ProductUnit {
		_ = c.Base[groups*ScanRows-1]
	}
	return groups
}

// scanCall is the argument of the assembly; the generator has the same offsets.
type scanCall struct {
	codes       *uint8
	base        *int32
	queries     *uint8
	queryStride int // bytes from a unit to the next
	limits      *int32
	near        *uint32
	nearStride  int // bytes from a group to the next
	units       int
	groups      int
}

// scanTile is a function for a number of queries.
type scanTile struct {
	queries int
	run     func(*scanCall)
}

// ScanProducts compares by products.
func (s *Set) ScanProducts(c *Scan) {
	if tiles := s.productTiles(); len(tiles) > 0 {
		scan(c, ProductUnit, tiles)
	} else {
		s.Portable.ScanProducts(c)
	}
}

// ScanDifferences compares by sums of absolute differences.
func (s *Set) ScanDifferences(c *Scan) {
	if len(s.scanDifferences) > 0 {
		scan(c, DifferenceUnit, s.scanDifferences)
	} else {
		s.Portable.ScanDifferences(c)
	}
}

// scan calls the largest tiles that there are queries for.
func scan(c *Scan, unit int, tiles []scanTile) {
	groups := c.groups(unit)
	if groups == 0 {
		return
	}
	queries, call := len(c.Limits), &c.call
	*call = scanCall{
		codes: &c.Codes[0], base: unsafe.SliceData(c.Base), queryStride: queries * unit,
		nearStride: 4 * queries, units: c.Units, groups: groups,
	}
	first := 0
	for _, tile := range tiles {
		for ; queries-first >= tile.queries; first += tile.queries {
			call.queries, call.limits, call.near = &c.Queries[first*unit], &c.Limits[first], &c.Near[first]
			tile.run(call)
		}
	}
}

// ScanProducts compares by products.
func (Portable[T]) ScanProducts(c *Scan) {
	queries := len(c.Limits)
	for g := range c.groups(ProductUnit) {
		codes := c.Codes[g*c.Units*ScanRows*ProductUnit:]
		for q, limit := range c.Limits {
			sums := [ScanRows]int32(c.Base[g*ScanRows:])
			for u := range c.Units {
				x := (*[ScanRows][ProductUnit]uint8)(unsafe.Pointer((*[ScanRows * ProductUnit]uint8)(codes[u*ScanRows*ProductUnit:])))
				y := [ProductUnit]uint8(c.Queries[(u*queries+q)*ProductUnit:])
				y0, y1, y2, y3 := int32(int8(y[0])), int32(int8(y[1])), int32(int8(y[2])), int32(int8(y[3]))
				for i := range x {
					sums[i] += int32(x[i][0])*y0 + int32(x[i][1])*y1 + int32(x[i][2])*y2 + int32(x[i][3])*y3
				}
			}
			var bits uint32
			for i, sum := range sums {
				if sum >= limit {
					bits |= 1 << i
				}
			}
			c.Near[g*queries+q] = bits
		}
	}
}

// ScanDifferences compares by sums of absolute differences.
func (Portable[T]) ScanDifferences(c *Scan) {
	queries := len(c.Limits)
	for g := range c.groups(DifferenceUnit) {
		codes := c.Codes[g*c.Units*ScanRows*DifferenceUnit:]
		for q, limit := range c.Limits {
			var sums [ScanRows]int32
			for u := range c.Units {
				x := (*[ScanRows][DifferenceUnit]uint8)(unsafe.Pointer((*[ScanRows * DifferenceUnit]uint8)(codes[u*ScanRows*DifferenceUnit:])))
				y := [DifferenceUnit]uint8(c.Queries[(u*queries+q)*DifferenceUnit:])
				for i := range x {
					sum := sums[i]
					for k, code := range x[i] {
						difference := int32(code) - int32(y[k])
						sign := difference >> 31
						sum += (difference ^ sign) - sign
					}
					sums[i] = sum
				}
			}
			var bits uint32
			for i, sum := range sums {
				if sum <= limit {
					bits |= 1 << i
				}
			}
			c.Near[g*queries+q] = bits
		}
	}
}
