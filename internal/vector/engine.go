package vector

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
)

// Float is the element type of every array.
type Float interface{ float32 | float64 }

// Engine has the inner loops for one element type. All arrays are row-major; channels are
// the innermost dimension of images. The caller is responsible for the lengths.
type Engine[T Float] interface {
	// Name is "portable" or that of an instruction set.
	Name() string
	// Lanes is the number of elements of a vector, and MaxWidth the largest width,
	// in vectors, of a panel of packed columns.
	Lanes() int
	MaxWidth() int
	// Rows and Outer are the two forms of matrix product, see the types.
	Rows(*Rows[T])
	Outer(*Outer[T])
	// Depthwise and DepthwiseGradient are a depthwise convolution and the gradient of its
	// weights, see the type.
	Depthwise(*Depthwise[T])
	DepthwiseGradient(*Depthwise[T])
	// Transpose writes to y (columns, rows, yStride apart) the transpose of x
	// (rows, columns), whose rows start xStride elements apart.
	Transpose(y []T, yStride int, x []T, xStride, rows, columns int)
	// Dot returns Σ xᵢ·yᵢ.
	Dot(x, y []T) T
	// DotRows writes the dot products y of x with the rows of a matrix (len(y), len(x)).
	DotRows(y, x, rows []T)

	// MaxWindows and ScatterWindows are max pooling and its gradient. The maximum is
	// the first of equal elements, or the first NaN if there is one.
	MaxWindows(*Windows[T])
	ScatterWindows(*Windows[T])

	// Prefetch loads an array into the caches, in the order of its elements, before it is read or
	// written in another order, which the processor would not predict.
	Prefetch(x []T)
	// Add writes y += x, and Scale y = factor·x. y may be x.
	Add(y, x []T)
	Scale(y, x []T, factor T)
	// ReLU writes y = max(x, 0), NaN for NaN, and ReLUGradient dx = 0 where
	// x ≤ 0 and dy elsewhere, at NaN too. y may be x, dx may be x or dy.
	ReLU(y, x []T)
	ReLUGradient(dx, x, dy []T)
	// Activate writes y = f(x), NaN for NaN, and ActivateGradient dx = f′(x)·dy, where the
	// slope at a kink is that of the constant part. y may be x, dx may be x or dy.
	Activate(f Activation, y, x []T)
	ActivateGradient(f Activation, dx, x, dy []T)

	// The loops of batch normalization; x, y, dx and dy are rows of len(mean)
	// channels.
	//
	// Normalize writes y = (x − mean)·scale + shift. y may be x.
	Normalize(y, x, mean, scale, shift []T)
	// Center writes dx = scale·(dy − dyMean − (x − mean)·along), or, with a
	// nil dy, what dy = 0 gives. dx may be x or dy.
	Center(dx, x, dy, mean, scale, along, dyMean []T)
	// ScaleChannels writes dx = dy·scale. dx may be dy.
	ScaleChannels(dx, dy, scale []T)
	// The same with an activation that clips. NormalizeClipped writes y = clip(x·scale + shift);
	// y may be x. With the gradient g = clip′(x·scale + shift)·dy, where clip′ is 0 where the
	// value is clipped and 1 elsewhere, at NaN too, CenterClipped writes dx = scale·(g − dyMean −
	// (x − mean)·along), and SumClipped adds g·(x − mean) to the first half of sum and g to the
	// second. dx may be x or dy.
	NormalizeClipped(clip Clip, y, x, scale, shift []T)
	CenterClipped(clip Clip, dx, x, dy, mean, scale, shift, along, dyMean []T)
	SumClipped(clip Clip, sum []float64, x, dy, mean, scale, shift []T)
	// SumRows adds the rows of x to sum, SumSquares adds (x − mean)², and SumMoments adds the
	// one to the first half of sum and the other to the second. SumProducts adds dy·(x − mean)
	// to the first half and dy to the second. All add in float64.
	SumRows(sum []float64, x []T)
	SumSquares(sum []float64, x, mean []T)
	SumMoments(sum []float64, x, mean []T)
	SumProducts(sum []float64, x, dy, mean []T)

	// InnerTile is the size of a tile of InnerProducts, which adds to c (rows, columns), whose
	// rows are stride elements apart, the inner products of the rows and columns of a tile:
	//
	//	c[i·stride+j] += Σ a[k·rows+i]·b[k·columns+j]
	//
	// over k < len(a)/rows. InnerSquares adds Σ b[k·columns+j]² to sum[j]. All elements of a and b
	// must be values of float32, as Widen writes them: their products are exact in float64. They
	// are added in the order of k, so every engine gives the same bits, and so do calls for
	// parts of a and b, one after the other.
	InnerTile() (rows, columns int)
	InnerProducts(c []float64, stride int, a, b []float64)
	InnerSquares(sum, b []float64)
	Widen(y []float64, x []T)

	// SquaredNorm returns Σxᵢ² in float64.
	SquaredNorm(x []T) float64

	// SquaredDistance returns Σ(xᵢ − yᵢ)², AbsoluteDistance Σ|xᵢ − yᵢ|, and
	// WeightedDistance Σ weightᵢ·|xᵢ − yᵢ|, added in float64. The differences
	// may be rounded to T first, so of float32 each term is exact to 2⁻²³ of
	// itself. Equal arrays are exactly zero apart.
	SquaredDistance(x, y []T) float64
	AbsoluteDistance(x, y []T) float64
	WeightedDistance(x, y, weight []T) float64
	// ScanProducts and ScanDifferences find the compressed rows that are near queries, see
	// the type.
	ScanProducts(*Scan)
	ScanDifferences(*Scan)
	// AddDifference adds factor·(x − y) to dx, which may be x or y.
	AddDifference(dx, x, y []T, factor T)

	// Adam and Momentum are steps of solvers, see Portable. All arrays have the
	// length of weight.
	Adam(weight, gradient, first, second []T, f AdamFactors[T])
	Momentum(weight, gradient, velocity []T, f MomentumFactors[T])

	// MultiplyAdds computes multiply-adds that depend neither on memory nor on each
	// other, and returns the number of multiplications and additions. Its speed is
	// the upper bound of that of all other loops.
	MultiplyAdds(iterations int) int
}

