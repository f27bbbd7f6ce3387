package kernel

import "github.com/likeness-go/likeness/internal/vector"

// packed is a matrix (depth, columns) in the order in which a product reads
// it: panels of a few vectors of columns, one after the other, as narrow as
// possible where they cannot be of one width. What is beyond the last column
// is zero.
type packed[T Float] struct {
	data           []T
	depth, columns int
	lanes, panels  int
}

// shape makes p a matrix of a shape, whose contents are then set panel by
// panel.
func (p *packed[T]) shape(e vector.Engine[T], depth, columns int) {
	p.layout(e, depth, columns)
	grow(&p.data, p.vectors()*p.lanes*depth)
}

// layout divides a matrix into panels.
func (p *packed[T]) layout(e vector.Engine[T], depth, columns int) {
	p.depth, p.columns, p.lanes = depth, columns, e.Lanes()
	p.panels = ceilDiv(p.vectors(), e.MaxWidth())
}

func (p *packed[T]) vectors() int { return ceilDiv(p.columns, p.lanes) }

// wide is the number of columns with those that fill the last vector.
func (p *packed[T]) wide() int { return p.vectors() * p.lanes }

// place returns a panel's first column, its number of columns and its width in
// vectors.
func (p *packed[T]) place(i int) (left, columns, width int) {
	first, last := i*p.vectors()/p.panels, (i+1)*p.vectors()/p.panels
	left = first * p.lanes
	return left, min(last*p.lanes, p.columns) - left, last - first
}

// panel is columns [left, left+columns) of a packed matrix.
type panel[T Float] struct {
	data          []T // (depth, width·lanes)
	left, columns int
	width         int // in vectors
}

func (p *packed[T]) panel(i int) panel[T] {
	q := p.bare(i)
	q.data = p.data[q.left*p.depth:][:q.width*p.lanes*p.depth]
	return q
}

// bare is a panel without its data, which a mere layout has not.
func (p *packed[T]) bare(i int) panel[T] {
	left, columns, width := p.place(i)
	return panel[T]{left: left, columns: columns, width: width}
}

// put sets row k of a panel to its columns of a row of the matrix.
func (p *packed[T]) put(q panel[T], k int, row []T) {
	to := q.data[k*q.width*p.lanes:][:q.width*p.lanes]
	clear(to[copy(to, row[q.left:][:q.columns]):])
}

// putTransposed sets rows [0, depth) of a panel to its columns of the
// transpose of a matrix (columns, depth), whose rows start stride elements
// apart.
func (p *packed[T]) putTransposed(e vector.Engine[T], q panel[T], matrix []T, stride int) {
	wide := q.width * p.lanes
	if q.columns < wide {
		clear(q.data)
	}
	e.Transpose(q.data, wide, matrix[q.left*stride:], stride, q.columns, p.depth)
}
