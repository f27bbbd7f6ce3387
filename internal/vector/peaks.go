package vector

// Peaks is a sum of outer products over the maxima of pooling windows of four
// positions: what Outer would add up if the values were scattered to their
// positions, where three of four are zero.
//
//	C[(r·Taps+t)·CStride+j] += Σ A[i·AStep+Offsets[p]+r·ARow+t] · Y[i·Channels+j]
//
// over the windows i < Count, with p = Position[i·Channels+j], for each row of
// taps r < Rows, each t < Taps and each j < Channels. Values whose position is
// none of the four do not count. Sum, unless nil, is added Σ Y that count.
//
// This is the gradient of the weights of a first layer, of few channels, where
// the scattering would take longer than the products.
type Peaks[T Float] struct {
	C        []T
	CStride  int
	Sum      []T // (Channels)
	A        []T
	AStep    int
	ARow     int
	Offsets  [4]int
	Y        []T
	Position []uint8
	Count    int // windows, at least 1
	Channels int
	Rows     int // of taps
	Taps     int // in a row, at most MostTaps

	call peaksCall
}

// MostTaps is how many taps of Peaks there may be in a row.
const MostTaps = 12

// PeakAdder is an engine that has Peaks in assembly.
type PeakAdder interface{ Peaks(*Peaks[float32]) }

// peaksCall is what the assembly reads.
type peaksCall struct {
	c           *float32
	cStride     int // bytes
	sum         *float32
	a           *float32
	aStep, aRow int // bytes
	y           *float32
	position    *uint8
	channels    int
	count       int
	offsets     [4]int // bytes
	mask        uint64
}
