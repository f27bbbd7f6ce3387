package run

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// setup is the data, the network and the loss that settings determine.
type setup struct {
	settings  Settings // with everything chosen
	data      data
	network   backbone.Network
	shape     backbone.Shape
	loss      objectives.Loss
	head      heads.Head
	plan      *report.Plan
	notes     []string // what was decided and which files were skipped
	validated string   // the measure of validation; empty if there is none

	all        data              // of the training after the measurement; nil if there is none
	stopAfter  int               // epochs of that training; 0 in the one before
	shared     shared            // what is computed once of the images
	adaptation *adapt.Adaptation // nil if the model of --from is not adapted
	opened     *Trials           // what other trainings have computed of the same data; nil if there are none

	ranks *collective.Communicator // nil for one process
}

// prepare opens the data and chooses what the settings leave open. The settings must be
// complete. onRead may be nil, see Observer.Read.
func (s Settings) prepare(onRead func(read, total int)) (*setup, error) {
	return s.prepareWith(nil, onRead)
}

// prepareWith is prepare with data that earlier trainings have opened; opened may be nil.
func (s Settings) prepareWith(opened *Trials, onRead func(read, total int)) (*setup, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Threads > 0 {
		graph.SetThreads(s.Threads)
		runtime.GOMAXPROCS(s.Threads)
	}
	if s.Head == "" {
		s.Head = objectives.DefaultHead(s.Objective)
	}
	// Refuse before the data is read what can be refused: the embedding dimension is
	// not known yet.
	if _, _, err := objectives.Named(s.Objective, s.Head, s.options(1)); err != nil {
		return nil, err
	}
	if err := s.checkViews(); err != nil {
		return nil, err
	}
	var err error
	if s.Data, err = locate(s.Data); err != nil {
		return nil, err
	}
	// The network may determine the size of the images, or they that of the network.
	if err := s.resolveNetwork(); err != nil {
		return nil, err
	}
	input, err := s.inputSize()
	if err != nil {
		return nil, err
	}
	found, notes, err := opened.open(s, input, onRead)
	if err != nil {
		return nil, err
	}
	s.Size, s.Unseen = found.images().Size.String(), found.unseen()
	if note, err := s.decideAugmentation(found.images()); err != nil {
		return nil, err
	} else if note != "" {
		notes = append(notes, note)
	}
	network, err := s.network(found.images().Size)
	if err != nil {
		return nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, err
	}
	loss, head, err := s.lossAndHead(shape.Features)
	if err != nil {
		return nil, err
	}
	plan, err := found.plan(s.Seed)
	if err != nil {
		return nil, err
	}
	prepared := &setup{settings: s, data: found, network: network, shape: shape, loss: loss, head: head, plan: plan, notes: notes, opened: opened}
	if err := prepared.planInterpolation(); err != nil {
		return nil, err
	}
	return prepared, prepared.planRefit()
}

// lossAndHead are the loss and the head for embeddings of this dimension. The options that
// they have, such as the margin, become those of the settings.
func (s *Settings) lossAndHead(features int) (objectives.Loss, heads.Head, error) {
	options, err := objectives.Defaults(s.Objective, s.Head, s.options(features))
	if err != nil {
		return nil, nil, err
	}
	s.Margin, s.Scale, s.Temperature, s.Centers = options.Margin, options.Scale, options.Temperature, options.Centers
	s.MiningEpsilon, s.PositiveScale, s.NegativeScale, s.Base = options.Epsilon, options.PositiveScale, options.NegativeScale, options.Base
	s.Angle, s.Beta, s.Bins = options.Angle, options.Beta, options.Bins
	s.Invariance, s.Variance, s.Covariance, s.Redundancy = options.Invariance, options.Variance, options.Covariance, options.Redundancy
	loss, head, err := objectives.Named(s.Objective, s.Head, options)
	if err != nil {
		return nil, nil, err
	}
	if vectors, ok := loss.(objectives.ClassVectorLoss); ok {
		s.LossRate = cmp.Or(s.LossRate, vectors.LearningRateScale(head))
	} else if s.LossRate != 0 {
		return nil, nil, errors.Errorf("--loss-rate: found %v, but %s has no vectors of classes: leave it out, or choose an objective such as arcface or proxy-anchor", s.LossRate, s.Objective)
	}
	if loss, err = s.withProjection(loss, head); err != nil {
		return nil, nil, err
	}
	loss, err = s.withMemory(loss, head)
	return loss, head, err
}

