package integer

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Requantize maps an exact number s of channel c to a byte,
//
//	y = clamp(Zero + round(s·Scale[c] + (a − Addend.Zero)·Addend.Scale), Low, High)
//
// with the byte a of an addend if there is one, followed by y = Table[y] if there is a table. All of it
// is in integers, which are computed when a layer is made.
//
// Sums of products, of Conv and Linear, are scaled in 16 bits, because there are so many of them:
//
//	t = round(saturate(⌊s/2^k[c]⌋)·m[c]/2^15) + ⌊a·n/2^8⌋ − ⌊Addend.Zero·n/2^8⌋
//	y = clamp(Zero + round(t/2^d), Low, High)
//
// with m[c] = round(Scale[c]·2^(k[c]+d+15)) and n = round(Addend.Scale·2^(8+d)). The number of binary
// digits d is the largest up to 6 with which no number overflows, and k[c] the largest shift up to 31
// for which m[c] is below 2^15: a number that is in the range of y has at least 13 binary digits.
// vector.ByteResult says how sums outside saturate. Rounding is to the nearest integer, halves up.
//
// The other layers have y = clamp(Zero + ⌊(s·m[c] + (a − Addend.Zero)·n)/2^shift + 1/2⌋, Low, High) in 64
// bits: m[c] = round(Scale[c]·2^shift) and n = round(Addend.Scale·2^shift) are below 2³¹, and shift is
// the same for all channels, the largest up to 32 for which they are.
type Requantize struct {
	Scale []float32 // one for each channel, or one for all; from 0 to MaxScale, or to MaxSumScale
	// NegativeScale replaces Scale where s is negative, for PReLU; nil if it is the same. It
	// may be negative.
	NegativeScale []float32
	Zero          uint8
	Low, High     uint8   // Low at most High
	Addend        *Addend // nil for none
	Table         []uint8 // 256 bytes, or nil
}

// Addend describes a tensor that is added to the results of a layer, of the same shape.
type Addend struct {
	Zero  uint8
	Scale float32 // at least 0 and at most MaxScale, or MaxAddendScale
}

// MaxScale is the largest scale of layers other than Conv and Linear. The product of a scale and the
// largest possible number must be less than 2³⁰, too.
const MaxScale = 1 << 20

// MaxSumScale is the largest scale of sums of products, and MaxAddendScale that of their addends.
const (
	MaxSumScale    = 0.5
	MaxAddendScale = 31
)

// maxScaled bounds scaled sums, so that they fit in an int32 after any rounding.
const maxScaled = 1 << 30

// validateSums returns an error if the parameters are not valid for the sums of products of a number of
// channels.
func (q *Requantize) validateSums(channels int) error {
	return q.validate(channels, MaxSumScale, MaxAddendScale)
}

// validateWide returns an error if the parameters are not valid for a number of channels, whose
// numbers have magnitudes of at most bound.
func (q *Requantize) validateWide(channels int, bound int64) error {
	if err := q.validate(channels, MaxScale, MaxScale); err != nil {
		return err
	}
	for c := range channels {
		positive, negative := q.scales(c)
		if float64(bound)*max(float64(positive), math.Abs(float64(negative))) >= maxScaled {
			return errors.Errorf("channel %d: numbers of up to %d times the scale %v may exceed 2^30: the result has no byte for most of them, reduce the scale", c, bound, positive)
		}
	}
	return nil
}

// validate returns an error if the parameters are not valid for a number of channels and the largest
// scales.
func (q *Requantize) validate(channels int, most, mostOfAddend float32) error {
	if n := len(q.Scale); n != 1 && n != channels {
		return errors.Errorf("found %d scales, expected 1 or one for each of %d channels", n, channels)
	}
	if n := len(q.NegativeScale); n != 0 && n != 1 && n != channels {
		return errors.Errorf("found %d scales of negative sums, expected none, 1 or one for each of %d channels", n, channels)
	}
	if q.Low > q.High {
		return errors.Errorf("the lower bound of the result is %d, it must be at most the upper one, %d", q.Low, q.High)
	}
	if n := len(q.Table); n != 0 && n != 256 {
		return errors.Errorf("found a table of %d bytes, expected 256 or none", n)
	}
	if q.Addend != nil {
		if q.NegativeScale != nil {
			return errors.New("an addend and a scale of negative sums cannot be combined: compute the sum by Add")
		}
		if s := q.Addend.Scale; !(s >= 0 && s <= mostOfAddend) {
			return errors.Errorf("the scale of the addend is %v, it must be from 0 to %v", s, mostOfAddend)
		}
	}
	for c := range channels {
		positive, negative := q.scales(c)
		if !(positive >= 0 && positive <= most) {
			return errors.Errorf("the scale of channel %d is %v, it must be from 0 to %v", c, positive, most)
		}
		if !(negative >= -most && negative <= most) {
			return errors.Errorf("the scale of negative sums of channel %d is %v, it must be from %v to %v", c, negative, -most, most)
		}
	}
	return nil
}

