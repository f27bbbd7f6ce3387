package index

import "github.com/likeness-go/likeness/internal/vector"

// fewestProducts is from how many queries on squared distances are measured by
// products of matrices. The product's tiles are as wide as a vector of queries,
// most of which is wasted on fewer.
const fewestProducts = 4

// products measures ‖x−y‖² = ‖x‖² + ‖y‖² − 2x·y for a panel of queries x at a
// time. A float32 product of n elements is wrong by up to n·2⁻²⁴·‖x‖‖y‖, which
// is at most n·2⁻²⁵·(‖x‖² + ‖y‖²): so much is taken off, and a little for what
// is too small for float32.
type products struct {
	engine  vector.Engine[float32]
	panels  []queryPanel
	room    []float32 // (rows of a block, columns of the widest panel)
	offsets []int32
	squares []float64 // of the queries
	keep    float64   // of ‖x‖² + ‖y‖²
}

// tiny is far below every square that matters and above what float32 loses.
const tiny = 1e-30

// queryPanel is some queries, packed as vector.Rows reads them.
type queryPanel struct {
	first, count, width int
	packed              []float32
}

func newProducts(v *Vectors, questions []question, most int) *products {
	p := &products{engine: vector.For[float32](), keep: 1 - float64(v.columns+4)*0x1p-23}
	for _, question := range questions {
		p.squares = append(p.squares, p.engine.SquaredNorm(question.compared))
	}
	lanes := p.engine.Lanes()
	widest := lanes * p.engine.MaxWidth()
	for first := 0; first < len(questions); first += widest {
		panel := queryPanel{first: first, count: min(widest, len(questions)-first)}
		panel.width = (panel.count + lanes - 1) / lanes
		panel.packed = make([]float32, v.columns*panel.width*lanes)
		for i := range panel.count {
			for k, value := range questions[first+i].compared {
				panel.packed[k*panel.width*lanes+i] = value
			}
		}
		p.panels = append(p.panels, panel)
	}
	p.room, p.offsets = make([]float32, most*min(widest, len(questions))), make([]int32, 2*most)
	return p
}

// block is scan.block. The rows are the long factor, which is read in place.
func (p *products) block(s *scan, answers []selection, begin, end int) {
	v, rows := s.vectors, end-begin
	data := v.data
	if v.filter.units {
		data = v.units
	}
	for _, panel := range p.panels {
		product := vector.Rows[float32]{
			C: p.room, A: data[begin*v.columns : end*v.columns], B: panel.packed,
			Width: panel.width, Columns: panel.count, Segments: 1, Length: v.columns, Stride: v.columns,
			AOffsets: p.offsets[:rows], COffsets: p.offsets[rows : 2*rows],
		}
		for i := range rows {
			product.AOffsets[i], product.COffsets[i] = int32(i*v.columns), int32(i*panel.count)
		}
		p.engine.Rows(&product)
		p.through(s, answers, panel, begin, rows)
	}
}

// through looks through the products of the rows from begin with a panel.
func (p *products) through(s *scan, answers []selection, panel queryPanel, begin, rows int) {
	limit := func(question int) float64 {
		return s.vectors.filter.limit(answers[question].worst()) - p.keep*p.squares[question] + tiny
	}
	limits := make([]float64, panel.count)
	for i := range limits {
		limits[i] = limit(panel.first + i)
	}
	for row := range rows {
		square := p.keep * s.vectors.squares[begin+row]
		for i, product := range p.room[row*panel.count:][:panel.count] {
			question := panel.first + i
			if square-2*float64(product) <= limits[i] && s.measure(&answers[question], question, begin+row) {
				limits[i] = limit(question)
			}
		}
	}
}
