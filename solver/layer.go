package solver

import (
	"math"
	"path"
	"strings"

	"github.com/pkg/errors"
)

// Layer gives the parameters it matches settings of their own. What is nil is
// as in the solver. The first Layer that matches a parameter counts, and a
// Layer that matches none is an error of the first step; see MatchLayers.
type Layer struct {
	// Name is a parameter's name ("conv1.weight"), the layer it lies in
	// ("conv1", which is not "conv10.weight"), or a pattern for path.Match
	// ("conv[12].*", "*.bias").
	Name string `toml:"name"`

	LearningRateScale *float64 `toml:"rate_scale" json:"RateScale"` // factor on the solver's rate, in [0, ∞)
	Momentum          *float64 `toml:"momentum"`                    // as SGD.Momentum; not for Adam
	L2                *float64 `toml:"l2"`                          // as SGD.L2 and Adam.L2
	WeightDecay       *float64 `toml:"weight_decay"`                // as Adam.WeightDecay; not for SGD
}

// setting is how one parameter is treated.
type setting struct {
	rateScale, momentum, l2, weightDecay float64
}

// in is the setting with what the first matching layer overrides.
func (s setting) in(layers []Layer, name string) setting {
	for _, layer := range layers {
		if layer.matches(name) {
			override(&s.rateScale, layer.LearningRateScale)
			override(&s.momentum, layer.Momentum)
			override(&s.l2, layer.L2)
			override(&s.weightDecay, layer.WeightDecay)
			break
		}
	}
	return s
}

func override(field *float64, value *float64) {
	if value != nil {
		*field = *value
	}
}

// matches assumes a well-formed pattern, which check has made sure of.
func (l Layer) matches(name string) bool {
	matched, _ := path.Match(l.Name, name)
	return matched || strings.HasPrefix(name, l.Name+".")
}

func (l Layer) check() error {
	if _, err := path.Match(l.Name, ""); err != nil || l.Name == "" {
		return errors.Errorf("layer: name: found %q, expected a parameter's name, a layer's or a pattern", l.Name)
	}
	bounds := []bound{
		{"rate_scale", valueOf(l.LearningRateScale), 0, math.Inf(1)},
		{"momentum", valueOf(l.Momentum), 0, 1},
		{"l2", valueOf(l.L2), 0, math.Inf(1)},
		{"weight_decay", valueOf(l.WeightDecay), 0, math.Inf(1)},
	}
	return errors.Wrapf(within(bounds...), "layer %q", l.Name)
}

func valueOf(pointer *float64) float64 {
	if pointer == nil {
		return 0
	}
	return *pointer
}

// checkLayers also refuses the field that the solver has no use for.
func checkLayers(layers []Layer, unused string, field func(Layer) *float64) error {
	for _, layer := range layers {
		if err := layer.check(); err != nil {
			return err
		}
		if value := field(layer); value != nil {
			return errors.Errorf("layer %q: %s: found %v, expected none: this solver has no use for it", layer.Name, unused, *value)
		}
	}
	return nil
}

// MatchLayers keeps a misspelt name from being passed over in silence: it is an
// error when a layer matches none of the parameters, given by their names. The
// first step sees to it too; a training asks before it begins.
func MatchLayers(layers []Layer, names []string) error {
	for _, layer := range layers {
		matches := false
		for _, name := range names {
			matches = matches || layer.matches(name)
		}
		if !matches {
			return errors.Errorf("layer %q: found no parameter of that name, expected one of %q", layer.Name, names)
		}
	}
	return nil
}
