package vector

// ByteTiles is the argument of Winograd's algorithms F(4×4, 3×3) and F(3×3, 4×4) for bytes in
// integers, which give the exact sums: a result of 6×6 pixels takes 36 products of numbers of 16 bits
// for each channel instead of 144 of bytes. In terms of six pixels d of a row or a column, of sums m and
// of weights g of three or four elements, the transforms are
//
//	Bᵀ·d = (4d₀−5d₂+d₄, −4d₁−4d₂+d₃+d₄, 4d₁−4d₂−d₃+d₄, −2d₁−d₂+2d₃+d₄, 2d₁−d₂−2d₃+d₄, 4d₁−5d₃+d₅)
//	G·g  = (6·g₀, −g(1), −g(−1), g(2), g(−2), 6·g₂ or 6·g₃) with g(p) = Σ gₖ·pᵏ
//	Aᵀ·m = (m₀+4m₁+4m₂+m₃+m₄, 2m₁−2m₂+m₃−m₄, m₁+m₂+m₃+m₄, m₁−m₂+2m₃−2m₄+m₅) for 3×3 weights
//	Aᵀ·m = (m₀+4m₁+4m₂+m₃+m₄, 2m₁−2m₂+m₃−m₄, m₁+m₂+m₃+m₄+m₅)                 for 4×4 weights
//
// without fractions, so that results are 24, 12, 6 and 6 times those of the convolution in each
// direction. Of bytes and weights of 8 bits, transformed pixels and weights fit in 16 bits. Sums of
// their products are modulo 2³², and so is the division by 9 and a power of two: the results are
// exact if they are less than MaxWinogradSum in magnitude.
type ByteTiles struct {
	Kernel int // 3 or 4

	// WinogradInput writes V = Bᵀ·X·B as numbers of 16 bits, little-endian: the value (i, j) of tile t is
	// at V[t·VTile + (6i+j)·VStride], in bytes. Pixel (i, j) of the tile is at
	// X[XOffsets[t] + i·XRow + j·XPixel].
	X              []uint8
	XOffsets       []int32
	XRow, XPixel   int
	V              []uint8
	VStride, VTile int
	InputChannels  int     // a multiple of 32
	Scratch        []uint8 // ByteTilesScratch bytes

	// WinogradOutput writes the bytes of Aᵀ·M·A + Initial, with M likewise, in elements: pixel (i, j) of
	// a tile is at Y[YOffsets[t] + i·YRow + j·YPixel], for i < Rows and j < Columns.
	M              []int32
	MStride, MTile int
	Y              []uint8
	YOffsets       []int32
	YRow, YPixel   int
	Rows, Columns  int
	Addend         []uint8 // with the offsets of Y, or nil; it may be Y
	Channels       int     // a multiple of 16
	Initial        []int32
	Result         ByteResult // without numbers for negative sums

	call byteTilesCall // part of the struct so that it is not allocated at each call
}

// ByteTilesScratch is the size of the scratch memory of WinogradInput: a transformed tile of 32 channels.
const ByteTilesScratch = 36 * 64

// MaxWinogradSum is the least magnitude of a sum that WinogradOutput may not give.
const MaxWinogradSum = 1 << 25

// ByteWinograd has the loops of Winograd's algorithms.
type ByteWinograd interface {
	WinogradInput(*ByteTiles)
	WinogradOutput(*ByteTiles)
	// Words computes the sums of ByteRows with rows and weights of 16 bits, little-endian: Length and
	// Stride are in bytes, and two numbers take the place of four bytes. They are modulo 2³².
	Words(*ByteRows)
	// PackWords packs a panel of the columns, of PanelSize(2·depth, width) bytes: weights (columns, depth),
	// with an even depth.
	PackWords(panel []uint8, weights []int16, depth, columns, width int)
}

// byteTilesCall is the argument of the assembly; the generator has the same offsets.
type byteTilesCall struct {
	x              *uint8
	xOffsets       *int32
	xRow, xPixel   int
	v              *uint8
	vStride, vTile int // bytes
	tiles          int // counted down
	vectors        int
	_, _, _        int // vectors that are left, bytes of offsets and of values that are done, for the assembly
	scratch        *uint8
	y              *uint8
	yOffsets       *int32
	yRow, yPixel   int
	addend         *uint8
	rows, columns  int
	initial        *int32
	shift          *int32
	multiplier     *int32
	offset         [32]int16
	rounding       [32]int16
	addends        [32]int16
	low, high      [64]uint8
	order          [16]int32
	inverse        uint32 // of 9 modulo 2³²
}

// WinogradTransform writes the transform G·g·Gᵀ of weights g (kernel, kernel).
func WinogradTransform(to *[36]int16, weights []int8, kernel int) {
	var columns [6][4]int32
	for l := range kernel {
		var g [4]int32
		for k := range kernel {
			g[k] = int32(weights[k*kernel+l])
		}
		for i, v := range winogradTransform(g, kernel) {
			columns[i][l] = v
		}
	}
	for i, g := range columns {
		for j, v := range winogradTransform(g, kernel) {
			to[6*i+j] = int16(v)
		}
	}
}

// winogradTransform returns G·g.
func winogradTransform(g [4]int32, kernel int) [6]int32 {
	even, odd := g[0]+g[2], g[1]+g[3]
	even2, odd2 := g[0]+4*g[2], 2*g[1]+8*g[3]
	return [6]int32{6 * g[0], -even - odd, odd - even, even2 + odd2, even2 - odd2, 6 * g[kernel-1]}
}
