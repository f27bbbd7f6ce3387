package vector

import (
	"slices"
	"testing"
)

// randomWindows returns a random row of windows, without X.
func randomWindows(f *fuzz) *Windows[float32] {
	positions := 4
	if f.IntN(2) == 0 {
		positions = 1 + f.IntN(12)
	}
	if f.IntN(50) == 0 {
		positions = 255
	}
	w := &Windows[float32]{
		Offsets: array[int32](f, positions), Count: 1 + f.IntN(5), Step: f.IntN(200), Channels: 1 + f.IntN(70),
		Add: f.IntN(2) == 0, Rectify: f.IntN(2) == 0,
	}
	for k := range w.Offsets {
		w.Offsets[k] = int32(f.IntN(300))
	}
	if f.IntN(2) == 0 {
		w.Scale, w.Shift = f.quarters(w.Channels), f.quarters(w.Channels)
	}
	w.Y = f.quarters(w.Count * w.Channels)
	w.Position = array[uint8](f, len(w.Y))
	if f.IntN(2) == 0 {
		w.Kept = array[float32](f, len(w.Y))
	}
	return w
}

// extent returns the number of elements of X that a row of windows covers.
func extent(w *Windows[float32]) int {
	return (w.Count-1)*w.Step + int(slices.Max(w.Offsets)) + w.Channels
}

func TestMaxWindows(t *testing.T) {
	eachFuzz(t, 5000, func(f *fuzz) {
		w := randomWindows(f)
		w.X = f.special(extent(w))
		f.engine.MaxWindows(w)
		for window := range w.Count {
			for c := range w.Channels {
				best, kept, position := largest(w, window, c)
				at := window*w.Channels + c
				if !same(w.Y[at], best) || w.Position[at] != position || w.Kept != nil && !same(w.Kept[at], kept) {
					f.Fatalf("call %d: window %d, channel %d of %+v: found %v at %d, expected %v at %d",
						f.seed, window, c, w, w.Y[at], w.Position[at], best, position)
				}
			}
		}
	})
}

// largest returns the expected results of MaxWindows for one channel of one window.
func largest(w *Windows[float32], window, c int) (best, kept float32, position uint8) {
	for k, offset := range w.Offsets {
		x := w.X[window*w.Step+int(offset)+c]
		v := x
		if w.Scale != nil {
			v = float32(float64(x)*float64(w.Scale[c]) + float64(w.Shift[c]))
		}
		if k == 0 || v > best || isNaN(v) && !isNaN(best) {
			best, kept, position = v, x, uint8(k)
		}
	}
	if w.Rectify && best <= 0 {
		return 0, kept, uint8(len(w.Offsets))
	}
	return best, kept, position
}

func TestScatterWindows(t *testing.T) {
	eachFuzz(t, 5000, func(f *fuzz) {
		w := randomWindows(f)
		if !w.Add { // windows must not overlap
			for k := range w.Offsets {
				w.Offsets[k] = int32(k * w.Channels)
			}
			w.Step = len(w.Offsets)*w.Channels + f.IntN(10)
		}
		for i := range w.Position {
			w.Position[i] = uint8(f.IntN(len(w.Offsets) + 1))
		}
		w.X = f.quarters(extent(w))
		want := slices.Clone(w.X)
		for window := range w.Count {
			for k, offset := range w.Offsets {
				for c := range w.Channels {
					at, from := window*w.Step+int(offset)+c, window*w.Channels+c
					v := float32(0)
					if int(w.Position[from]) == k {
						v = w.Y[from]
						if w.Scale != nil {
							v *= w.Scale[c]
						}
					}
					if w.Add {
						v += want[at]
					}
					want[at] = v
				}
			}
		}
		f.engine.ScatterWindows(w)
		f.want("X", w.X, func(i int) float64 { return float64(want[i]) })
	})
}
