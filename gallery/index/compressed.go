package index

import (
	"math"
	"math/bits"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// blockRows is the number of rows that are compressed together. Fewer, the last ones, are
// not compressed.
const blockRows = 1024

// maxCompressed is the largest number of elements of a row that is compressed, at which no
// sum of products of codes, 2·128·127 each, exceeds 32 bits.
const maxCompressed = 1 << 15

// zeroCode is the code of an element that is zero.
const zeroCode = 128

// step is the difference of two elements with codes that are next to each other, as a power
// of the fourth root of two.
type step int16

// minStep is far below the smallest float32.
const minStep step = -4 * 170

// roots are the powers of the fourth root of two, rounded to float32, so that the products
// of a step and a code are exact.
var roots = [4]float64{1, 0x1.306fep0, 0x1.6a09e6p0, 0x1.ae89fap0}

func (s step) value() float64 { return math.Ldexp(roots[s&3], int(s>>2)) }

// stepFor returns the smallest step with which elements of the given magnitude have codes.
func stepFor(magnitude float64) step {
	if magnitude == 0 {
		return minStep
	}
	s := max(minStep, step(4*math.Log2(magnitude/127)))
	for 127*s.value() < magnitude {
		s++
	}
	for s > minStep && 127*(s-1).value() >= magnitude {
		s--
	}
	return s
}

// compressed is the first rows of a matrix with codes of 8 bits, in blocks of blockRows.
type compressed struct {
	absolute bool // for sums of absolute differences; otherwise for products
	columns  int
	unit     int // of vector.Scan
	units    int // of a row
	blocks   []block
}

// block is blockRows rows: element x has the code round(x/step) + zeroCode.
type block struct {
	step  step
	error float64 // the largest error of a row: its distance from its codes times the step
	codes []uint8 // as vector.Scan reads them
	base  []int32 // of products: −½ of the sum of the squares of the codes of each row
}

// newCompressed returns a matrix without rows; nil for a filter that does not use one.
func newCompressed(f filter, columns int) *compressed {
	if !f.squares && !f.absolute || columns > maxCompressed {
		return nil
	}
	c := &compressed{absolute: f.absolute, columns: columns, unit: vector.ProductUnit}
	if f.absolute {
		c.unit = vector.DifferenceUnit
	}
	c.units = (columns + c.unit - 1) / c.unit
	return c
}

// rows returns the number of compressed rows.
func (c *compressed) rows() int {
	if c == nil {
		return 0
	}
	return len(c.blocks) * blockRows
}

// update compresses the blocks that are full, of rows rows, which row returns. Blocks
// before the given row are up to date.
func (c *compressed) update(from, rows int, row func(int) []float32) {
	if c == nil {
		return
	}
	kept := min(len(c.blocks), from/blockRows)
	clear(c.blocks[kept:]) // what is removed is not kept in memory
	c.blocks = c.blocks[:kept]
	full := make([]block, rows/blockRows-kept)
	parallel.For(len(full), func(i int) { full[i] = c.compress((kept+i)*blockRows, row) })
	c.blocks = append(c.blocks, full...)
}

// compress compresses the rows of a block.
func (c *compressed) compress(first int, row func(int) []float32) block {
	b := block{codes: make([]uint8, blockRows*c.units*c.unit)}
	if !c.absolute {
		b.base = make([]int32, blockRows)
	}
	var magnitude float64
	for i := range blockRows {
		magnitude = max(magnitude, magnitudeOf(row(first+i)))
	}
	b.step = stepFor(magnitude)
	for i := range blockRows {
		c.encodeRow(&b, i, row(first+i))
	}
	return b
}

// set compresses row i again, which has changed.
func (c *compressed) set(i int, row func(int) []float32) {
	if i >= c.rows() {
		return
	}
	b := &c.blocks[i/blockRows]
	if x := row(i); magnitudeOf(x) <= 127*b.step.value() {
		c.encodeRow(b, i%blockRows, x)
	} else {
		*b = c.compress(i-i%blockRows, row)
	}
}

func magnitudeOf(x []float32) float64 {
	var most float32
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > most {
			most = v
		}
	}
	return float64(most)
}

// encodeRow writes the codes of row i of a block.
func (c *compressed) encodeRow(b *block, i int, x []float32) {
	group, at := i/vector.ScanRows, i%vector.ScanRows
	width := vector.ScanRows * c.unit
	e := c.encode(b.codes[group*c.units*width+at*c.unit:], width, b.step.value(), zeroCode, x)
	if b.error = max(b.error, e.error); b.base != nil {
		b.base[i] = -e.squares / 2
	}
}

// encoded is what encode returns about the codes of a vector.
type encoded struct {
	squares int32   // Σ code²
	sum     int32   // Σ code
	error   float64 // the distance from the codes times the step, rounded up
}

