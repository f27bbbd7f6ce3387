package kernel

import (
	"math"
)

// period is the size of the planes whose transforms are multiplied. The spectrum of a
// plane of real numbers is conjugate symmetric, so that half of its columns suffices.
type period struct{ height, width, half int }

func periodOf(height, width int) period { return period{height, width, width/2 + 1} }

// size returns the number of elements of a spectrum, real and imaginary parts.
func (p period) size() int { return 2 * p.height * p.half }

// products returns about the number of products of the transform of a plane, or of its
// inverse.
func (p period) products(height, width int) int { return 2 * p.half * height * (width + p.height) }

// middle returns the number of frequencies, or of rows, that are not mirror images of
// earlier ones.
func (p period) middle() int { return p.height/2 + 1 }

// foldedIndex returns the index of a frequency in a column of a product of spectra: the
// first middle() frequencies come first, and then the mirror images of all but the
// first of them, in the same order.
func (p period) foldedIndex(ky int) int {
	if ky < p.middle() {
		return ky
	}
	return p.middle() + p.height - 1 - ky
}

// transform transforms planes of height × width numbers, placed in a period of zeros, to
// their spectra, or is the inverse of that. Along the rows it is a product with a matrix.
// Along the columns it is one product for the real and one for the imaginary parts, each
// of the sums and differences of rows that are mirror images in the period: the cosines
// are multiplied with the sums only, and the sines with the differences only.
type transform[T Float] struct {
	period          period
	height, width   int
	mirrors         []mirror // of the forward transform
	even, odd       int      // numbers of sums and of differences
	rows            []T      // forward (half·parts, width), inverse (width, half·parts)
	real, imaginary []T      // forward (height of the period, even + odd), inverse (height, even + odd)
	rowStarts       []int32
	columnStarts    []int32
}

// mirror is one row of a plane, or two that are mirror images in the period, of which the
// sum and the difference are transformed.
type mirror struct {
	row, other int // other is −1 if the mirror image is not in the plane
	even, odd  int // the index of the sum and of the difference; −1 if it would be zero
}

// forwardTransform returns the transform of planes that begin the given numbers of rows and
// of columns from the edge of the period.
func forwardTransform[T Float](p period, top, left, height, width int) *transform[T] {
	t := &transform[T]{period: p, height: height, width: width}
	var evens, odds []int // their rows in the period
	for place := top; place < top+height; place++ {
		m := mirror{row: place - top, other: p.height - place - top, even: -1, odd: -1}
		if m.other < 0 || m.other >= height || 4*height < 3*p.height {
			m.other = -1 // a short plane would have more sums than rows
		} else if m.other < m.row {
			continue
		}
		if m.other == m.row {
			m.other = -1
		} else {
			m.odd = len(odds)
			odds = append(odds, place)
		}
		m.even = len(evens)
		evens = append(evens, place)
		t.mirrors = append(t.mirrors, m)
	}
	t.even, t.odd = len(evens), len(odds)
	for ky := range p.height {
		t.addColumns(ky, evens, odds, 1)
	}
	for kx := range p.half {
		for part := range 2 {
			for x := range width {
				cos, sin := cosSin(kx*(x+left), p.width)
				t.rows = append(t.rows, T([]float64{cos, -sin}[part]))
			}
		}
	}
	multiples(&t.rowStarts, 2*p.half, width)
	multiples(&t.columnStarts, p.height, t.even+t.odd)
	return t
}

// inverseTransform returns the inverse transform to planes that begin the given numbers of
// rows and of columns from the edge of the period.
func inverseTransform[T Float](p period, top, left, height, width int) *transform[T] {
	t := &transform[T]{period: p, height: height, width: width, even: p.middle(), odd: p.height - p.middle()}
	var evens, odds []int
	for k := range t.even {
		evens = append(evens, k)
	}
	for k := range t.odd {
		odds = append(odds, k+1)
	}
	for y := range height {
		t.addColumns(y+top, evens, odds, -1)
	}
	for x := range width {
		for kx := range p.half {
			cos, sin := cosSin(kx*(x+left), p.width)
			scale := 2 / float64(p.height*p.width) // twice, for the half of the spectrum that is left out
			if kx == 0 || 2*kx == p.width {
				scale /= 2
			}
			t.rows = append(t.rows, T(scale*cos), T(-scale*sin))
		}
	}
	multiples(&t.rowStarts, width, 2*p.half)
	multiples(&t.columnStarts, height, p.height)
	return t
}

