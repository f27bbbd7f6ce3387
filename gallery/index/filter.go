package index

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/vector"
)

// filter is a lower bound of a distance that is cheaper than the distance itself: two
// vectors at a distance of at most d have a measure of at most limit(d).
type filter struct {
	measure  func(x, y []float32) float64
	limit    func(distance float64) float64
	units    bool // vectors are normalized to length 1 before they are compared
	products bool // the measure is the squared Euclidean distance, for which matrix products can be used
	ordered  bool // a smaller measure is a smaller distance, but for rounding, and never negative: a Graph can be built
}

// rounding bounds the relative error of a sum of the kernels: each term is exact
// to 2⁻²³ of a difference, squared to 2⁻²², and adding is in float64. The
// distance's own rounding is nothing beside it.
const rounding = 0x1p-20

// maxWeight is the largest magnitude of a weight at which no float32 kernel
// overflows.
const maxWeight = MaxValue

// filterFor is the float32 filter of a distance that has a form. Any other distance
// is its own filter.
func filterFor(distance heads.Distance) filter {
	engine := vector.For[float32]()
	unchanged := func(d float64) float64 { return d }
	form, known := distance.Form()
	// sum is what the distance makes the sum of |xⱼ − yⱼ|^Power, or of their products
	// with the weights, be at most; see heads.Form.
	sum := func(d float64) float64 { return form.Sum(d) / form.Scale * (1 + rounding) }
	large := slices.ContainsFunc(form.Weights, func(w float32) bool { return !(math.Abs(float64(w)) <= maxWeight) })
	switch {
	case known && form.Normalize:
		// The measure is the squared distance of the unit vectors, which is less than
		// the form's where one is zero. Rounding moves either unit vector by up to 2⁻²⁴.
		return filter{
			measure: engine.SquaredDistance, units: true, products: true, ordered: true,
			limit: func(d float64) float64 {
				chord := math.Sqrt(form.Sum(d)/form.Scale) + 0x1p-22
				return chord * chord * (1 + rounding)
			},
		}
	case known && form.Power == 2 && form.Weights == nil:
		return filter{measure: engine.SquaredDistance, products: true, ordered: true, limit: sum}
	case known && form.Power == 1 && form.Weights == nil:
		return filter{measure: engine.AbsoluteDistance, ordered: true, limit: sum}
	case known && form.Power == 1 && !large && !form.Signed():
		return filter{
			measure: func(x, y []float32) float64 { return engine.WeightedDistance(x, y, form.Weights) },
			limit:   sum, ordered: true,
		}
	case known && form.Power == 1 && !large:
		magnitudes := make([]float32, len(form.Weights))
		for j, w := range form.Weights {
			magnitudes[j] = float32(math.Abs(float64(w)))
		}
		return filter{
			measure: func(x, y []float32) float64 {
				return engine.WeightedDistance(x, y, form.Weights) - rounding*engine.WeightedDistance(x, y, magnitudes)
			},
			limit: func(d float64) float64 { return d / form.Scale },
		}
	}
	return filter{measure: distance.Between, limit: unchanged, ordered: known && !form.Signed()}
}

// fewestProducts is the number of queries from which on squared distances are computed by
// matrix products. The tiles of a product are as wide as a vector register of queries,
// most of which is wasted for fewer.
const fewestProducts = 4

// products computes ‖x−y‖² = ‖x‖² + ‖y‖² − 2x·y for a panel of queries x at a time. The
// error of a float32 product of n elements is at most n·2⁻²⁴·‖x‖‖y‖, which is at most
// n·2⁻²⁵·(‖x‖² + ‖y‖²): so much is subtracted, and a little for underflow.
type products struct {
	engine  vector.Engine[float32]
	panels  []queryPanel
	result  []float32 // (rows of a block, columns of the widest panel)
	offsets []int32
	squares []float64 // of the queries
	keep    float64   // of ‖x‖² + ‖y‖²
}

// tiny is far below every square that matters and above what underflows in float32.
const tiny = 1e-30

// queryPanel is a number of queries, packed as vector.Rows reads them.
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
	p.result, p.offsets = make([]float32, most*min(widest, len(questions))), make([]int32, 2*most)
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
			C: p.result, A: data[begin*v.columns : end*v.columns], B: panel.packed,
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

// through offers the rows from begin on by their products with a panel.
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
		for i, product := range p.result[row*panel.count:][:panel.count] {
			question := panel.first + i
			if square-2*float64(product) <= limits[i] && s.measure(&answers[question], question, begin+row) {
				limits[i] = limit(question)
			}
		}
	}
}
