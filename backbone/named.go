package backbone

import (
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/pkg/errors"
)

// Options are what a named backbone leaves open. Zero values are the usual
// choices; a choice that the named network does not have is an error.
type Options struct {
	Size      imaging.Size // of the images, where the network takes any; 28×28×1
	Width     int          // of the first layer: conv4 (64) and residual (32)
	BatchNorm bool         // conv4
	Features  int          // of the embedding: hadsell (2)
}

// Names are the backbones that Named knows.
var Names = []string{"conv4", "digits", "hadsell", "hoffer-cifar", "hoffer-mnist", "koch", "residual"}

// Named finds one of the networks of this package by its name.
func Named(name string, o Options) (Network, error) {
	network, takes, err := named(name, o)
	if err != nil {
		return Network{}, err
	}
	for _, option := range []struct {
		key   string
		given bool
	}{
		{"width", o.Width != 0}, {"batch_norm", o.BatchNorm}, {"features", o.Features != 0},
	} {
		if option.given && !takes[option.key] {
			return Network{}, errors.Errorf("backbone %s has no option %s", name, option.key)
		}
	}
	if o.Size != (imaging.Size{}) && o.Size != network.Size {
		return Network{}, errors.Errorf("backbone %s takes images of %v, found %v", name, network.Size, o.Size)
	}
	_, err = Measure(network)
	return network, err
}

func named(name string, o Options) (network Network, takes map[string]bool, err error) {
	size := o.Size
	if size == (imaging.Size{}) {
		size = imaging.Size{Height: 28, Width: 28, Channels: 1}
	}
	switch name {
	case "conv4":
		return Conv4(size, or(o.Width, 64), o.BatchNorm), map[string]bool{"width": true, "batch_norm": true}, nil
	case "residual":
		return Residual(size, or(o.Width, 32)), map[string]bool{"width": true}, nil
	case "digits":
		return Digits(size), nil, nil
	case "hadsell":
		return Hadsell(or(o.Features, 2)), map[string]bool{"features": true}, nil
	case "koch":
		return Koch(), nil, nil
	case "hoffer-mnist":
		return HofferMNIST(), nil, nil
	case "hoffer-cifar":
		return HofferCIFAR(), nil, nil
	}
	return Network{}, nil, nearest.Unknown("backbone", name, Names)
}

func or(given, usual int) int {
	if given == 0 {
		return usual
	}
	return given
}