// addColumns appends a row to the matrices of the columns.
func (t *transform[T]) addColumns(k int, evens, odds []int, direction float64) {
	for _, place := range evens {
		cos, _ := cosSin(k*place, t.period.height)
		t.real, t.imaginary = append(t.real, T(cos)), append(t.imaginary, T(cos))
	}
	for _, place := range odds {
		_, sin := cosSin(k*place, t.period.height)
		t.real, t.imaginary = append(t.real, T(direction*sin)), append(t.imaginary, T(-direction*sin))
	}
}

// cosSin returns the cosine and the sine of 2πk/n.
func cosSin(k, n int) (cos, sin float64) {
	sin, cos = math.Sincos(2 * math.Pi * float64(k%n) / float64(n))
	return cos, sin
}

// multiples returns the offsets 0, step, …, (n−1)·step.
func multiples(space *[]int32, n, step int) []int32 {
	offsets := grow(space, n)
	for i := range offsets {
		offsets[i] = int32(i * step)
	}
	return offsets
}

// The spectra of images have the layout (half, images, height, part, channels), so that
// each frequency of all images is close together in memory, and so are the frequencies of
// one image that are written one after the other; part is 0 for real and 1 for imaginary
// parts. The spectra of products are (images, panels, half, part, height, columns of the
// panel), the order in which the inverse transform reads them. Those of the weights are
// (half, height, panels, part, depth, columns of the panel).

// complexOffsets returns n pairs of offsets, real + i·step and imaginary + i·step.
func (w *workspace[T]) complexOffsets(n, step, real, imaginary int) []int32 {
	offsets := grow(&w.offsets, 2*n)
	for i := range n {
		offsets[2*i], offsets[2*i+1] = int32(i*step+real), int32(i*step+imaginary)
	}
	return offsets
}

// transformPlanes writes the spectra of the channels of one of a number of images.
func (f *fourier[T]) transformPlanes(w *workspace[T], to, x []T, t *transform[T], channels *packed[T], image, images int) {
	p, all := f.period, channels.columns
	for i := range channels.panels {
		q := channels.panelLayout(i)
		half := grow(&w.values, t.halfSize()*q.width*channels.lanes)
		f.transformRows(w, half, t, q, func(row []T, y int) {
			for at := range t.width {
				copy(row[at*q.width*f.engine.Lanes():], x[(y*t.width+at)*all+q.left:][:q.columns])
			}
		})
		offsets := multiples(&w.offsets, p.height, 2*all)
		for kx := range p.half {
			f.transformColumns(w, to[(kx*images+image)*2*p.height*all+q.left:], all, offsets, half, t, q, kx)
		}
	}
}

// halfSize returns the number of elements of the intermediate result for each channel,
// between the transforms of the rows and of the columns.
func (t *transform[T]) halfSize() int { return 2 * t.period.half * (t.even + t.odd) }

// transformRows transforms the rows of a panel, which pack writes. For each of half of the
// frequencies it writes the real parts of sums and the imaginary parts of differences,
// and then the imaginary parts of sums and the real parts of differences.
func (f *fourier[T]) transformRows(w *workspace[T], half []T, t *transform[T], q panel[T], pack func(row []T, y int)) {
	wide, count := q.width*f.engine.Lanes(), t.even+t.odd
	space := grow(&w.tile, 2*t.width*wide)
	row, other := space[:t.width*wide], space[t.width*wide:]
	put := func(row []T, at, real, imaginary int) {
		offsets := w.complexOffsets(t.period.half, 2*count*wide, real*wide, imaginary*wide)
		f.multiply(w, half[at*wide:], offsets, t.rows, t.rowStarts, t.width, row, q, nil)
	}
	for _, m := range t.mirrors {
		pack(row, m.row)
		sum := row
		if m.other >= 0 {
			pack(other, m.other)
			sum = grow(&w.normalized, len(row))
			copy(sum, row)
			f.engine.Add(sum, other)
			f.engine.Scale(other, other, -1)
			f.engine.Add(row, other)
		}
		put(sum, m.even, 0, count)
		if m.odd >= 0 {
			put(row, t.even+m.odd, count, 0)
		}
	}
}

