package graph

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// Initial says how a weight's first values are drawn. The zero value is the
// usual choice for the place it stands in: He's for kernels, zero for biases.
type Initial struct {
	Scheme    string  `toml:"scheme,omitempty" json:"scheme,omitempty"`       // "", "he", "xavier", "normal" or "constant"
	Mean      float64 `toml:"mean,omitempty" json:"mean,omitempty"`           // of "normal"; the value of "constant"
	Deviation float64 `toml:"deviation,omitempty" json:"deviation,omitempty"` // of "normal"
}

// Normal draws from a normal distribution, as Koch, Zemel & Salakhutdinov do.
func Normal(mean, deviation float64) Initial {
	return Initial{Scheme: "normal", Mean: mean, Deviation: deviation}
}

// Constant sets every element to one value.
func Constant(value float64) Initial { return Initial{Scheme: "constant", Mean: value} }

// or gives the default where the scheme is left open.
func (i Initial) or(usual Initial) Initial {
	if i.Scheme == "" {
		return usual
	}
	return i
}

// He draws N(0, 2/fan_in), which keeps the variance of activations through
// ReLU layers (He et al. 2015, equation 10).
var He = Initial{Scheme: "he"}

// Xavier draws U(−a, a) with a = √(6/(fan_in + fan_out)), for sigmoid and tanh
// layers (Glorot & Bengio 2010, equation 16).
var Xavier = Initial{Scheme: "xavier"}

// draw sets the elements of a weight with the given fans.
func (i Initial) draw(weight *tensor.Dense, r *rand.Rand, fanIn, fanOut int) {
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
func (i Initial) one(r *rand.Rand, fanIn, fanOut int) float64 {
	switch i.Scheme {
	case "he":
		return r.NormFloat64() * math.Sqrt(2/float64(fanIn))
	case "xavier":
		return (2*r.Float64() - 1) * math.Sqrt(6/float64(fanIn+fanOut))
	case "normal":
		return i.Mean + i.Deviation*r.NormFloat64()
	}
	return i.Mean
}

// valid says whether the scheme is known.
func (i Initial) valid() bool {
	switch i.Scheme {
	case "", "he", "xavier", "normal", "constant":
		return true
	}
	return false
}
