package backbone

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Spec is the description of a network in TOML:
//
//	name = "mine"
//	input = { height = 28, width = 28, channels = 1 }
//
//	[[block]]
//	kind = "conv"
//	filters = 32
//	kernel = 3
//	padding = 1
//	batch_norm = true
//	activation = "relu"
//	pool = 2
//
//	[[block]]
//	kind = "flatten"
type Spec struct {
	Name   string       `toml:"name"`
	Input  imaging.Size `toml:"input"`
	Blocks []BlockSpec  `toml:"block"`
}

// BlockSpec is the description of a block in TOML: its kind and the keys of that kind.
// See the types of package graph for their meaning.
type BlockSpec struct {
	Kind       string             `toml:"kind"`
	Filters    int                `toml:"filters,omitempty"`
	Kernel     int                `toml:"kernel,omitempty"`
	Stride     int                `toml:"stride,omitempty"`
	Padding    int                `toml:"padding,omitempty"`
	Units      int                `toml:"units,omitempty"`
	NoBias     bool               `toml:"no_bias,omitempty"`
	BatchNorm  bool               `toml:"batch_norm,omitempty"`
	Activation string             `toml:"activation,omitempty"`
	Pool       int                `toml:"pool,omitempty"`
	Size       int                `toml:"size,omitempty"`
	Trainable  bool               `toml:"trainable,omitempty"`
	Rate       float64            `toml:"rate,omitempty"`
	Weight     *graph.Initializer `toml:"weight,omitempty"`
	Bias       *graph.Initializer `toml:"bias,omitempty"`
	Body       []BlockSpec        `toml:"body,omitempty"`
	Shortcut   []BlockSpec        `toml:"shortcut,omitempty"`

	Groups      int     `toml:"groups,omitzero"`
	SamePadding bool    `toml:"same_padding,omitempty"`
	Epsilon     float64 `toml:"epsilon,omitzero"`
	Momentum    float64 `toml:"momentum,omitzero"`
	Exponent    float64 `toml:"exponent,omitzero"`
	Initial     float64 `toml:"initial,omitzero"`
	Channels    int     `toml:"channels,omitzero"`
	Gate        string  `toml:"gate,omitempty"`
	Drop        float64 `toml:"drop,omitzero"`
}

// Parse reads a network from TOML. Unknown keys, kinds and keys that a kind
// does not have are errors; source names the file in them.
func Parse(text, source string) (Network, error) {
	var spec Spec
	if err := strict.Decode(text, source, &spec); err != nil {
		return Network{}, err
	}
	network, err := spec.Network()
	return network, errors.Wrapf(err, "%s", source)
}

// Network returns the network of the spec. It is an error if the shapes of the blocks do
// not match.
func (s Spec) Network() (Network, error) {
	if err := s.Input.Validate(); err != nil {
		return Network{}, errors.Wrap(err, "input")
	}
	if len(s.Blocks) == 0 {
		return Network{}, errors.New("found no [[block]], expected at least one")
	}
	blocks, err := blocksOf(s.Blocks)
	if err != nil {
		return Network{}, err
	}
	network := Network{Name: s.Name, Size: s.Input, Blocks: blocks}
	_, err = ShapeOf(network)
	return network, err
}

// Spec returns the description of the network in TOML. A user-defined block is an error
// (ErrOwnBlock).
func (n Network) Spec() (Spec, error) {
	blocks, err := specsOf(n.Blocks)
	return Spec{Name: n.Name, Input: n.Size, Blocks: blocks}, errors.Wrapf(err, "backbone %s", n.Name)
}

// TOML returns the network as TOML text, which Parse reads.
func (n Network) TOML() (string, error) {
	spec, err := n.Spec()
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	encoder := toml.NewEncoder(&text)
	encoder.Indent = ""
	if err := encoder.Encode(spec); err != nil {
		return "", errors.Wrapf(err, "backbone %s", n.Name)
	}
	return text.String(), nil
}

// Kinds are the kinds of blocks of a spec.
var Kinds = []string{"conv", "linear", "batchnorm", "activation", "maxpool", "averagepool", "globalaveragepool", "dropout", "flatten", "gem", "layernorm", "normalize", "residual", "scale", "squeezeexcite"}

// ErrOwnBlock is the error for a network with a block that is a user-defined Go type,
// which cannot be written as TOML.
var ErrOwnBlock = errors.New("only the blocks of package graph can be written as TOML")

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

