package solver

import (
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// State is what a solver or an average remembers, as named tensors for a
// checkpoint: "step" (one int64), "rate" (one float64), and for each parameter
// and each moment kept of it a tensor of the parameter's shape and dtype, named
// as "velocity/conv1.weight".
type State map[string]*tensor.Dense

const stepKey, rateKey = "step", "rate"

func momentKey(kind, parameter string) string { return kind + "/" + parameter }

// clone copies the tensors.
func (s State) clone() State {
	copied := make(State, len(s))
	for key, value := range s {
		copied[key] = value.Clone().(*tensor.Dense)
	}
	return copied
}

// steps reads "step".
func (s State) steps() (int, error) {
	value := s[stepKey]
	if value == nil || value.Dtype() != tensor.Int64 || value.Size() != 1 || value.Int64s()[0] < 0 {
		return 0, errors.Errorf("%q: found %v, expected one int64 of at least 0", stepKey, value)
	}
	return int(value.Int64s()[0]), nil
}

func (s State) setSteps(steps int) {
	s[stepKey] = tensor.New(tensor.WithShape(1), tensor.WithBacking([]int64{int64(steps)}))
}

func (c *core) state(rate float64) State {
	state := c.moments.clone()
	state.setSteps(c.steps)
	state[rateKey] = tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{rate}))
	return state
}

// restore returns the rate. The moments wait for the first step, which knows
// the parameters that they must match.
func (c *core) restore(state State, kinds []string) (rate float64, err error) {
	steps, err := state.steps()
	if err != nil {
		return 0, errors.Wrap(err, "restore solver")
	}
	held := state[rateKey]
	if held == nil || held.Dtype() != tensor.Float64 || held.Size() != 1 {
		return 0, errors.Errorf("restore solver: %q: found %v, expected one float64", rateKey, held)
	}
	moments := State{}
	for key, value := range state {
		if key == stepKey || key == rateKey {
			continue
		}
		kind, _, _ := strings.Cut(key, "/")
		if !slices.Contains(kinds, kind) {
			return 0, errors.Errorf("restore solver: found %q, expected moments of the kinds %q: is it the state of another solver?", key, kinds)
		}
		if _, err := dense(value); err != nil {
			return 0, errors.Wrapf(err, "restore solver: %q", key)
		}
		moments[key] = value
	}
	c.steps, c.norm, c.parameters, c.moments = steps, 0, nil, moments.clone()
	return held.Float64s()[0], nil
}

// attachMoments hands each parameter its moments: new ones of zeros, or those
// of a restored state, which must be of just these parameters.
func attachMoments(parameters []*parameter, kinds []string, restored State) (State, error) {
	moments := make(State, len(parameters)*len(kinds))
	for _, p := range parameters {
		for _, kind := range kinds {
			key := momentKey(kind, p.name)
			moment := restored[key]
			if len(restored) == 0 {
				moment = tensor.New(tensor.Of(p.dtype), tensor.WithShape(p.shape...))
			}
			if moment == nil {
				return nil, errors.Wrapf(ErrChanged, "restored state: found no %q", key)
			}
			if !p.fits(moment) {
				return nil, errors.Wrapf(ErrChanged, "restored state: %q: found %v %v, expected %v %v",
					key, moment.Dtype(), moment.Shape(), p.dtype, p.shape)
			}
			moments[key] = moment
			p.moments = append(p.moments, moment)
		}
	}
	for key := range restored {
		if moments[key] == nil {
			return nil, errors.Wrapf(ErrChanged, "restored state: found %q, which no parameter has", key)
		}
	}
	return moments, nil
}
