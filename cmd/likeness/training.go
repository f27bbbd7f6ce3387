package main

import (
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// start loads the model to start from, if there is one. Its network and its
// way to see images become the settings' own.
func (s *Settings) start() (*likeness.Model, error) {
	if s.From == "" {
		return nil, nil
	}
	path, err := findModel(s.From)
	if err != nil {
		return nil, errors.WithMessage(err, "from")
	}
	if s.From, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	model, err := likeness.Load(s.From)
	if err != nil {
		return nil, errors.WithMessage(err, "from")
	}
	network := model.Backbone.(backbone.Network) // all that Load knows
	spec, err := network.Spec()
	if err != nil {
		return nil, err
	}
	if s.Backbone != "" || s.Network != nil && !reflect.DeepEqual(*s.Network, spec) {
		return nil, errors.Errorf("from: the network is that of %s (%s): leave out any other", s.From, network.Name)
	}
	s.Network, s.Invert = &spec, model.Preprocessing.Invert
	if s.Crop = 0; model.Preprocessing.Crop != nil {
		s.Crop, s.CropLeast = model.Preprocessing.Crop.Margin, model.Preprocessing.Crop.MinSide
	}
	return model, nil
}

// training sets a training up, on the weights of start unless it is nil, and resumed
// from a checkpoint unless that is empty. It is refused here, before anything is
// written, if it cannot run or be resumed.
func (s *setup) training(start *likeness.Model, checkpoint string) (*trainer.Trainer, error) {
	model, err := s.model(start)
	if err != nil {
		return nil, err
	}
	t := &trainer.Trainer{
		Model: model, Objective: s.objective, Solver: s.settings.solver(),
		Epochs: s.settings.Epochs, EpochSteps: s.settings.EpochSteps, Patience: s.settings.Patience,
		Seed: s.settings.Seed, Augment: s.settings.augmentation(),
		Checkpoint: checkpoint, Resume: checkpoint != "",
	}
	if t.Examples, err = s.material.examples(s.objective, s.settings.Batch, s.settings.PerClass); err != nil {
		if errors.Is(err, datasets.ErrTooFew) && s.settings.Limit > 0 {
			err = errors.WithMessagef(err, "--limit %d leaves too few images, raise it", s.settings.Limit)
		}
		return nil, err
	}
	if t.Penalties, err = s.settings.penalties(); err != nil {
		return nil, err
	}
	if t.Validate, s.validated, err = s.material.validation(s.settings.Seed); err != nil {
		return nil, err
	}
	if t.Patience > 0 && t.Validate == nil {
		return nil, errors.Errorf("--patience: found %d, but there is nothing to validate by: the data has no validation part and too few images of each class to hold some out", t.Patience)
	}
	return t, t.Check()
}

// model is the network to train, with the weights of start where it has them,
// and what is not to change frozen.
func (s *setup) model(start *likeness.Model) (*likeness.Model, error) {
	preprocessing := s.material.images().Preprocessing()
	if start != nil {
		preprocessing = start.Preprocessing
	}
	model, err := likeness.New(s.network, s.head, preprocessing, s.settings.Seed)
	if err != nil {
		return nil, err
	}
	if start != nil {
		if err := s.begin(model.Weights, start); err != nil {
			return nil, errors.WithMessage(err, "from")
		}
	}
	return model, model.Weights.Freeze(s.settings.Freeze...)
}

// begin copies the weights of start. A head's own are taken if the head is the
// same; the bias of the cross-entropies, if there is one.
func (s *setup) begin(weights *graph.Weights, start *likeness.Model) error {
	for _, old := range start.Weights.All() {
		values := old.Value.Float32s()
		if strings.HasPrefix(old.Name, "head.") && s.head.Name() != start.Head.Name() {
			continue
		}
		if own := weights.Get(old.Name); own != nil {
			copy(own.Value.Float32s(), values)
			continue
		}
		if !strings.HasSuffix(s.objective.Name(), "cross-entropy") {
			continue
		}
		elements := make([]float64, len(values))
		for i, v := range values {
			elements[i] = float64(v)
		}
		if err := weights.Add(old.Name, old.Role, old.Value.Shape(), elements); err != nil {
			return err
		}
	}
	return nil
}

// augmentation is the random distortion of images, nil if there is none.
func (s Settings) augmentation() *datasets.Augmentation {
	if s.Augment == 0 {
		return nil
	}
	affine := datasets.Affine{
		Rotation: s.Rotation, Shear: s.Shear, ScaleMin: s.ScaleMin, ScaleMax: s.ScaleMax,
		Translation: s.Translation, Probability: s.Augment,
	}
	elastic := datasets.Elastic{Displacement: s.Elastic, Smoothness: s.Smoothness, Probability: s.Augment}
	stroke := datasets.Stroke{Min: 0 - s.Thinner, Max: s.Thicker, Probability: s.Augment}
	return &datasets.Augmentation{Image: datasets.Distortion{Affine: affine, Elastic: elastic, Stroke: stroke}, Background: s.Fill}
}

// penalties are those of the settings.
func (s Settings) penalties() ([]objectives.WeightPenalty, error) {
	var penalties []objectives.WeightPenalty
	for _, text := range s.Penalty {
		layer, number, found := strings.Cut(text, "=")
		if !found {
			layer, number = "*", text
		}
		lambda, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, errors.Errorf("penalty: found %q, expected a layer and its λ such as conv1=0.001, or a λ for all", text)
		}
		penalties = append(penalties, objectives.WeightPenalty{Pattern: layer, Lambda: lambda})
	}
	return penalties, nil
}
