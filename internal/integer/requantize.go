package integer

import (
	"math"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Requantize maps an exact sum s of channel c to a byte. Without an addend it is
//
//	y = clamp(Zero + round(s·Scale[c]), Low, High)
//
// and with the byte a of an addend
//
//	y = clamp(Zero + round(s·Scale[c] + (a − Addend.Zero)·Addend.Scale), Low, High)
//
// followed by y = Table[y] if there is a table. s and a − Addend.Zero are converted to float32,
// all products and the sum of two are rounded to float32, and round rounds to the nearest
// integer, of two to the even one.
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

// result returns the parameters of a layer with one scale.
func (q *Requantize) result() vector.ByteResult {
	r := vector.ByteResult{Scale: q.Scale, Negative: q.NegativeScale, Zero: q.Zero, Low: q.Low, High: q.High}
	if q.Addend != nil {
		r.AddendZero, r.AddendScale = q.Addend.Zero, q.Addend.Scale
	}
	return r
}

// byteOf returns the byte of a sum. addend is the byte of the addend, if there is one.
func (q *Requantize) byteOf(sum int32, channel int, addend uint8) uint8 {
	scale, negative := q.scales(channel)
	if sum < 0 {
		scale = negative
	}
	v := float32(float32(sum) * scale)
	if a := q.Addend; a != nil {
		v = float32(v + float32(float32(int32(addend)-int32(a.Zero))*a.Scale))
	}
	return q.finish(v)
}

// finish rounds a scaled sum.
func (q *Requantize) finish(v float32) uint8 {
	y := int32(q.Zero) + int32(math.RoundToEven(float64(v)))
	y = min(max(y, int32(q.Low)), int32(q.High))
	if q.Table != nil {
		return q.Table[y]
	}
	return uint8(y)
}
