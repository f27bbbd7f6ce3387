package kernel

import (
	"math"
)

// period is the size of the planes whose transforms are multiplied. A plane of
// real numbers has a spectrum whose right half says nothing new.
type period struct{ height, width, half int }

func periodOf(height, width int) period { return period{height, width, width/2 + 1} }

// size is the number of elements of a spectrum, real and imaginary parts.
func (p period) size() int { return 2 * p.height * p.half }

// products is about the number of products of the transform of a plane, or back.
func (p period) products(height, width int) int { return 2 * p.half * height * (width + p.height) }

// middle is the number of frequencies, or of places, up to their mirror.
func (p period) middle() int { return p.height/2 + 1 }

// place is where a product's frequency lies in its column: those that have a mirror
// between themselves and the end first, and then the mirrors, in the same order.
func (p period) place(ky int) int {
	if ky < p.middle() {
		return ky
	}
	return p.middle() + p.height - 1 - ky
}

// transform is that of planes of height × width numbers, somewhere in a period of
// zeros, to their spectra, or back from these to the plane. Along the rows it is a
// product by a matrix; along the columns it is a product for the real and one for the
// imaginary parts, of the sums and of the differences of what is as far from one end
// of the period as from the other: only the cosines see the ones, and only the sines
// the others.
type transform[T Float] struct {
	period          period
	height, width   int
	mirrors         []mirror // to the spectrum
	even, odd       int      // sums and differences
	rows            []T      // to the spectrum (half, part; width), back (width; half, part)
	real, imaginary []T      // to the spectrum (period's height; even, odd), back (height; even, odd)
	rowStarts       []int32
	columnStarts    []int32
}

// mirror is one or two rows of a plane, of which there are a sum and a difference.
type mirror struct {
	row, other int // other is −1 where that is not of the plane
	even, odd  int // which sum and which difference; −1 where it would be zero
}

// forward is the transform of planes that lie so far from the period's edge.
func forward[T Float](p period, border, height, width int) *transform[T] {
	t := &transform[T]{period: p, height: height, width: width}
	var evens, odds []int // where they are in the period
	for place := border; place < border+height; place++ {
		m := mirror{row: place - border, other: p.height - place - border, even: -1, odd: -1}
		if m.other < 0 || m.other >= height || 4*height < 3*p.height {
			m.other = -1 // of a short plane, sums would be more than rows
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
				cos, sin := turn(kx*(x+border), p.width)
				t.rows = append(t.rows, T([]float64{cos, -sin}[part]))
			}
		}
	}
	multiples(&t.rowStarts, 2*p.half, width)
	multiples(&t.columnStarts, p.height, t.even+t.odd)
	return t
}

