package vector

import (
	"math"
	"slices"
	"unsafe"
)

// MaxWindows takes the largest element of each window, channel by channel.
func (s *Set) MaxWindows(w *Windows[float32]) {
	if !w.work() {
		return
	}
	run, limit := s.maxWindows, float32(math.NaN())
	switch {
	case w.Scale != nil && w.Kept != nil:
		run = s.maxWindowsScaledKept
	case w.Scale != nil:
		run = s.maxWindowsScaled
	case w.Kept != nil:
		run = s.maxWindowsKept
	}
	if w.Rectify {
		limit = 0
	}
	run(&w.X[0], &w.Y[0], &w.Position[0], unsafe.SliceData(w.Kept), unsafe.SliceData(w.Scale), unsafe.SliceData(w.Shift),
		&w.Offsets[0], len(w.Offsets), w.Count, w.Step, w.Channels, limit)
}

// ScatterWindows writes or adds Y where the maxima of X were.
func (s *Set) ScatterWindows(w *Windows[float32]) {
	const few = 4 // channels: each vector would wait for the store of the one before
	if w.Add && w.Channels < few {
		s.Portable.ScatterWindows(w)
		return
	}
	if !w.work() {
		return
	}
	run := s.scatterWindows
	switch {
	case w.Scale != nil && w.Add:
		run = s.scatterWindowsScaledAdd
	case w.Scale != nil:
		run = s.scatterWindowsScaled
	case w.Add:
		run = s.scatterWindowsAdd
	}
	run(&w.X[0], &w.Y[0], &w.Position[0], unsafe.SliceData(w.Scale),
		&w.Offsets[0], len(w.Offsets), w.Count, w.Step, w.Channels)
}

// work says whether there is anything to do. It panics if an array is too
// short for it.
func (w *Windows[T]) work() bool {
	if w.Count == 0 || w.Channels == 0 {
		return false
	}
	size := w.Count * w.Channels
	_, _ = w.Y[:size], w.Position[:size]
	if w.Kept != nil {
		_ = w.Kept[:size]
	}
	if w.Scale != nil {
		_ = w.Scale[:w.Channels]
	}
	if w.Shift != nil {
		_ = w.Shift[:w.Channels]
	}
	_ = w.X[slices.Min(w.Offsets):]
	_ = w.X[:(w.Count-1)*w.Step+int(slices.Max(w.Offsets))+w.Channels]
	return true
}
