package kernel

// depthAtATime is how many rows of the weights' spectra are written together.
const depthAtATime = 8

// enterWeights writes the spectra of packed weights, whose rows are (taps, depth).
func (f *fourier[T]) enterWeights(to []T, weights *packed[T]) {
	p, t, all := f.period, f.of.kernel, weights.wide()
	depth := weights.depth / (t.height * t.width)
	groups := ceilDiv(depth, depthAtATime)
	parallel(weights.panels*groups, func(w *workspace[T], unit int) {
		q := weights.panel(unit / groups)
		first := unit % groups * depthAtATime
		last := min(first+depthAtATime, depth)
		wide := q.width * weights.lanes
		plane := t.halfSize() * wide
		half := grow(&w.values, (last-first)*plane)
		for k := first; k < last; k++ {
			f.enterRows(w, half[(k-first)*plane:], t, q, func(row []T, y int) {
				for x := range t.width {
					copy(row[x*wide:][:wide], q.data[((y*t.width+x)*depth+k)*wide:])
				}
			})
		}
		places := multiples(&w.offsets, p.height, 2*depth*all)
		for kx := range p.half {
			for k := first; k < last; k++ {
				f.enterColumns(w, to[kx*p.height*2*depth*all+q.left*2*depth+k*wide:], depth*wide, places,
					half[(k-first)*plane:], t, q, kx)
			}
		}
	})
}

// leaveWeights writes the gradient of the weights (kernel height, kernel width,
// channels, filters), from its spectra (half, height, part, channels, filters).
func (f *fourier[T]) leaveWeights(y, from []T) {
	p, t, all := f.period, f.of.kernelGradient, f.output.columns
	channels := f.input.columns
	parallel(channels, func(w *workspace[T], channel int) {
		half := grow(&w.values, t.height*2*p.half*f.output.wide())
		near := grow(&w.results, 2*p.height*f.output.wide())
		for kx := range p.half {
			for ky := range p.height {
				for part := range 2 {
					row := from[(((kx*p.height+ky)*2+part)*channels+channel)*all:][:all]
					for i := range f.output.panels {
						q := f.output.bare(i)
						at := part*p.height + p.place(ky)
						copy(near[q.left*2*p.height+at*q.width*f.output.lanes:], row[q.left:][:q.columns])
					}
				}
			}
			for i := range f.output.panels {
				q := f.output.bare(i)
				at := q.left*t.height*2*p.half + 2*kx*q.width*f.output.lanes
				f.leaveColumns(w, half[at:], near[q.left*2*p.height:], t, q, 0, t.height)
			}
		}
		for i := range f.output.panels {
			q := f.output.bare(i)
			f.leaveRows(w, y[channel*all+q.left:], channels*all, t.width*channels*all,
				half[q.left*t.height*2*p.half:], t, q, t.height, nil)
		}
	})
}
