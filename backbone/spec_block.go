package backbone

import (
	"reflect"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/pkg/errors"
)

// Kinds are the blocks that a spec can name.
var Kinds = []string{"conv", "linear", "batchnorm", "activation", "maxpool", "averagepool", "globalaveragepool", "dropout", "flatten", "normalize", "residual"}

func blocksOf(specs []BlockSpec) ([]graph.Block, error) {
	var blocks []graph.Block
	for i, spec := range specs {
		block, err := spec.block()
		if err != nil {
			return nil, errors.Wrapf(err, "block %d", i+1)
		}
		blocks = append(blocks, block)
	}
	return blocks, nil
}

// block makes the block of a spec. A key that the kind does not have is found
// by the way back: it is lost there.
func (s BlockSpec) block() (graph.Block, error) {
	block, err := s.ofKind()
	if err != nil {
		return nil, err
	}
	kept, err := specOf(block)
	if err != nil {
		return nil, err
	}
	given, back := reflect.ValueOf(s), reflect.ValueOf(kept)
	for i := range given.NumField() {
		if !reflect.DeepEqual(given.Field(i).Interface(), back.Field(i).Interface()) {
			key, _, _ := strings.Cut(given.Type().Field(i).Tag.Get("toml"), ",")
			return nil, errors.Errorf("found key %q, which a %s block does not have", key, s.Kind)
		}
	}
	return block, nil
}

func (s BlockSpec) ofKind() (graph.Block, error) {
	switch s.Kind {
	case "conv":
		return graph.Conv{
			Filters: s.Filters, Kernel: s.Kernel, Stride: s.Stride, Padding: s.Padding, NoBias: s.NoBias,
			BatchNorm: s.BatchNorm, Activation: s.Activation, Pool: s.Pool, Weight: value(s.Weight), Bias: value(s.Bias),
		}, nil
	case "linear":
		return graph.Linear{Units: s.Units, NoBias: s.NoBias, Activation: s.Activation, Weight: value(s.Weight), Bias: value(s.Bias)}, nil
	case "batchnorm":
		return graph.BatchNorm{}, nil
	case "activation":
		return graph.Activate{Function: s.Activation}, nil
	case "maxpool":
		return graph.MaxPool{Size: s.Size, Stride: s.Stride}, nil
	case "averagepool":
		return graph.AveragePool{Size: s.Size, Stride: s.Stride, Trainable: s.Trainable}, nil
	case "globalaveragepool":
		return graph.GlobalAveragePool{}, nil
	case "dropout":
		return graph.Dropout{Rate: s.Rate}, nil
	case "flatten":
		return graph.Flatten{}, nil
	case "normalize":
		return graph.Normalize{}, nil
	case "residual":
		body, err := blocksOf(s.Body)
		if err != nil {
			return nil, errors.Wrap(err, "body")
		}
		shortcut, err := blocksOf(s.Shortcut)
		return graph.Residual{Body: body, Shortcut: shortcut, Activation: s.Activation, Pool: s.Pool}, errors.Wrap(err, "shortcut")
	}
	return nil, nearest.Unknown("kind", s.Kind, slices.Sorted(slices.Values(Kinds)))
}

func specsOf(blocks []graph.Block) ([]BlockSpec, error) {
	var specs []BlockSpec
	for i, block := range blocks {
		spec, err := specOf(block)
		if err != nil {
			return nil, errors.Wrapf(err, "block %d", i+1)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func specOf(block graph.Block) (BlockSpec, error) {
	switch b := block.(type) {
	case graph.Conv:
		return BlockSpec{
			Kind: "conv", Filters: b.Filters, Kernel: b.Kernel, Stride: b.Stride, Padding: b.Padding, NoBias: b.NoBias,
			BatchNorm: b.BatchNorm, Activation: b.Activation, Pool: b.Pool, Weight: given(b.Weight), Bias: given(b.Bias),
		}, nil
	case graph.Linear:
		return BlockSpec{Kind: "linear", Units: b.Units, NoBias: b.NoBias, Activation: b.Activation, Weight: given(b.Weight), Bias: given(b.Bias)}, nil
	case graph.Activate:
		return BlockSpec{Kind: "activation", Activation: b.Function}, nil
	case graph.MaxPool:
		return BlockSpec{Kind: "maxpool", Size: b.Size, Stride: b.Stride}, nil
	case graph.AveragePool:
		return BlockSpec{Kind: "averagepool", Size: b.Size, Stride: b.Stride, Trainable: b.Trainable}, nil
	case graph.Dropout:
		return BlockSpec{Kind: "dropout", Rate: b.Rate}, nil
	case graph.BatchNorm, graph.GlobalAveragePool, graph.Flatten, graph.Normalize:
		return BlockSpec{Kind: block.Kind()}, nil
	case graph.Residual:
		body, err := specsOf(b.Body)
		if err != nil {
			return BlockSpec{}, errors.Wrap(err, "body")
		}
		shortcut, err := specsOf(b.Shortcut)
		return BlockSpec{Kind: "residual", Body: body, Shortcut: shortcut, Activation: b.Activation, Pool: b.Pool}, errors.Wrap(err, "shortcut")
	}
	return BlockSpec{}, errors.Errorf("a block of type %T cannot be written as TOML: only those of package graph can", block)
}

// value is the initial scheme that a spec names, given the one to name; the
// zero value is the usual one and is not named.
func value(initial *graph.Initializer) graph.Initializer {
	if initial == nil {
		return graph.Initializer{}
	}
	return *initial
}

func given(initial graph.Initializer) *graph.Initializer {
	if initial == (graph.Initializer{}) {
		return nil
	}
	return &initial
}