// encode writes the codes of a vector, between −127 and 127 plus an offset, in units that
// are stride bytes apart.
func (c *compressed) encode(to []uint8, stride int, step float64, offset uint8, x []float32) (e encoded) {
	const magic = 0x1.8p52 // a number is rounded to an integer by adding this
	inverse := 1 / step
	for u := range c.units {
		unit := to[u*stride:][:c.unit]
		for k := range unit {
			j := u*c.unit + k
			if j >= len(x) {
				unit[k] = offset
				continue
			}
			value := float64(x[j])
			scaled := value * inverse
			if scaled > 127 {
				scaled = 127
			} else if scaled < -127 {
				scaled = -127
			}
			code := int32(math.Float64bits(scaled + magic))
			difference := value - step*float64(code)
			if c.absolute {
				e.error += math.Abs(difference)
			} else {
				e.error += difference * difference
			}
			e.squares += code * code
			e.sum += code
			unit[k] = uint8(code) + offset
		}
	}
	if !c.absolute {
		e.error = math.Sqrt(e.error)
	}
	e.error *= up
	return e
}

// up is above 1 by more than all rounding of sums in float64 of maxCompressed terms.
const up = 1 + 1e-9

// maxPanel is the number of queries that are compared with a block at a time. It is a
// multiple of the numbers of queries of the tiles of vector.Scan.
const maxPanel = 240

// panel is queries that are compared together, compressed with the steps that were needed.
type panel struct {
	first     int // question
	questions []question
	limits    []float64 // of the filter, for each question
	coded     map[step]*codedQueries
}

type codedQueries struct {
	codes   []uint8 // as vector.Scan reads them
	encoded []encoded
}

// with returns the queries compressed with a step.
func (p *panel) with(s step, c *compressed) *codedQueries {
	if found := p.coded[s]; found != nil {
		return found
	}
	n := len(p.questions)
	q := &codedQueries{codes: make([]uint8, n*c.units*c.unit), encoded: make([]encoded, n)}
	offset := uint8(0)
	if c.absolute {
		offset = zeroCode
	}
	for i, question := range p.questions {
		q.encoded[i] = c.encode(q.codes[i*c.unit:], n*c.unit, s.value(), offset, question.compared)
	}
	p.coded[s] = q
	return q
}

// scanLimit returns the limit of vector.Scan for rows of a block that are at most
// √limit, or with absolute differences limit, from a query. See the documentation of the
// package for the proof.
func (c *compressed) scanLimit(limit float64, query encoded, b *block) int32 {
	if c.absolute {
		reach := (limit + b.error + query.error) / b.step.value() * up
		return int32(min(reach, math.MaxInt32))
	}
	reach := (math.Sqrt(limit) + b.error + query.error) / b.step.value() * up
	if reach > 1<<20 { // more than the codes of any two vectors are apart
		return math.MinInt32
	}
	half := (int64(query.squares) - int64(reach*reach*up) + 1) >> 1 // rounded up
	return int32(max(math.MinInt32, min(half+zeroCode*int64(query.sum), math.MaxInt32)))
}

// passBytes is the size of the codes that are compared with all queries of a panel before
// the next ones, so that they stay in the level 2 cache.
const passBytes = 128 << 10

// compressedBlock is scan.block for block number of the compressed rows.
func (s *scan) compressedBlock(answers []selection, number int) {
	c := s.vectors.compressed
	b := &c.blocks[number]
	for i := range s.panels {
		s.panel(answers, &s.panels[i], number*blockRows, b)
	}
	s.begun = true
}

func (s *scan) panel(answers []selection, p *panel, first int, b *block) {
	v := s.vectors
	c, coded := v.compressed, p.with(b.step, v.compressed)
	groupBytes := c.units * c.unit * vector.ScanRows
	const groups = blockRows / vector.ScanRows
	for i := range p.limits {
		p.limits[i] = v.filter.limit(answers[p.first+i].worst())
	}
	for g := 0; g < groups; {
		// The limits are those of the rows before. At the beginning, where there are none,
		// few rows are searched at a time.
		n := min(groups-g, max(1, passBytes/groupBytes))
		if !s.begun {
			n = min(n, max(1, g))
		}
		for i, query := range coded.encoded {
			s.call.Limits[i] = c.scanLimit(p.limits[i], query, b)
		}
		queries := len(p.questions)
		call := s.call
		call.Codes, call.Queries, call.Units = b.codes[g*groupBytes:], coded.codes, c.units
		call.Limits, call.Near = s.call.Limits[:queries], s.call.Near[:n*queries]
		if c.absolute {
			v.engine.ScanDifferences(&call)
		} else {
			call.Base = b.base[g*vector.ScanRows:]
			v.engine.ScanProducts(&call)
		}
		for at, near := range call.Near {
			for ; near != 0; near &= near - 1 {
				i := at % queries
				row := first + (g+at/queries)*vector.ScanRows + bits.TrailingZeros32(near)
				question := p.first + i
				if v.filter.measure(p.questions[i].compared, v.compared(row)) <= p.limits[i] && s.measure(&answers[question], question, row) {
					p.limits[i] = v.filter.limit(answers[question].worst())
				}
			}
		}
		g += n
	}
}
