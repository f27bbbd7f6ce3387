package explain

import (
	"slices"

	"github.com/likeness-go/likeness/graph"
)

// axis has the centers of the rows or the columns of a feature map along a side of the input, in
// pixels from its edge: start + step·i for 0 ≤ i < count.
type axis struct {
	count       int
	start, step float64
}

// centers follows a side of the input, of so many pixels, through the blocks to a feature map of
// so many places. Where the arithmetic of the blocks is not known, as with user-defined ones, the
// places divide the side evenly.
func centers(blocks []graph.Block, pixels, places int) axis {
	if a, known := (axis{pixels, 0.5, 1}).through(blocks); known && a.count == places {
		return a
	}
	step := float64(pixels) / float64(places)
	return axis{places, step / 2, step}
}

// through returns the axis after the blocks, and whether all of them are known.
func (a axis) through(blocks []graph.Block) (axis, bool) {
	for _, block := range blocks {
		switch b := block.(type) {
		case graph.Conv:
			stride, before, after := max(b.Stride, 1), b.Padding, b.Padding
			if b.SamePadding {
				all := max(((a.count+stride-1)/stride-1)*stride+b.Kernel-a.count, 0)
				before, after = all/2, all-all/2
			}
			a = a.window(b.Kernel, stride, before, after).pooled(b.Pool)
		case graph.MaxPool:
			a = a.window(b.Size, strideOr(b.Stride, b.Size), b.Padding, b.Padding)
		case graph.AveragePool:
			a = a.window(b.Size, strideOr(b.Stride, b.Size), 0, 0)
		case graph.Residual:
			body, known := a.through(b.Body)
			if !known {
				return a, false
			}
			a = body.pooled(b.Pool)
		case graph.Activate, graph.BatchNorm, graph.Dropout, graph.LayerNorm, graph.Scale, graph.SqueezeExcite:
		default:
			return a, false
		}
		if a.count < 1 {
			return a, false
		}
	}
	return a, true
}

// strideOr is a stride of which 0 means the size of the window.
func strideOr(stride, size int) int {
	if stride == 0 {
		return size
	}
	return stride
}

// window is the axis of windows over this one. Without padding the center of a window is its
// middle. With padding the windows are centered over the input as a whole: with a stride of 2 the
// middle of all windows is half a position beside that of the input, on a side that depends on
// where the padding is, and over five such layers this would move a map by half a place, while
// trained kernels make up for it (with the bundled model for photographs, the maps of objects on
// an even background are at the objects in this way, and half a place beside them in the other).
func (a axis) window(size, stride, before, after int) axis {
	if size < 1 || stride < 1 {
		return axis{}
	}
	count := (a.count+before+after-size)/stride + 1
	first := float64(size-1) / 2 // the center of the first window
	if before > 0 || after > 0 {
		first = float64(a.count-1-stride*(count-1)) / 2
	}
	return axis{count, a.start + first*a.step, a.step * float64(stride)}
}

// pooled is the axis after a max pool of the given size and stride, or none for 0.
func (a axis) pooled(size int) axis {
	if size < 1 {
		return a
	}
	return a.window(size, size, 0, 0)
}

// positions are the centers in an image: pixel p of the input is at first + p·scale.
func (a axis) positions(first, scale float64) []float64 {
	all := make([]float64, a.count)
	for i := range all {
		all[i] = first + (a.start+a.step*float64(i))*scale
	}
	return all
}

// between finds a position among ascending ones: it is at the fraction along from the first to
// the second of two neighbors, which are the same outside.
func between(positions []float64, at float64) (first, second int, along float64) {
	second, _ = slices.BinarySearch(positions, at)
	second = min(second, len(positions)-1)
	first = max(second-1, 0)
	if gap := positions[second] - positions[first]; gap > 0 {
		along = min(max((at-positions[first])/gap, 0), 1)
	}
	return first, second, along
}