// withProjection is the loss behind the projection of the settings, if they have one.
func (s *Settings) withProjection(loss objectives.Loss, head heads.Head) (objectives.Loss, error) {
	units, err := s.projection()
	if err != nil || len(units) == 0 {
		return loss, err
	}
	projected := objectives.Projection{Loss: loss, Units: units}
	return projected, errors.WithMessage(projected.Check(head), "--projection")
}

// withMemory is the loss with the cross-batch memory of the settings, if they have one.
func (s *Settings) withMemory(loss objectives.Loss, head heads.Head) (objectives.Loss, error) {
	if s.CrossBatchMemory == 0 {
		return loss, nil
	}
	memory := objectives.CrossBatchMemory{Loss: loss, Size: s.CrossBatchMemory, Warmup: s.CrossBatchWarmup}
	if err := memory.Check(head); err != nil {
		return nil, errors.WithMessage(err, "--cross-batch-memory")
	}
	if s.CrossBatchMemory <= s.Batch {
		return nil, errors.Errorf("--cross-batch-memory: found %d, expected more than %d, the images of a batch (--batch), which are part of it", s.CrossBatchMemory, s.Batch)
	}
	return memory, nil
}

// Network returns the network that Train trains: that of the setting Backbone or Network,
// with its options. Size must be set if the network takes images of any size.
func Network(s Settings) (backbone.Network, error) {
	if err := s.Check(); err != nil {
		return backbone.Network{}, err
	}
	if s.Backbone == "" && s.Network == nil {
		s.Backbone = defaultsFor(s.Data, s.Objective).Backbone
	}
	if err := s.resolveNetwork(); err != nil {
		return backbone.Network{}, err
	}
	size, err := ParseSize(s.Size)
	if err != nil {
		return backbone.Network{}, err
	}
	input, err := s.inputSize()
	if err != nil {
		return backbone.Network{}, err
	}
	switch {
	case size == (imaging.Size{}):
		size = input
	case size.Channels == 0:
		return backbone.Network{}, errors.Errorf("--size: found %q, expected the channels too, such as %sx1", s.Size, s.Size)
	case input != (imaging.Size{}) && size != input:
		return backbone.Network{}, errors.Errorf("--size: found %v, but the network takes images of %v", size, input)
	}
	if size == (imaging.Size{}) {
		return backbone.Network{}, errors.Errorf("--size: the backbone %s takes images of any size: choose one, such as 28x28x1", s.Backbone)
	}
	return s.network(size)
}

// resolveNetwork puts the blocks of a file in the place of its name, and the default
// options to the name of a backbone.
func (s *Settings) resolveNetwork() error {
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
		spec, err := network.Spec()
		s.Network, s.Backbone = &spec, ""
		return err
	}
	standard, err := backbone.Defaults(s.Backbone)
	if err != nil {
		return wording.Unknown("backbone", s.Backbone, append(slices.Clone(backbone.Names), "a file that ends in .toml"))
	}
	if s.Width == 0 {
		s.Width = standard.Width
	}
	if s.Features == 0 {
		s.Features = standard.Features
	}
	return nil
}

// inputSize is the size of the network's images, zero if it takes any.
func (s Settings) inputSize() (imaging.Size, error) {
	if s.Network != nil {
		return s.Network.Input, nil
	}
	standard, err := backbone.Defaults(s.Backbone)
	return standard.Size, err
}

// network is the backbone for images of the size.
func (s Settings) network(size imaging.Size) (backbone.Network, error) {
	if s.Network == nil {
		network, err := backbone.Named(s.Backbone, backbone.Options{Size: size, Width: s.Width, BatchNorm: s.BatchNorm, Features: s.Features, Pooling: s.Pooling})
		if s.Normalize {
			network.Blocks = append(network.Blocks, graph.Normalize{})
		}
		return network, err
	}
	for _, option := range []struct {
		flag  string
		given bool
	}{{"--width", s.Width != 0}, {"--batch-norm", s.BatchNorm}, {"--pooling", s.Pooling != ""}, {"--features", s.Features != 0 && s.From == ""}, {"--normalize", s.Normalize}} {
		if option.given {
			return backbone.Network{}, errors.Errorf("%s: a network that is a list of blocks has no such option: change the blocks", option.flag)
		}
	}
	network, err := s.Network.Network()
	return network, errors.Wrap(err, "network")
}
