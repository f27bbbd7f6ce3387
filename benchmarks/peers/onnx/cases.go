package main

import (
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// exported is a model under the name that the table gives it.
type exported struct {
	name  string
	model *likeness.Model
}

// blocks is a network of what the named backbones do not have.
var blocks = backbone.Network{Name: "blocks", Size: imaging.Size{Height: 31, Width: 26, Channels: 3}, Blocks: []graph.Block{
	graph.Conv{Filters: 8, Kernel: 5, Stride: 2, Padding: 1, BatchNorm: true, Activation: "prelu"},
	graph.AveragePool{Size: 3, Stride: 2, Trainable: true},
	graph.BatchNorm{},
	graph.Activate{Function: "prelu"},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Activation: "tanh"}}, Activation: "prelu"},
	graph.MaxPool{Size: 2, Stride: 1},
	graph.AveragePool{Size: 2, Stride: 1},
	graph.GlobalAveragePool{},
	graph.BatchNorm{},
	graph.Linear{Units: 12, NoBias: true, Activation: "prelu"},
	graph.Residual{Body: []graph.Block{graph.Linear{Units: 12, Activation: "sigmoid"}}},
	graph.Dropout{Rate: 0.5},
	graph.Normalize{},
}}

// networks are all named backbones, one of what these do not have, and the
// models of the zoo.
func networks() ([]exported, error) {
	var all []exported
	add := func(name string, network backbone.Network) error {
		model, err := perturbed(name, network, heads.L2{}, len(all))
		all = append(all, exported{name, model})
		return err
	}
	for _, name := range backbone.Names {
		network, err := backbone.Named(name, backbone.Options{})
		if err != nil {
			return nil, err
		}
		if err := add(name, network); err != nil {
			return nil, err
		}
	}
	norm, err := backbone.Named("conv4", backbone.Options{BatchNorm: true})
	if err != nil {
		return nil, err
	}
	if err := add("conv4 with batch norm", norm); err != nil {
		return nil, err
	}
	if err := add("other blocks", blocks); err != nil {
		return nil, err
	}
	for _, name := range zoo.Names() {
		model, err := zoo.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, exported{"zoo/" + name, model})
	}
	return all, nil
}

// comparers are all heads on embeddings of 48 features, and the two that
// cross-entropy goes with once more, with its bias.
func comparers() ([]exported, error) {
	network := backbone.Network{Name: "embeddings", Size: imaging.Size{Height: 4, Width: 4, Channels: 3}, Blocks: []graph.Block{graph.Flatten{}}}
	var all []exported
	for _, name := range append(slices.Clone(heads.Names), "signed-weighted-l1, bias", "l2, bias") {
		headName, _, bias := strings.Cut(name, ", ")
		head, err := heads.Named(headName)
		if err != nil {
			return nil, err
		}
		model, err := perturbed(name, network, head, 0)
		if err != nil {
			return nil, err
		}
		if bias {
			if err := model.Weights.Add("head.bias", graph.Bias, []int{1}, []float64{9}); err != nil {
				return nil, err
			}
		}
		all = append(all, exported{name, model})
	}
	return all, nil
}

// perturbed is a model with weights at which nothing is hidden. Each number is
// another preprocessing.
func perturbed(name string, network backbone.Network, head heads.Head, number int) (*likeness.Model, error) {
	preprocessing := imaging.Preprocessing{Size: network.Size, Invert: number%2 == 1}
	if number%3 > 0 {
		preprocessing.Mean = []float64{0.3, 0.5, 0.2}[:network.Size.Channels]
		preprocessing.StdDev = []float64{0.4, 0.25, 0.5}[:network.Size.Channels]
	}
	model, err := likeness.New(network, head, preprocessing, 1)
	if err != nil {
		return nil, errors.Wrap(err, name)
	}
	gradcheck.Perturb(model.Weights, name)
	return model, nil
}