// transformColumns writes a column of a panel's spectra at the given offsets, the imaginary
// parts at a distance of parts elements from the real ones.
func (f *fourier[T]) transformColumns(w *workspace[T], to []T, parts int, offsets []int32, half []T, t *transform[T], q panel[T], kx int) {
	count := t.even + t.odd
	size := count * q.width * f.engine.Lanes()
	f.multiply(w, to, offsets, t.real, t.columnStarts, count, half[2*kx*size:], q, nil)
	f.multiply(w, to[parts:], offsets, t.imaginary, t.columnStarts, count, half[(2*kx+1)*size:], q, nil)
}

// invertPlanes writes rows [top, bottom) of the planes of an image, given their spectra. A
// nil bias means zero.
func (f *fourier[T]) invertPlanes(w *workspace[T], y, from, bias []T, t *transform[T], channels *packed[T], top, bottom int) {
	p, all := f.period, channels.columns
	for i := range channels.panels {
		q := channels.panelLayout(i)
		wide := q.width * channels.lanes
		half := grow(&w.values, (bottom-top)*2*p.half*wide) // (y, half, part, wide)
		for kx := range p.half {
			f.invertColumns(w, half[2*kx*wide:], from[q.left*p.size()+kx*2*p.height*wide:], t, q, top, bottom)
		}
		var initial []T
		if bias != nil {
			initial = bias[q.left:][:q.columns]
		}
		f.invertRows(w, y[q.left:], all, t.width*all, half, t, q, bottom-top, initial)
	}
}

// invertColumns computes rows [top, bottom) from a column of a panel's spectra.
func (f *fourier[T]) invertColumns(w *workspace[T], half, from []T, t *transform[T], q panel[T], top, bottom int) {
	p, wide := f.period, q.width*f.engine.Lanes()
	size := p.height * wide
	folded := grow(&w.tile, 2*size)
	f.fold(folded, folded[size+t.even*wide:], from[:size], wide)
	f.fold(folded[size:], folded[t.even*wide:], from[size:2*size], wide)
	offsets := multiples(&w.offsets, bottom-top, 2*p.half*wide)
	f.multiply(w, half, offsets, t.real[top*p.height:], t.columnStarts, p.height, folded, q, nil)
	f.multiply(w, half[wide:], offsets, t.imaginary[top*p.height:], t.columnStarts, p.height, folded[size:], q, nil)
}

// fold writes the sums and the differences of frequencies and their mirror images.
func (f *fourier[T]) fold(sums, differences, from []T, wide int) {
	first, last := from[:f.period.middle()*wide], from[f.period.middle()*wide:]
	copy(sums, first)
	f.engine.Add(sums[wide:][:len(last)], last)
	differences = differences[:len(last)]
	f.engine.Scale(differences, last, -1)
	f.engine.Add(differences, first[wide:][:len(last)])
}

// invertRows writes the rows of a panel; pixel and row are the distances, in elements, from
// one pixel and from one row to the next.
func (f *fourier[T]) invertRows(w *workspace[T], y []T, pixel, row int, half []T, t *transform[T], q panel[T], rows int, initial []T) {
	size := 2 * f.period.half * q.width * f.engine.Lanes()
	offsets := multiples(&w.offsets, t.width, pixel)
	for i := range rows {
		f.multiply(w, y[i*row:], offsets, t.rows, t.rowStarts, 2*f.period.half, half[i*size:], q, initial)
	}
}
