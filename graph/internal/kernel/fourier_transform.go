package kernel

import "math"

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
