package vector

import (
	"slices"
	"unsafe"
)

// MaxWindows takes the largest element of each window, channel by channel.
func (s *Set) MaxWindows(w *Windows[float32]) {
	if w.Count == 0 || w.Channels == 0 {
		return
	}
	x, y, position := windowPointers(w)
	kept := unsafe.SliceData(w.Kept)
	if w.Kept != nil {
		_ = w.Kept[w.Count*w.Channels-1]
	}
	rectify := 0
	if w.Rectify {
		rectify = 1
	}
	offsets := unsafe.SliceData(w.Offsets)
	if w.Scale == nil {
		maxWindows_neon(y, x, kept, position, rectify, offsets, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
		return
	}
	_, scale, shift := pointers(w.Channels, w.Scale, w.Scale, w.Shift)
	maxScaledWindows_neon(y, x, kept, position, rectify, offsets, scale, shift, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
}

// ScatterWindows writes or adds Y where the maxima of X were.
func (s *Set) ScatterWindows(w *Windows[float32]) {
	if w.Count == 0 || w.Channels == 0 {
		return
	}
	x, y, position := windowPointers(w)
	scale := unsafe.SliceData(w.Scale)
	if w.Scale != nil {
		_ = w.Scale[w.Channels-1]
	}
	offsets := unsafe.SliceData(w.Offsets)
	if w.Add {
		addWindows_neon(y, x, position, offsets, scale, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
	} else {
		scatterWindows_neon(y, x, position, offsets, scale, len(w.Offsets), w.Channels, w.Count, 4*w.Step)
	}
}

// windowPointers returns where X, Y and Position begin, if windows are within
// them.
func windowPointers(w *Windows[float32]) (x, y *float32, position *uint8) {
	n := w.Count * w.Channels
	last := (w.Count-1)*w.Step + int(slices.Max(w.Offsets)) + w.Channels
	return unsafe.SliceData(w.X[:last]), unsafe.SliceData(w.Y[:n]), unsafe.SliceData(w.Position[:n])
}
