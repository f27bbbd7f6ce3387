package backbone

import (
	"bytes"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/pkg/errors"
)

// Spec is a network in the form of TOML:
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

// BlockSpec is a block in the form of TOML: its kind and, of the keys below,
// those that the kind has. See the types of package graph for their meaning.
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

// Network makes the blocks of the spec and sees that they fit together.
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

// Spec is the network in the form of TOML. A block of a type that is not of
// package graph has none and is an error.
func (n Network) Spec() (Spec, error) {
	blocks, err := specsOf(n.Blocks)
	return Spec{Name: n.Name, Input: n.Size, Blocks: blocks}, errors.Wrapf(err, "backbone %s", n.Name)
}

// TOML writes the network as Parse reads it.
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
