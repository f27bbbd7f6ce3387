package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// spellOutNetwork puts the blocks of a file in the place of its name, and the
// usual options to the name of a backbone.
func (s *Settings) spellOutNetwork() error {
	switch {
	case s.Network != nil && s.Backbone != "":
		return errors.Errorf("found both backbone %q and the blocks of [network], expected one of the two", s.Backbone)
	case s.Network != nil:
		return nil
	case filepath.Ext(s.Backbone) == ".toml":
		text, err := os.ReadFile(s.Backbone)
		if err != nil {
			return errors.Wrap(err, "read backbone")
		}
		network, err := backbone.Parse(string(text), s.Backbone)
		if err != nil {
			return err
		}
		return s.adopt(network)
	}
	usual, err := backbone.Defaults(s.Backbone)
	if err != nil {
		return wording.Unknown("backbone", s.Backbone, append(slices.Clone(backbone.Names), "a file that ends in .toml"))
	}
	if s.Width == 0 {
		s.Width = usual.Width
	}
	if s.Features == 0 {
		s.Features = usual.Features
	}
	return nil
}

// adopt makes a network that has no name the settings' own.
func (s *Settings) adopt(network backbone.Network) error {
	spec, err := network.Spec()
	s.Network, s.Backbone = &spec, ""
	return err
}

// demandedSize is that of the network's images, zero if it takes any.
func (s Settings) demandedSize() (imaging.Size, error) {
	if s.Network != nil {
		return s.Network.Input, nil
	}
	usual, err := backbone.Defaults(s.Backbone)
	return usual.Size, err
}

// network is the backbone for images of the size.
func (s Settings) network(size imaging.Size) (backbone.Network, error) {
	if s.Network == nil {
		return backbone.Named(s.Backbone, backbone.Options{Size: size, Width: s.Width, BatchNorm: s.BatchNorm, Features: s.Features})
	}
	for _, option := range []struct {
		key   string
		given bool
	}{{"width", s.Width != 0}, {"batch_norm", s.BatchNorm}, {"features", s.Features != 0}} {
		if option.given {
			return backbone.Network{}, errors.Errorf("%s: a network that is a list of blocks has no such option: change the blocks", option.key)
		}
	}
	network, err := s.Network.Network()
	return network, errors.Wrap(err, "network")
}
