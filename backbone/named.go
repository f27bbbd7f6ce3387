package backbone

import (
	"cmp"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Options are the settings of a named backbone. Zero values stand for the defaults
// (see Defaults). A setting that the named network does not have is an error.
type Options struct {
	Size      imaging.Size // of the images, if the network takes any size; 28×28×1
	Width     int          // of the layers: conv4 (64), conv7 (32), lenet (32) and residual (32)
	BatchNorm bool         // conv4
	Features  int          // of the embedding: hadsell (2), lenet (64) and, as a linear layer after the pooling, the networks for photographs (none)
	Pooling   string       // of the networks for photographs: one of Poolings (average)
}

// Names are the names of the backbones of this package.
var Names = []string{
	"conv4", "conv7", "convnext-tiny", "digits", "efficientnet-b0", "efficientnet-lite0", "hadsell", "hoffer-cifar", "hoffer-mnist",
	"koch", "lenet", "mobilenet-v2", "residual", "resnet18", "resnet34", "resnet50",
}

// Defaults returns the default options of the named network. The size is zero if the
// network takes images of any size.
func Defaults(name string) (Options, error) {
	switch name {
	case "conv4":
		return Options{Width: 64}, nil
	case "conv7", "residual":
		return Options{Width: 32}, nil
	case "lenet":
		return Options{Width: 32, Features: 64}, nil
	case "digits":
		return Options{}, nil
	case "hadsell":
		return Options{Size: Hadsell(2).Size, Features: 2}, nil
	case "koch":
		return Options{Size: Koch().Size}, nil
	case "hoffer-mnist":
		return Options{Size: HofferMNIST().Size}, nil
	case "hoffer-cifar":
		return Options{Size: HofferCIFAR().Size}, nil
	}
	if slices.Contains(Published, name) {
		return Options{Pooling: Poolings[0]}, nil
	}
	return Options{}, wording.Unknown("backbone", name, Names)
}

// Named returns the network of this package with the given name.
func Named(name string, o Options) (Network, error) {
	defaults, err := Defaults(name)
	if err != nil {
		return Network{}, err
	}
	for _, option := range []struct {
		key        string
		given, has bool
	}{
		{"width", o.Width != 0, defaults.Width != 0},
		{"batch_norm", o.BatchNorm, name == "conv4"},
		{"features", o.Features != 0, defaults.Features != 0 || defaults.Pooling != ""},
		{"pooling", o.Pooling != "", defaults.Pooling != ""},
	} {
		if option.given && !option.has {
			return Network{}, errors.Errorf("backbone %s has no option %s", name, option.key)
		}
	}
	standard := imaging.Size{Height: 28, Width: 28, Channels: 1}
	if defaults.Pooling != "" {
		standard = photographSize
	}
	pooling := cmp.Or(o.Pooling, defaults.Pooling)
	if pooling != "" && !slices.Contains(Poolings, pooling) {
		return Network{}, errors.Wrap(wording.Unknown("pooling", pooling, Poolings), "backbone "+name)
	}
	network := named(name, Options{
		Size:      cmp.Or(o.Size, defaults.Size, standard),
		Width:     cmp.Or(o.Width, defaults.Width),
		BatchNorm: o.BatchNorm,
		Features:  cmp.Or(o.Features, defaults.Features),
		Pooling:   pooling,
	})
	if o.Size != (imaging.Size{}) && o.Size != network.Size {
		return Network{}, errors.Errorf("backbone %s takes images of %v, found %v", name, network.Size, o.Size)
	}
	_, err = ShapeOf(network)
	return network, err
}

// named returns the network of a known name; all options must be set.
func named(name string, o Options) Network {
	if p, known := photograph(name, o.Size); known {
		return p.network.ending(o)
	}
	switch name {
	case "conv4":
		return Conv4(o.Size, o.Width, o.BatchNorm)
	case "conv7":
		return Conv7(o.Size, o.Width)
	case "residual":
		return Residual(o.Size, o.Width)
	case "lenet":
		return LeNet(o.Size, o.Width, o.Features)
	case "digits":
		return Digits(o.Size)
	case "hadsell":
		return Hadsell(o.Features)
	case "koch":
		return Koch()
	case "hoffer-mnist":
		return HofferMNIST()
	}
	return HofferCIFAR()
}

// ending replaces the pooling of a network for photographs and adds its layer of features.
func (n Network) ending(o Options) Network {
	n.Blocks = slices.Clone(n.Blocks)
	if o.Pooling == "gem" {
		at := slices.Index(n.Blocks, graph.Block(graph.GlobalAveragePool{}))
		n.Blocks[at] = graph.GeM{}
	}
	if o.Features > 0 {
		n.Blocks = append(n.Blocks, graph.Linear{Units: o.Features})
	}
	return n
}
