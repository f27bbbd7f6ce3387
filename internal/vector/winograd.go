package vector

// Winograd is the argument of the transforms of Winograd's minimal filtering algorithms
// F(4×4, 3×3) and F(3×3, 4×4) (Lavin & Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016, section 4.3): a convolution of 6×6 pixels is an elementwise product of
// 36 transformed values, instead of 144 products.
//
// Every pixel and every value has Channels elements, a multiple of Lanes. Value (i, j) of
// tile t begins at V[(6·i+j)·VStride + t·VTile].
type Winograd[T Float] struct {
	Kernel              int // rows and columns of the weights: 3 or 4
	X                   []T // pixels (i, j) of tile t at i·XRow + j·XPixel + t·XTile
	XRow, XPixel, XTile int
	V                   []T
	VStride, VTile      int
	Bias                []T // (Channels), added to the results; only WinogradOutput needs it
	Tiles               int
	Channels            int
	Clip                Clip // of the results of WinogradOutput

	scratch []T
	call    winogradCall
}

// winogradCall is the argument of the assembly; the generator has the same offsets.
type winogradCall struct {
	x                   *float32
	xRow, xPixel, xTile int // bytes
	v                   *float32
	vStride, vTile      int // bytes
	bias                *float32
	tiles, vectors      int
	scratch             *float32
	_, _                int // bytes of x and of v whose tiles are done, for the assembly; begin at 0
	clip                clipRange
}

// Transforms is implemented by engines that have the transforms in assembly.
type Transforms interface {
	// WinogradInput writes V, the transform Bᵀ·X·B of tiles of 6×6 pixels.
	WinogradInput(*Winograd[float32])
	// WinogradWeights writes V, the transform G·X·Gᵀ of weights.
	WinogradWeights(*Winograd[float32])
	// WinogradOutput writes X, the clipped tiles Aᵀ·V·A + Bias of results: 4×4 for 3×3
	// weights and 3×3 for 4×4 weights.
	WinogradOutput(*Winograd[float32])
}

// prepare sets the argument of the assembly.
func prepare(w *Winograd[float32], lanes int) *winogradCall {
	if w.scratch == nil {
		w.scratch = make([]float32, 36*lanes)
	}
	w.call = winogradCall{
		x: &w.X[0], xRow: 4 * w.XRow, xPixel: 4 * w.XPixel, xTile: 4 * w.XTile,
		v: &w.V[0], vStride: 4 * w.VStride, vTile: 4 * w.VTile,
		tiles: w.Tiles, vectors: w.Channels / lanes, scratch: &w.scratch[0], clip: w.Clip.around(),
	}
	if w.Bias != nil {
		w.call.bias = &w.Bias[:w.Channels][0]
	}
	return &w.call
}
