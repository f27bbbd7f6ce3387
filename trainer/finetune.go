package trainer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// CopyWeights copies weights from one model to another: those whose names match one of
// the patterns, or all that both models have if there is no pattern. A pattern is a
// weight's name, a layer's name such as "conv1", or a path.Match pattern such as
// "conv[12].*", as for graph.Weights.Freeze. It returns the names of the copied weights,
// in the order of the target.
//
// A pattern that matches no weight of both models is an error, and so is a weight that
// has another shape in the other model; then nothing is copied. Without patterns, weights
// whose shapes differ are skipped.
func CopyWeights(to, from *likeness.Model, patterns ...string) (copied []string, err error) {
	if to == nil || from == nil || to.Weights == nil || from.Weights == nil {
		return nil, errors.New("copy weights: found nil, expected two models with weights")
	}
	for _, model := range []*likeness.Model{to, from} {
		if err := model.CheckFloat(); err != nil {
			return nil, errors.Wrap(err, "copy weights")
		}
	}
	matched := make([]bool, len(patterns))
	for _, weight := range to.Weights.All() {
		other := from.Weights.Get(weight.Name)
		if other == nil {
			continue
		}
		wanted := len(patterns) == 0
		for i, pattern := range patterns {
			matches, err := path.Match(pattern, weight.Name)
			if err != nil {
				return nil, errors.Wrapf(err, "copy weights %q", pattern)
			}
			if matches || strings.HasPrefix(weight.Name, pattern+".") {
				wanted, matched[i] = true, true
			}
		}
		switch same := slices.Equal(weight.Value.Shape(), other.Value.Shape()) && weight.Value.Dtype() == other.Value.Dtype(); {
		case !wanted || !same && len(patterns) == 0:
			continue
		case !same:
			return nil, errors.Errorf("copy weights: weight %q: found %v %v, expected %v %v", weight.Name,
				other.Value.Dtype(), other.Value.Shape(), weight.Value.Dtype(), weight.Value.Shape())
		}
		copied = append(copied, weight.Name)
	}
	for i, pattern := range patterns {
		if !matched[i] {
			return nil, errors.Errorf("copy weights %q: both models have no weight of such a name", pattern)
		}
	}
	for _, name := range copied {
		copyElements(to.Weights.Get(name), from.Weights.Get(name))
	}
	return copied, nil
}

func copyElements(to, from *graph.Weight) {
	switch data := from.Value.Data().(type) {
	case []float32:
		copy(to.Value.Float32s(), data)
	case []float64:
		copy(to.Value.Float64s(), data)
	}
}

// ReplaceLast returns a new model whose last fully connected layer is replaced by the
// given blocks; blocks after it, such as a normalization, stay. All other weights are
// copied, frozen ones stay frozen, and new weights are initialized from the seed. The
// weights of the head are copied if the number of features stays the same. The new model
// has no threshold. The given model does not change.
func ReplaceLast(model *likeness.Model, seed uint64, blocks ...graph.Block) (*likeness.Model, error) {
	if model == nil || model.Weights == nil {
		return nil, errors.New("replace last layer: found nil, expected a model with weights")
	}
	if err := model.CheckFloat(); err != nil {
		return nil, errors.Wrap(err, "replace last layer")
	}
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("replace last layer: found a backbone of type %T, expected a backbone.Network", model.Backbone)
	}
	last := lastLinear(network.Blocks)
	if last < 0 {
		return nil, errors.Errorf("replace last layer: found no fully connected layer (graph.Linear) in the network %s", network.Name)
	}
	return replaceBlocks(model, network, last, last+1, seed, blocks...)
}

// replaceBlocks is the model with other blocks in the place of those from begin to end
// of its network, which is given.
func replaceBlocks(model *likeness.Model, network backbone.Network, begin, end int, seed uint64, blocks ...graph.Block) (*likeness.Model, error) {
	number := 1 // of the first fully connected layer that is new
	for _, block := range network.Blocks[:begin] {
		if _, ok := block.(graph.Linear); ok {
			number++
		}
	}
	network.Blocks = slices.Concat(network.Blocks[:begin], blocks, network.Blocks[end:])
	replaced, err := likeness.New(network, model.Head, model.Preprocessing, seed)
	if err != nil {
		return nil, errors.Wrap(err, "replace last layer")
	}
	fresh := fmt.Sprintf("linear%d.", number)
	for _, weight := range replaced.Weights.All() {
		other := model.Weights.Get(weight.Name)
		if other == nil || strings.HasPrefix(weight.Name, fresh) || !slices.Equal(weight.Value.Shape(), other.Value.Shape()) {
			continue
		}
		copyElements(weight, other)
		weight.Frozen = other.Frozen
	}
	return replaced, nil
}

// WithFeatures returns a new model for embeddings of the given number of features. Its
// last fully connected layer is replaced by a new one with the same activation and
// initializers, see ReplaceLast. If the network has no fully connected layer, one is
// added at its end, before a final normalization.
func WithFeatures(model *likeness.Model, features int, seed uint64) (*likeness.Model, error) {
	if features < 1 {
		return nil, errors.Errorf("replace last layer: found %d features, expected at least 1", features)
	}
	if model == nil || model.Weights == nil {
		return nil, errors.New("replace last layer: found nil, expected a model with weights")
	}
	if err := model.CheckFloat(); err != nil {
		return nil, errors.Wrap(err, "replace last layer")
	}
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("replace last layer: found a backbone of type %T, expected a backbone.Network", model.Backbone)
	}
	if i := lastLinear(network.Blocks); i >= 0 {
		last := network.Blocks[i].(graph.Linear)
		last.Units = features
		return ReplaceLast(model, seed, last)
	}
	end := len(network.Blocks)
	if _, ok := network.Blocks[end-1].(graph.Normalize); ok {
		end--
	}
	return replaceBlocks(model, network, end, end, seed, graph.Linear{Units: features})
}

// lastLinear is the index of the last fully connected layer, negative if there is none.
func lastLinear(blocks []graph.Block) int {
	for i, block := range slices.Backward(blocks) {
		if _, ok := block.(graph.Linear); ok {
			return i
		}
	}
	return -1
}