// scales returns the scales of a channel, of sums from zero and of negative ones.
func (q *Requantize) scales(channel int) (positive, negative float32) {
	of := func(s []float32) float32 {
		if len(s) == 1 {
			return s[0]
		}
		return s[channel]
	}
	positive = of(q.Scale)
	if q.NegativeScale == nil {
		return positive, positive
	}
	return positive, of(q.NegativeScale)
}

// largest returns the largest magnitude of the scales of channels, and the scale of the addend, 0 for
// none.
func (q *Requantize) largest() (scale, addend float64) {
	for _, s := range slices.Concat(q.Scale, q.NegativeScale) {
		scale = max(scale, math.Abs(float64(s)))
	}
	if q.Addend != nil {
		addend = float64(q.Addend.Scale)
	}
	return scale, addend
}

const (
	mostWord   = math.MaxInt16
	mostShift  = 31 // of a sum
	mostDigits = 6
)

// sums returns the parameters of sums of products without those of columns, which has room for a number
// of them.
func (q *Requantize) sums(columns int) vector.ByteResult {
	r := vector.ByteResult{Zero: q.Zero, Low: q.Low, High: q.High, Digits: mostDigits, Shift: make([]int32, columns), Multiplier: make([]int32, columns)}
	if q.NegativeScale != nil {
		r.NegativeShift, r.NegativeMultiplier = make([]int32, columns), make([]int32, columns)
	}
	largest, addend := q.largest()
	zero := int(q.Zero)
	reach := float64(max(int(q.High)-zero, zero-int(q.Low))) + 255*addend
	// Where a multiplier is at least half of what it can be, numbers saturate outside of reach only.
	for r.Digits > 1 && (math.Ldexp(reach, int(r.Digits)) > mostWord/2 || math.Ldexp(largest, int(r.Digits)+15) > mostWord || math.Ldexp(addend, int(r.Digits)+8) > mostWord) {
		r.Digits--
	}
	if q.Addend != nil {
		r.AddendZero, r.AddendMultiplier = q.Addend.Zero, uint16(math.Round(math.Ldexp(addend, int(r.Digits)+8)))
	}
	return r
}

// set sets the parameters of a column to those of a channel.
func (q *Requantize) set(r *vector.ByteResult, column, channel int) {
	positive, negative := q.scales(channel)
	r.Shift[column], r.Multiplier[column] = shifted(positive, r.Digits)
	if q.NegativeScale != nil {
		r.NegativeShift[column], r.NegativeMultiplier[column] = shifted(negative, r.Digits)
	}
}

// shifted returns the shift and the multiplier of a scale.
func shifted(scale float32, digits uint8) (shift, multiplier int32) {
	for round := func() float64 { return math.Round(math.Ldexp(float64(scale), int(shift)+int(digits)+15)) }; ; shift++ {
		if multiplier = int32(min(max(round(), -mostWord), mostWord)); shift == mostShift || math.Abs(math.Ldexp(float64(scale), int(shift)+int(digits)+16)) > mostWord {
			return shift, multiplier
		}
	}
}

// maxShift is the largest shift: what is left of a product of 64 bits is its upper half.
const maxShift = 32

// wide returns the parameters of numbers of a number of channels.
func (q *Requantize) wide(channels int) vector.WideByteResult {
	largest, addend := q.largest()
	r := vector.WideByteResult{Multiplier: make([]int32, channels), Shift: maxShift, Zero: q.Zero, Low: q.Low, High: q.High}
	round := func(scale float64) int32 { return int32(math.Round(math.Ldexp(scale, int(r.Shift)))) }
	for r.Shift > 1 && math.Round(math.Ldexp(max(largest, addend), int(r.Shift))) > math.MaxInt32 {
		r.Shift--
	}
	if q.NegativeScale != nil {
		r.Negative = make([]int32, channels)
	}
	for c := range channels {
		positive, negative := q.scales(c)
		if r.Multiplier[c] = round(float64(positive)); q.NegativeScale != nil {
			r.Negative[c] = round(float64(negative))
		}
	}
	if q.Addend != nil {
		r.AddendZero, r.AddendMultiplier = q.Addend.Zero, round(addend)
	}
	return r
}