// backward is the inverse, as far as it makes planes that lie so far from the
// period's edge.
func backward[T Float](p period, border, height, width int) *transform[T] {
	t := &transform[T]{period: p, height: height, width: width, even: p.middle(), odd: p.height - p.middle()}
	var evens, odds []int
	for k := range t.even {
		evens = append(evens, k)
	}
	for k := range t.odd {
		odds = append(odds, k+1)
	}
	for y := range height {
		t.addColumns(y+border, evens, odds, -1)
	}
	for x := range width {
		for kx := range p.half {
			cos, sin := turn(kx*(x+border), p.width)
			scale := 2 / float64(p.height*p.width) // once for the half that is left out
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

// addColumns adds a row to the matrices of the columns.
func (t *transform[T]) addColumns(k int, evens, odds []int, direction float64) {
	for _, place := range evens {
		cos, _ := turn(k*place, t.period.height)
		t.real, t.imaginary = append(t.real, T(cos)), append(t.imaginary, T(cos))
	}
	for _, place := range odds {
		_, sin := turn(k*place, t.period.height)
		t.real, t.imaginary = append(t.real, T(direction*sin)), append(t.imaginary, T(-direction*sin))
	}
}

// turn returns the cosine and the sine of k nths of a turn.
func turn(k, n int) (cos, sin float64) {
	sin, cos = math.Sincos(2 * math.Pi * float64(k%n) / float64(n))
	return cos, sin
}

// multiples writes n offsets that are so far apart.
func multiples(space *[]int32, n, apart int) []int32 {
	offsets := grow(space, n)
	for i := range offsets {
		offsets[i] = int32(i * apart)
	}
	return offsets
}

// The spectra of what is multiplied are of the layout (half, images, height, part,
// channels): one frequency of all images is near together, and so are those of one
// image that are written after each other. Those of products are (images, panels,
// half, part, height, panel's columns), as the way back reads them; those of the
// weights are (half, height, panels, part, depth, panel's columns).

// complexOffsets writes n pairs of offsets that are so far apart, one for each part.
func (w *workspace[T]) complexOffsets(n, apart, real, imaginary int) []int32 {
	offsets := grow(&w.offsets, 2*n)
	for i := range n {
		offsets[2*i], offsets[2*i+1] = int32(i*apart+real), int32(i*apart+imaginary)
	}
	return offsets
}

// enter writes the spectra of the channels of an image, one of so many.
func (f *fourier[T]) enter(w *workspace[T], to, x []T, t *transform[T], channels *packed[T], image, images int) {
	p, all := f.period, channels.columns
	for i := range channels.panels {
		q := channels.bare(i)
		half := grow(&w.values, t.halfSize()*q.width*channels.lanes)
		f.enterRows(w, half, t, q, func(row []T, y int) {
			for at := range t.width {
				copy(row[at*q.width*f.engine.Lanes():], x[(y*t.width+at)*all+q.left:][:q.columns])
			}
		})
		places := multiples(&w.offsets, p.height, 2*all)
		for kx := range p.half {
			f.enterColumns(w, to[(kx*images+image)*2*p.height*all+q.left:], all, places, half, t, q, kx)
		}
	}
}

// halfSize is the number of elements between the rows and the columns, for each
// channel.
func (t *transform[T]) halfSize() int { return 2 * t.period.half * (t.even + t.odd) }

// enterRows transforms the rows of a panel, which pack writes: to the real parts of
// sums, the imaginary ones of differences, and those of sums and the real ones of
// differences, for each of half the frequencies.
func (f *fourier[T]) enterRows(w *workspace[T], half []T, t *transform[T], q panel[T], pack func(row []T, y int)) {
	wide, count := q.width*f.engine.Lanes(), t.even+t.odd
	space := grow(&w.tile, 2*t.width*wide)
	row, other := space[:t.width*wide], space[t.width*wide:]
	put := func(row []T, at, real, imaginary int) {
		places := w.complexOffsets(t.period.half, 2*count*wide, real*wide, imaginary*wide)
		f.multiply(w, half[at*wide:], places, t.rows, t.rowStarts, t.width, row, q, nil)
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

// enterColumns writes a column of a panel's spectra at places, the imaginary parts so
// far from the real ones.
func (f *fourier[T]) enterColumns(w *workspace[T], to []T, parts int, places []int32, half []T, t *transform[T], q panel[T], kx int) {
	count := t.even + t.odd
	size := count * q.width * f.engine.Lanes()
	f.multiply(w, to, places, t.real, t.columnStarts, count, half[2*kx*size:], q, nil)
	f.multiply(w, to[parts:], places, t.imaginary, t.columnStarts, count, half[(2*kx+1)*size:], q, nil)
}

// leave writes rows [top, bottom) of the planes of an image, from their spectra. A
// nil bias is zero.
func (f *fourier[T]) leave(w *workspace[T], y, from, bias []T, t *transform[T], channels *packed[T], top, bottom int) {
	p, all := f.period, channels.columns
	for i := range channels.panels {
		q := channels.bare(i)
		wide := q.width * channels.lanes
		half := grow(&w.values, (bottom-top)*2*p.half*wide) // (y, half, part, wide)
		for kx := range p.half {
			f.leaveColumns(w, half[2*kx*wide:], from[q.left*p.size()+kx*2*p.height*wide:], t, q, top, bottom)
		}
		var initial []T
		if bias != nil {
			initial = bias[q.left:][:q.columns]
		}
		f.leaveRows(w, y[q.left:], all, t.width*all, half, t, q, bottom-top, initial)
	}
}

// leaveColumns transforms rows [top, bottom) of a column of a panel's spectra.
func (f *fourier[T]) leaveColumns(w *workspace[T], half, from []T, t *transform[T], q panel[T], top, bottom int) {
	p, wide := f.period, q.width*f.engine.Lanes()
	size := p.height * wide
	folded := grow(&w.tile, 2*size)
	f.fold(folded, folded[size+t.even*wide:], from[:size], wide)
	f.fold(folded[size:], folded[t.even*wide:], from[size:2*size], wide)
	places := multiples(&w.offsets, bottom-top, 2*p.half*wide)
	f.multiply(w, half, places, t.real[top*p.height:], t.columnStarts, p.height, folded, q, nil)
	f.multiply(w, half[wide:], places, t.imaginary[top*p.height:], t.columnStarts, p.height, folded[size:], q, nil)
}

// fold writes the sums and the differences of frequencies and their mirrors.
func (f *fourier[T]) fold(sums, differences, from []T, wide int) {
	first, last := from[:f.period.middle()*wide], from[f.period.middle()*wide:]
	copy(sums, first)
	f.engine.Add(sums[wide:][:len(last)], last)
	differences = differences[:len(last)]
	f.engine.Scale(differences, last, -1)
	f.engine.Add(differences, first[wide:][:len(last)])
}

// leaveRows writes the rows of a panel, pixels and rows so far apart.
func (f *fourier[T]) leaveRows(w *workspace[T], y []T, pixel, row int, half []T, t *transform[T], q panel[T], rows int, initial []T) {
	size := 2 * f.period.half * q.width * f.engine.Lanes()
	places := multiples(&w.offsets, t.width, pixel)
	for i := range rows {
		f.multiply(w, y[i*row:], places, t.rows, t.rowStarts, 2*f.period.half, half[i*size:], q, initial)
	}
}
