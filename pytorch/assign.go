package pytorch

import (
	"path"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/pkg/errors"
)

// assignment is a tensor for a weight.
type assignment struct {
	weight *graph.Weight
	tensor string
	layout string
}

// assign finds the weights that the mapping means.
func (m Mapping) assign(weights *graph.Weights) ([]assignment, error) {
	var names []string
	for _, weight := range weights.All() {
		names = append(names, weight.Name)
	}
	initial, err := matching(m.Initial, names)
	if err != nil {
		return nil, errors.Wrap(err, "initial")
	}
	var assignments []assignment
	mapped := map[string]bool{}
	for _, source := range m.Sources {
		known := false
		for _, weight := range weights.All() {
			rest, within := strings.CutPrefix(weight.Name, source.Weight)
			if !within || rest != "" && rest[0] != '.' {
				continue
			}
			known = true
			if rest != "" && initial[weight.Name] {
				continue // all of a layer but this
			}
			if mapped[weight.Name] {
				return nil, errors.Errorf("weight %q is mapped twice", weight.Name)
			}
			mapped[weight.Name] = true
			a := assignment{weight: weight, tensor: source.Tensor + rest}
			if rest == "" || weight.Value.Dims() > 1 {
				a.layout = source.Layout // a layer's layout is that of its kernel
			}
			assignments = append(assignments, a)
		}
		if !known {
			return nil, unknownWeight(source.Weight, names)
		}
	}
	for _, name := range names {
		switch {
		case mapped[name] && initial[name]:
			return nil, errors.Errorf("weight %q is mapped and initial, expected one of the two", name)
		case !mapped[name] && !initial[name] && !strings.HasPrefix(name, "head."):
			return nil, errors.Errorf("nothing is mapped to weight %q %v: map a tensor to it, or list it under initial", name, show(weights.Get(name).Value.Shape()))
		}
	}
	return assignments, nil
}

// unknownWeight takes a name without a dot for a layer's.
func unknownWeight(name string, weights []string) error {
	if strings.Contains(name, ".") {
		return nearest.Unknown("weight", name, weights)
	}
	var layers []string
	for _, weight := range weights {
		layer, _ := cut(weight)
		layers = append(layers, layer)
	}
	return nearest.Unknown("layer", name, slices.Compact(layers))
}

// matching is the set of names that patterns match. One that matches none is
// an error.
func matching(patterns, names []string) (map[string]bool, error) {
	matched := map[string]bool{}
	for _, pattern := range patterns {
		found := false
		for _, name := range names {
			matches, err := path.Match(pattern, name)
			if err != nil {
				return nil, errors.Wrapf(err, "pattern %q", pattern)
			}
			if matches || strings.HasPrefix(name, pattern+".") {
				matched[name], found = true, true
			}
		}
		if !found {
			return nil, errors.Errorf("pattern %q matches none of %s", pattern, strings.Join(names, ", "))
		}
	}
	return matched, nil
}
