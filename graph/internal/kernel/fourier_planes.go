package kernel

// The spectra of what is multiplied are of the layout (half, images, height, part,
// channels): one frequency of all images is near together, and so are those of one
// image that are written after each other. Those of products are (images, panels,
// half, part, height, panel's columns), as the way back reads them; those of the
// weights are (half, height, panels, part, depth, panel's columns).

// placesOf writes n pairs of offsets that are so far apart, one for each part.
func (w *workspace[T]) placesOf(n, apart, real, imaginary int) []int32 {
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
		places := w.placesOf(t.period.half, 2*count*wide, real*wide, imaginary*wide)
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