// Clip is a function that replaces values outside of a range by its bounds.
type Clip int

const (
	NoClip   Clip = iota // the identity
	ClipZero             // max(x, 0): ReLU
	ClipSix              // min(max(x, 0), 6): ReLU6
)

// bounds returns the range, with NaN for a bound that there is not.
func (c Clip) bounds() (floor, limit float32) {
	floor, limit = 0, float32(math.NaN())
	switch c {
	case NoClip:
		floor = limit
	case ClipSix:
		limit = 6
	}
	return floor, limit
}

// clipRange is the range of a clip for the assembly of products.
type clipRange struct{ floor, limit float32 }

// around returns the range, with infinity for a bound that there is not.
func (c Clip) around() clipRange {
	r := clipRange{float32(math.Inf(-1)), float32(math.Inf(1))}
	if c != NoClip {
		r.floor = 0
	}
	if c == ClipSix {
		r.limit = 6
	}
	return r
}

// ApplyClip clips values in place.
func ApplyClip[T Float](c Clip, y []T) {
	if c == NoClip {
		return
	}
	limit := T(c.around().limit)
	for i, v := range y {
		y[i] = min(max(v, 0), limit)
	}
}

// Windows is a row of pooling windows. Window i begins at element i·Step of X, and
// position k of a window is Offsets[k] elements further; each position has Channels
// elements. Y and Position have Channels elements for each window.
type Windows[T Float] struct {
	X        []T
	Y        []T
	Position []uint8 // of each maximum in its window; len(Offsets) means "none"
	Kept     []T     // the elements of X at the maxima; nil if they are not needed
	Offsets  []int32 // of the positions of a window, at most 255
	Count    int     // number of windows
	Step     int
	Channels int

	// MaxWindows compares X·Scale + Shift, channel by channel, or X if they are nil.
	Scale, Shift []T
	// With Rectify, MaxWindows replaces maxima below zero by zero, and the position of
	// all that are at most zero by "none".
	Rectify bool

	// ScatterWindows writes Y, times Scale unless that is nil, to X at the position of
	// each maximum, and zeros at the other positions of the window; windows must not
	// overlap. With Add, it adds to X instead, and windows may overlap.
	Add bool
}

// Variable is the name of the environment variable that selects an instruction set. It is
// read once.
const Variable = "LIKENESS_INSTRUCTIONS"

// For returns the engine for an element type: for float32 that of the best instruction set
// of this processor, or the one that the environment variable selects; for float64 the
// portable one.
func For[T Float]() Engine[T] {
	if single, ok := any(chosen().engine).(Engine[T]); ok {
		return single
	}
	return Portable[T]{}
}

// known lists the values that Variable may have, on any processor. If it is empty, the best
// instruction set is used.
var known = []string{"avx512", "avx2", "neon", "portable"}

type choice struct {
	engine Engine[float32]
	err    error // if the value of the variable is unknown
}

var chosen = sync.OnceValue(func() choice {
	name := os.Getenv(Variable)
	engine, err := choose(name)
	if err != nil && slices.Contains(known, name) {
		fmt.Fprintf(os.Stderr, "likeness: %v\n", err)
		err = nil
	}
	return choice{engine, err}
})

// EnvironmentError returns an error if the value of Variable is not the name of an
// instruction set of any processor. The engine is then the best one; whether to go on is
// the caller's decision. The name of an instruction set that this processor lacks is no
// error: a line on standard error says which one is used instead.
func EnvironmentError() error { return chosen().err }

// Engines returns all engines for float32 that this processor supports, the fastest first
// and the portable one last.
func Engines() []Engine[float32] {
	var all []Engine[float32]
	for _, s := range sets() {
		all = append(all, s)
	}
	return append(all, Portable[float32]{})
}

// choose returns the engine with a name. If there is none, it returns the best engine and,
// unless the name is empty, an error.
func choose(name string) (Engine[float32], error) {
	var names []string
	for _, e := range Engines() {
		if e.Name() == name {
			return e, nil
		}
		names = append(names, e.Name())
	}
	best := Engines()[0]
	if name == "" {
		return best, nil
	}
	if !slices.Contains(known, name) {
		return best, fmt.Errorf("environment variable %s: found %q, expected one of %s, or none for the best of this processor: correct or unset it",
			Variable, name, strings.Join(known, ", "))
	}
	return best, fmt.Errorf("%s is %q, this processor has %s; %s is used",
		Variable, name, strings.Join(names, ", "), best.Name())
}
