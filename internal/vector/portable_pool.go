package vector

// MaxWindows takes the largest element of each window, channel by channel. Of
// equal elements the first counts, and the first NaN above all numbers.
func (Portable[T]) MaxWindows(w *Windows[T]) {
	none := uint8(len(w.Offsets))
	for i := range w.Count {
		from := w.X[i*w.Step:]
		y, position := w.Y[i*w.Channels:][:w.Channels], w.Position[i*w.Channels:][:w.Channels]
		for k, offset := range w.Offsets {
			for c, v := range from[offset:][:w.Channels] {
				if w.Scale != nil {
					v = v*w.Scale[c] + w.Shift[c]
				}
				if k == 0 || v > y[c] || v != v && y[c] == y[c] {
					y[c], position[c] = v, uint8(k)
				}
			}
		}
		if w.Kept != nil {
			kept := w.Kept[i*w.Channels:][:w.Channels]
			for c, k := range position {
				kept[c] = from[int(w.Offsets[k])+c]
			}
		}
		if w.Rectify {
			for c, v := range y {
				if v <= 0 {
					y[c], position[c] = 0, none
				}
			}
		}
	}
}

// ScatterWindows writes or adds Y where the maxima of X were.
func (Portable[T]) ScatterWindows(w *Windows[T]) {
	for i := range w.Count {
		to := w.X[i*w.Step:]
		y, position := w.Y[i*w.Channels:][:w.Channels], w.Position[i*w.Channels:][:w.Channels]
		for k, offset := range w.Offsets {
			at := to[offset:][:w.Channels]
			for c, v := range y {
				if w.Scale != nil {
					v *= w.Scale[c]
				}
				v = pick(position[c] == uint8(k), v, 0)
				if w.Add {
					v += at[c]
				}
				at[c] = v
			}
		}
	}
}
