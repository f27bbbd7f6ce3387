package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// poolCase is a row of windows, and whether its arrays end or begin at guarded
// memory.
type poolCase struct {
	count, step, channels int
	offsets               []int32
	scaled, kept, option  bool // Rectify or Add
	end                   bool
}

func randomPool(r *rand.Rand) poolCase {
	p := poolCase{
		count: 1 + r.IntN(5), channels: 1 + r.IntN(70), step: r.IntN(200),
		scaled: r.IntN(2) == 0, kept: r.IntN(2) == 0, option: r.IntN(2) == 0, end: r.IntN(2) == 0,
	}
	positions := 4
	if r.IntN(2) == 0 {
		positions = 1 + r.IntN(12)
	}
	if r.IntN(50) == 0 {
		positions = 255
	}
	for range positions {
		p.offsets = append(p.offsets, int32(r.IntN(300)))
	}
	return p
}

func (p poolCase) String() string {
	return fmt.Sprintf("%d windows %d apart of %d channels at %v, scaled %v, kept %v, rectify or add %v, end %v",
		p.count, p.step, p.channels, p.offsets, p.scaled, p.kept, p.option, p.end)
}

func (p poolCase) windows(t testing.TB, r *rand.Rand) *Windows[float32] {
	length := (p.count-1)*p.step + int(slices.Max(p.offsets)) + p.channels
	w := &Windows[float32]{
		X: allocate[float32](t, length, p.end), Y: allocate[float32](t, p.count*p.channels, p.end),
		Position: allocate[uint8](t, p.count*p.channels, p.end), Offsets: allocate[int32](t, len(p.offsets), p.end),
		Count: p.count, Step: p.step, Channels: p.channels,
	}
	copy(w.Offsets, p.offsets)
	if p.scaled {
		w.Scale, w.Shift = allocate[float32](t, p.channels, p.end), allocate[float32](t, p.channels, p.end)
		fillQuarters(r, w.Scale)
		fillQuarters(r, w.Shift)
	}
	return w
}

// fillQuarters fills with few small numbers, whose products and sums are exact,
// so that there are many equal ones.
func fillQuarters(r *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(r.IntN(17)-8) / 4
	}
}

// fillSpecial puts NaNs and infinities among the elements.
func fillSpecial(r *rand.Rand, x []float32) {
	for i := range x {
		if r.IntN(8) == 0 {
			x[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1))}[r.IntN(5)]
		}
	}
}

func TestMaxWindows(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine[float32]) {
		for i := range 3000 {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			p := randomPool(r)
			w := p.windows(t, r)
			fillQuarters(r, w.X)
			if r.IntN(2) == 0 {
				fillSpecial(r, w.X)
			}
			w.Rectify = p.option
			if p.kept {
				w.Kept = allocate[float32](t, len(w.Y), p.end)
			}
			e.MaxWindows(w)
			for window := range p.count {
				for c := range p.channels {
					best, kept, position := largest(w, window, c)
					at := window*p.channels + c
					if !same(w.Y[at], best) || w.Position[at] != position || p.kept && !same(w.Kept[at], kept) {
						t.Fatalf("%v: window %d, channel %d: found %v at %d, expected %v at %d", p, window, c, w.Y[at], w.Position[at], best, position)
					}
				}
			}
		}
	})
}

// largest returns what MaxWindows should, for one channel of one window.
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
	eachEngine(t, func(t *testing.T, e Engine[float32]) {
		for i := range 3000 {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			p := randomPool(r)
			if !p.option { // what is overwritten must not overlap
				for k := range p.offsets {
					p.offsets[k] = int32(k * p.channels)
				}
				p.step = len(p.offsets)*p.channels + r.IntN(10)
			}
			w := p.windows(t, r)
			fillQuarters(r, w.X)
			fillQuarters(r, w.Y)
			for i := range w.Position {
				w.Position[i] = uint8(r.IntN(len(p.offsets) + 1))
			}
			w.Add = p.option
			want := slices.Clone(w.X)
			for window := range p.count {
				for k, offset := range p.offsets {
					for c := range p.channels {
						at, from := window*p.step+int(offset)+c, window*p.channels+c
						v := float32(0)
						if int(w.Position[from]) == k {
							v = w.Y[from]
							if p.scaled {
								v *= w.Scale[c]
							}
						}
						if p.option {
							v += want[at]
						}
						want[at] = v
					}
				}
			}
			e.ScatterWindows(w)
			if at := firstDifferent(w.X, want); at >= 0 {
				t.Fatalf("%v: element %d: found %v, expected %v", p, at, w.X[at], want[at])
			}
		}
	})
}

func eachEngine(t *testing.T, test func(t *testing.T, e Engine[float32])) {
	for _, e := range Engines() {
		t.Run(e.Name(), func(t *testing.T) { test(t, e) })
	}
}

func isNaN(x float32) bool { return x != x }

// same says whether numbers are equal, or both are NaN.
func same(x, y float32) bool { return x == y || isNaN(x) && isNaN(y) }

func firstDifferent(x, y []float32) int {
	for i := range x {
		if !same(x[i], y[i]) {
			return i
		}
	}
	return -1
}
