package main

import (
	"fmt"
	"os"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/pytorch"
	"github.com/pkg/errors"
)

// importCommand takes weights that were learned elsewhere into a network.
type importCommand struct {
	Weights   string    `arg:"" placeholder:"WEIGHTS" help:"A safetensors file of PyTorch's weights."`
	Backbone  string    `required:"" placeholder:"NAME" help:"The network to take them into: ${backbones}; or a .toml file that lists its blocks."`
	Width     int       `placeholder:"N" help:"Filters of the layers of conv4, conv7, lenet and residual."`
	BatchNorm bool      `help:"Batch norm in conv4."`
	Features  int       `placeholder:"N" help:"Length of the vectors of hadsell and lenet."`
	Size      string    `placeholder:"HxWxC" help:"Of the images, such as 28x28x1, where the network takes any."`
	Mapping   string    `placeholder:"FILE" help:"A TOML file that says which tensor becomes which weight. Without it: by the same names, or by order."`
	Head      string    `default:"l2" placeholder:"NAME" help:"How two vectors are compared: l2, squared-l2, l1, weighted-l1 or cosine. Without it: l2."`
	Invert    bool      `help:"The network reads images with black and white exchanged."`
	Mean      []float64 `placeholder:"M" help:"What the network's images were normalised by: a mean for each channel, on the scale of 0 to 1. Without it: 0."`
	Deviation []float64 `placeholder:"D" help:"And a standard deviation for each channel. Without it: 1."`
	Seed      uint64    `default:"1" placeholder:"N" help:"The root of chance for weights that the file does not have. Without it: 1."`
	Out       string    `placeholder:"MODEL" help:"The model.safetensors to write. Without it: the mapping is tried and printed, nothing is written."`
}

// Help is what --help says beside the flags.
func (importCommand) Help() string {
	return `It reads weights from a safetensors file, gives them to a network of the same layers, and writes a model for --from of train and --model of embed and compare.

In Python:
  safetensors.torch.save_file(network.state_dict(), "weights.safetensors")

Example:
  likeness import weights.safetensors --backbone net.toml --mean 0.1307 --deviation 0.3081 --out model.safetensors
  likeness train --data photos --from model.safetensors

The layers of a torch.nn.Sequential (0.weight, 3.weight, …) find their places by order where all of them have a counterpart of the same shapes; the mapping is printed. Where that leaves a doubt, a mapping to be filled in is printed to the standard output and nothing is written. Fill it in and give it to --mapping:
  likeness import weights.safetensors --backbone net.toml > mapping.toml

A mapping has our names before the equals signs and theirs after:
  ignore = ["classifier"]           # tensors that have no place in the network
  initial = ["linear1"]             # weights that the file does not have
  [weights]
  conv1 = "features.0"              # a layer: weight, bias, running_mean, running_var
  conv2.weight = "features.3.weight"
  linear2 = { name = "fc", layout = "io" }

PyTorch's layouts are ours. Tensors of other frameworks need theirs to be named: hwio or ohwi for a convolution, io for a fully connected layer, (hwc)o or o(hwc) for one on images that were flattened channels last.

Every tensor must be mapped or ignored, and every weight mapped or initial: what does not fit is an error, never a guess.`
}

// Run imports.
func (i *importCommand) Run(c *console) error {
	if err := i.refuseSource(); err != nil {
		return err
	}
	model, err := i.model()
	if err != nil {
		return err
	}
	file, err := pytorch.Open(i.Weights)
	if err != nil {
		return err
	}
	mapping, err := i.mapping(c, file, model)
	if err != nil {
		return err
	}
	if err := file.Fill(model, mapping); err != nil {
		return err
	}
	if i.Out == "" {
		c.say("it fits; --out FILE writes the model")
		return nil
	}
	if err := model.Save(i.Out); err != nil {
		return err
	}
	c.say("wrote %s: for likeness train --from, and for embed, compare and export --model", i.Out)
	return nil
}

// refuseSource keeps the weights from being overwritten by the model.
func (i *importCommand) refuseSource() error {
	source, err := os.Stat(i.Weights)
	if err != nil {
		return errors.Wrap(err, "find weights")
	}
	if target, err := os.Stat(i.Out); err == nil && os.SameFile(source, target) {
		return errors.Errorf("out: %s is the file of the weights: choose another", i.Out)
	}
	return nil
}

// model is the network with weights of its own.
func (i *importCommand) model() (*likeness.Model, error) {
	network, err := i.network()
	if err != nil {
		return nil, err
	}
	head, err := heads.Named(i.Head)
	if err != nil {
		return nil, errors.WithMessage(err, "head")
	}
	preprocessing := imaging.Preprocessing{Size: network.Size, Invert: i.Invert, Mean: i.Mean, StdDev: i.Deviation}
	return likeness.New(network, head, preprocessing, i.Seed)
}

// network is that of the flags, which mean what they mean to train.
func (i *importCommand) network() (backbone.Network, error) {
	settings := defaults
	settings.Backbone, settings.Width, settings.BatchNorm, settings.Features = i.Backbone, i.Width, i.BatchNorm, i.Features
	if err := settings.check(); err != nil {
		return backbone.Network{}, err
	}
	if err := settings.spellOutNetwork(); err != nil {
		return backbone.Network{}, err
	}
	size, err := parseSize(i.Size)
	if err != nil {
		return backbone.Network{}, err
	}
	demanded, err := settings.demandedSize()
	if err != nil {
		return backbone.Network{}, err
	}
	switch {
	case size == (imaging.Size{}):
		size = demanded
	case size.Channels == 0:
		return backbone.Network{}, errors.Errorf("size: found %q, expected the channels too, such as %sx1", i.Size, i.Size)
	case demanded != (imaging.Size{}) && size != demanded:
		return backbone.Network{}, errors.Errorf("size: found %v, but the network takes images of %v", size, demanded)
	}
	if size == (imaging.Size{}) {
		return backbone.Network{}, errors.Errorf("size: the backbone %s takes images of any size: say which, such as 28x28x1", i.Backbone)
	}
	return settings.network(size)
}

// mapping is that of the flag, or the one that leaves no doubt.
func (i *importCommand) mapping(c *console, file *pytorch.File, model *likeness.Model) (pytorch.Mapping, error) {
	if i.Mapping != "" {
		text, err := os.ReadFile(i.Mapping)
		if err != nil {
			return pytorch.Mapping{}, errors.Wrap(err, "read mapping")
		}
		return pytorch.ParseMapping(string(text), i.Mapping)
	}
	mapping, err := file.Derive(model)
	if err != nil {
		fmt.Fprint(c.out, file.Skeleton(model))
		return mapping, errors.WithMessage(err, "mapping")
	}
	fmt.Fprint(c.out, mapping.TOML())
	return mapping, nil
}