// block makes the block of a spec. A key that the kind does not have is missing from
// the spec of that block, which is how it is found.
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
			Groups: s.Groups, SamePadding: s.SamePadding, Epsilon: s.Epsilon, Momentum: s.Momentum,
		}, nil
	case "linear":
		return graph.Linear{Units: s.Units, NoBias: s.NoBias, Activation: s.Activation, Weight: value(s.Weight), Bias: value(s.Bias)}, nil
	case "batchnorm":
		return graph.BatchNorm{Epsilon: s.Epsilon, Momentum: s.Momentum}, nil
	case "activation":
		return graph.Activate{Function: s.Activation}, nil
	case "maxpool":
		return graph.MaxPool{Size: s.Size, Stride: s.Stride, Padding: s.Padding}, nil
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
	case "gem":
		return graph.GeM{Exponent: s.Exponent, Epsilon: s.Epsilon}, nil
	case "layernorm":
		return graph.LayerNorm{Epsilon: s.Epsilon}, nil
	case "scale":
		return graph.Scale{Initial: s.Initial}, nil
	case "squeezeexcite":
		return graph.SqueezeExcite{Channels: s.Channels, Activation: s.Activation, Gate: s.Gate}, nil
	case "residual":
		body, err := blocksOf(s.Body)
		if err != nil {
			return nil, errors.Wrap(err, "body")
		}
		shortcut, err := blocksOf(s.Shortcut)
		return graph.Residual{Body: body, Shortcut: shortcut, Activation: s.Activation, Pool: s.Pool, Drop: s.Drop}, errors.Wrap(err, "shortcut")
	}
	return nil, wording.Unknown("kind", s.Kind, slices.Sorted(slices.Values(Kinds)))
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
			Groups: b.Groups, SamePadding: b.SamePadding, Epsilon: b.Epsilon, Momentum: b.Momentum,
		}, nil
	case graph.Linear:
		return BlockSpec{Kind: "linear", Units: b.Units, NoBias: b.NoBias, Activation: b.Activation, Weight: given(b.Weight), Bias: given(b.Bias)}, nil
	case graph.Activate:
		return BlockSpec{Kind: "activation", Activation: b.Function}, nil
	case graph.MaxPool:
		return BlockSpec{Kind: "maxpool", Size: b.Size, Stride: b.Stride, Padding: b.Padding}, nil
	case graph.AveragePool:
		return BlockSpec{Kind: "averagepool", Size: b.Size, Stride: b.Stride, Trainable: b.Trainable}, nil
	case graph.Dropout:
		return BlockSpec{Kind: "dropout", Rate: b.Rate}, nil
	case graph.BatchNorm:
		return BlockSpec{Kind: "batchnorm", Epsilon: b.Epsilon, Momentum: b.Momentum}, nil
	case graph.GeM:
		return BlockSpec{Kind: "gem", Exponent: b.Exponent, Epsilon: b.Epsilon}, nil
	case graph.LayerNorm:
		return BlockSpec{Kind: "layernorm", Epsilon: b.Epsilon}, nil
	case graph.Scale:
		return BlockSpec{Kind: "scale", Initial: b.Initial}, nil
	case graph.SqueezeExcite:
		return BlockSpec{Kind: "squeezeexcite", Channels: b.Channels, Activation: b.Activation, Gate: b.Gate}, nil
	case graph.GlobalAveragePool, graph.Flatten, graph.Normalize:
		return BlockSpec{Kind: block.Kind()}, nil
	case graph.Residual:
		body, err := specsOf(b.Body)
		if err != nil {
			return BlockSpec{}, errors.Wrap(err, "body")
		}
		shortcut, err := specsOf(b.Shortcut)
		return BlockSpec{Kind: "residual", Body: body, Shortcut: shortcut, Activation: b.Activation, Pool: b.Pool, Drop: b.Drop}, errors.Wrap(err, "shortcut")
	}
	return BlockSpec{}, errors.Wrapf(ErrOwnBlock, "found a block of type %T", block)
}

// value converts the initializer of a spec to that of a block, and given the other
// way. The zero value stands for the default and is not written.
func value(initializer *graph.Initializer) graph.Initializer {
	if initializer == nil {
		return graph.Initializer{}
	}
	return *initializer
}

func given(initializer graph.Initializer) *graph.Initializer {
	if initializer == (graph.Initializer{}) {
		return nil
	}
	return &initializer
}
