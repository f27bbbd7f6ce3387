package heads

import (
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// The sizes of the parts of a product of matrices.
const (
	productRows = 128  // rows of x at a time, each such part in one goroutine
	tileSize    = 3072 // elements of y of a tile at a time, 24 KiB, which stay in the level 1 cache
)

// products fills out (rows, references) with the inner product of each row of x and each
// row of y, and squares and referenceSquares with the inner product of each row and itself.
// It calculates in float64, in which the product of two float32 is exact, and adds in the
// order of the features. The result for two rows therefore depends on nothing else, not
// even on their order, and that for two equal rows is their square.
func products(out, squares, referenceSquares []float64, x, y []float32, columns int) {
	rows, references := len(squares), len(referenceSquares)
	same := rows == references && unsafe.SliceData(x) == unsafe.SliceData(y)
	parts := (rows + productRows - 1) / productRows
	clear(out)
	clear(squares)
	clear(referenceSquares)
	parallel.For(parts, func(part int) {
		first := part * productRows
		p := newProduct(out, references, columns, first, min(first+productRows, rows))
		from := 0
		if same { // what is left of the diagonal is copied below
			from = first / p.tileColumns * p.tileColumns
		}
		for k := 0; k < columns; k += p.features {
			n := min(p.features, columns-k)
			p.packRows(squares, x, columns, k, n)
			for j := from; j < references; j += p.tileColumns {
				p.packColumns(y, columns, j, k, n)
				if part == 0 {
					p.addSquares(referenceSquares[j:min(j+p.tileColumns, references)])
				}
				p.multiply(j)
			}
		}
	})
	if same {
		for i := range rows {
			for j := range i {
				out[i*references+j] = out[j*references+i]
			}
		}
	}
}

// product computes the products of some rows of x with all rows of y, a tile at a time.
// Where a tile reaches over the edge of the matrix, it is computed apart.
type product struct {
	engine                vector.Engine[float32]
	tileRows, tileColumns int
	features              int // at a time

	out         []float64
	references  int // columns of out
	first, last int // rows of out

	rows    []float64 // of x: (tiles, features, tileRows)
	narrow  []float32 // of y: (features, tileColumns)
	columns []float64 // narrow as float64
	edge    []float64 // a tile
}

func newProduct(out []float64, references, columns, first, last int) *product {
	p := &product{engine: vector.For[float32](), out: out, references: references, first: first, last: last}
	p.tileRows, p.tileColumns = p.engine.InnerTile()
	p.features = min(tileSize/p.tileColumns, columns)
	tiles := (last - first + p.tileRows - 1) / p.tileRows
	p.rows = make([]float64, tiles*p.features*p.tileRows)
	p.narrow = make([]float32, p.features*p.tileColumns)
	p.columns = make([]float64, p.features*p.tileColumns)
	p.edge = make([]float64, p.tileRows*p.tileColumns)
	return p
}

// packRows arranges n features, from k on, of the rows of x in tiles, and adds their
// squares.
func (p *product) packRows(squares []float64, x []float32, columns, k, n int) {
	p.rows = p.rows[:cap(p.rows)/p.features*n]
	clear(p.rows)
	for i := p.first; i < p.last; i++ {
		row := i - p.first
		tile := p.rows[row/p.tileRows*p.tileRows*n+row%p.tileRows:]
		square := squares[i]
		for at, v := range x[i*columns+k:][:n] {
			wide := float64(v)
			tile[at*p.tileRows] = wide
			square += wide * wide
		}
		squares[i] = square
	}
}

// packColumns arranges n features, from k on, of the rows j to j+tileColumns of y.
func (p *product) packColumns(y []float32, columns, j, k, n int) {
	count := min(p.tileColumns, p.references-j)
	narrow := p.narrow[:n*p.tileColumns]
	if count < p.tileColumns {
		clear(narrow)
	}
	for i := range count {
		p.engine.Prefetch(y[(j+i)*columns+k:][:n])
	}
	p.engine.Transpose(narrow, p.tileColumns, y[j*columns+k:], columns, count, n)
	p.columns = p.columns[:len(narrow)]
	p.engine.Widen(p.columns, narrow)
}

// addSquares adds the squares of the packed columns to those of some rows of y.
func (p *product) addSquares(squares []float64) {
	clear(p.edge)
	copy(p.edge, squares)
	p.engine.InnerSquares(p.edge[:p.tileColumns], p.columns)
	copy(squares, p.edge)
}

// multiply adds the products of the packed rows and the packed columns, which belong to
// column j of out and those after it.
func (p *product) multiply(j int) {
	width := min(p.tileColumns, p.references-j)
	size := len(p.columns) / p.tileColumns * p.tileRows
	for i := p.first; i < p.last; i += p.tileRows {
		height := min(p.tileRows, p.last-i)
		rows := p.rows[(i-p.first)/p.tileRows*size:][:size]
		if height == p.tileRows && width == p.tileColumns {
			p.engine.InnerProducts(p.out[i*p.references+j:], p.references, rows, p.columns)
			continue
		}
		for row := range height {
			copy(p.edge[row*p.tileColumns:], p.out[(i+row)*p.references+j:][:width])
		}
		p.engine.InnerProducts(p.edge, p.tileColumns, rows, p.columns)
		for row := range height {
			copy(p.out[(i+row)*p.references+j:][:width], p.edge[row*p.tileColumns:])
		}
	}
}
