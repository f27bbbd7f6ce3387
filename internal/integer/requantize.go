package integer

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Requantize maps an exact sum s of channel c to a byte. Without an addend it is
//
//	y = clamp(Zero + ⌊s·m[c]/2^shift + 1/2⌋, Low, High)
//
// and with the byte a of an addend
//
//	y = clamp(Zero + ⌊(s·m[c] + (a − Addend.Zero)·n)/2^shift + 1/2⌋, Low, High)
//
// followed by y = Table[y] if there is a table. All of it is in integers: m[c] = round(Scale[c]·2^shift)
// and n = round(Addend.Scale·2^shift) are integers below 2³¹ that are computed when a layer is made,
// and shift is the same for all channels, the largest up to 32 for which they are.
type Requantize struct {
	Scale []float32 // one for each channel, or one for all; from 0 to MaxScale
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
	Scale float32 // at least 0 and at most MaxScale
}

// MaxScale is the largest scale. The product of a scale and the largest possible sum must be
// less than 2³⁰, too.
const MaxScale = 1 << 20

// maxScaled bounds scaled sums, so that they fit in an int32 after any rounding.
const maxScaled = 1 << 30

// validate returns an error if the parameters are not valid for a number of channels. bounds
// are the largest absolute values of the sums of the channels.
func (q *Requantize) validate(channels int, bounds func(channel int) int64) error {
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
		if s := q.Addend.Scale; !(s >= 0 && s <= MaxScale) {
			return errors.Errorf("the scale of the addend is %v, it must be from 0 to %d", s, MaxScale)
		}
	}
	for c := range channels {
		positive, negative := q.scales(c)
		if !(positive >= 0 && positive <= MaxScale) {
			return errors.Errorf("the scale of channel %d is %v, it must be from 0 to %d", c, positive, MaxScale)
		}
		if !(negative >= -MaxScale && negative <= MaxScale) {
			return errors.Errorf("the scale of negative sums of channel %d is %v, it must be from -%d to %d", c, negative, MaxScale, MaxScale)
		}
		if bound := bounds(c); float64(bound)*max(float64(positive), math.Abs(float64(negative))) >= maxScaled {
			return errors.Errorf("channel %d: sums of up to %d times the scale %v may exceed 2^30: the result has no byte for most of them, reduce the scale", c, bound, positive)
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

// multipliers are the integers in place of scales.
type multipliers struct {
	q      *Requantize
	shift  uint8
	addend int32
}

// maxShift is the largest shift: what is left of a product of 64 bits is its upper half.
const maxShift = 32

// multipliers returns the integers in place of the scales.
func (q *Requantize) multipliers() multipliers {
	var largest float64
	for _, s := range slices.Concat(q.Scale, q.NegativeScale) {
		largest = max(largest, math.Abs(float64(s)))
	}
	if q.Addend != nil {
		largest = max(largest, float64(q.Addend.Scale))
	}
	m := multipliers{q: q, shift: maxShift}
	for m.shift > 1 && math.Round(math.Ldexp(largest, int(m.shift))) > math.MaxInt32 {
		m.shift--
	}
	if q.Addend != nil {
		m.addend = m.round(q.Addend.Scale)
	}
	return m
}

// round returns the multiplier of a scale.
func (m multipliers) round(scale float32) int32 {
	return int32(math.Round(math.Ldexp(float64(scale), int(m.shift))))
}

// of returns the multipliers of a channel, of sums from zero and of negative ones.
func (m multipliers) of(channel int) (positive, negative int32) {
	p, n := m.q.scales(channel)
	return m.round(p), m.round(n)
}

// result returns the parameters of channels.
func (q *Requantize) result(channels int) vector.ByteResult {
	m := q.multipliers()
	r := vector.ByteResult{Multiplier: make([]int32, channels+1), Shift: m.shift, Zero: q.Zero, Low: q.Low, High: q.High, AddendMultiplier: m.addend}
	if q.NegativeScale != nil {
		r.Negative = make([]int32, channels+1)
	}
	for c := range channels {
		positive, negative := m.of(c)
		if r.Multiplier[c] = positive; q.NegativeScale != nil {
			r.Negative[c] = negative
		}
	}
	if q.Addend != nil {
		r.AddendZero = q.Addend.Zero
	}
	return r
}
