package graph

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// Initializer says how a weight's first values are drawn. The zero value is the
// usual choice for the place it stands in: He's for kernels, zero for biases.
type Initializer struct {
	Scheme string  `toml:"scheme,omitempty" json:"scheme,omitempty"`       // "", "he", "xavier", "normal" or "constant"
	Mean   float64 `toml:"mean,omitempty" json:"mean,omitempty"`           // of "normal"; the value of "constant"
	StdDev float64 `toml:"deviation,omitempty" json:"deviation,omitempty"` // of "normal"
}

// Normal draws from a normal distribution, as Koch, Zemel & Salakhutdinov do.
func Normal(mean, deviation float64) Initializer {
	return Initializer{Scheme: "normal", Mean: mean, StdDev: deviation}
}

// Constant sets every element to one value.
func Constant(value float64) Initializer { return Initializer{Scheme: "constant", Mean: value} }

// or gives the default where the scheme is left open.
func (i Initializer) or(usual Initializer) Initializer {
	if i.Scheme == "" {
		return usual
	}
	return i
}

// He draws N(0, 2/fan_in), which keeps the variance of activations through
// ReLU layers (He et al. 2015, equation 10).
var He = Initializer{Scheme: "he"}

// Xavier draws U(−a, a) with a = √(6/(fan_in + fan_out)), for sigmoid and tanh
// layers (Glorot & Bengio 2010, equation 16).
var Xavier = Initializer{Scheme: "xavier"}

// draw sets the elements of a weight with the given fans.
func (i Initializer) draw(weight *tensor.Dense, r *rand.Rand, fanIn, fanOut int) {
	if weight.Dtype() == Float32 {
		data := weight.Float32s()
		for k := range data {
			data[k] = float32(i.one(r, fanIn, fanOut))
		}
		return
	}
	data := weight.Float64s()
	for k := range data {
		data[k] = i.one(r, fanIn, fanOut)
	}
}

// one draws an element.
func (i Initializer) one(r *rand.Rand, fanIn, fanOut int) float64 {
	switch i.Scheme {
	case "he":
		return r.NormFloat64() * math.Sqrt(2/float64(fanIn))
	case "xavier":
		return (2*r.Float64() - 1) * math.Sqrt(6/float64(fanIn+fanOut))
	case "normal":
		return i.Mean + i.StdDev*r.NormFloat64()
	}
	return i.Mean
}

// valid says whether the scheme is known.
func (i Initializer) valid() bool {
	switch i.Scheme {
	case "", "he", "xavier", "normal", "constant":
		return true
	}
	return false
}
