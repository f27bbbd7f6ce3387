package run

import (
	"fmt"
	"strconv"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// This file interpolates the weights before and after a fine-tuning
// (Settings.WeightInterpolation).

// autoInterpolation, as Settings.WeightInterpolation, chooses the share by validation.
const autoInterpolation = "auto"

// unvalidatedShare is the share without classes that are held out for validation. Images of the
// training classes favor the trained weights, so they choose none. Wortsman et al. 2022
// recommend one half if there is nothing to choose by.
const unvalidatedShare = 0.5

// interpolationShare is the share of the trained weights in the settings; auto if validation
// chooses it. It is 1, the trained weights alone, if there is none.
func (s Settings) interpolationShare() (share float64, auto bool, err error) {
	switch s.WeightInterpolation {
	case "":
		return 1, false, nil
	case autoInterpolation:
		return unvalidatedShare, true, nil
	}
	share, err = strconv.ParseFloat(s.WeightInterpolation, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, false, errors.Errorf("--weight-interpolation: found %q, expected the share of the trained weights, a number from 0 to 1 such as 0.5, or %s", s.WeightInterpolation, autoInterpolation)
	}
	return share, false, nil
}

// interpolates reports whether the weights before and after the training are interpolated.
func (s Settings) interpolates() bool { return s.WeightInterpolation != "" && s.From != "" }

// planInterpolation says in the protocol how the weights are interpolated.
func (s *setup) planInterpolation() error {
	share, auto, err := s.settings.interpolationShare()
	if err != nil || !s.settings.interpolates() {
		return err
	}
	s.plan.Protocol += "; weights interpolated between those before and after the training, "
	switch {
	case auto && s.data.unseenValidation(s.settings.Seed):
		s.plan.Protocol += "with the share of the trained ones that is best in the same validation"
	case auto:
		s.plan.Protocol += fmt.Sprintf("with the share %v of the trained ones, because no classes are held out for validation to choose it", share)
	default:
		s.plan.Protocol += fmt.Sprintf("with the share %v of the trained ones", share)
	}
	return nil
}

// interpolate interpolates the weights of a trained model with those before its training, as
// the settings say, and saves it. It returns nil if the settings say nothing. If a training on
// all images has begun, the share is that of the report.
func (s *setup) interpolate(training *trainer.Trainer, before *graph.Weights, folder Folder, observer *Observer) (*trainer.Interpolation, error) {
	if !s.settings.interpolates() {
		return nil, nil
	}
	share, auto, err := s.settings.interpolationShare()
	if err != nil {
		return nil, err
	}
	chosen := trainer.Interpolation{Share: share}
	share, err = sharedNumber(s.ranks, "weight interpolation", func() (float64, error) {
		if recorded, begun := s.begunRefit(folder); begun && recorded.Interpolation != nil {
			chosen, auto = *recorded.Interpolation, false
		}
		var err error
		if auto && training.Validate != nil && s.data.unseenValidation(s.settings.Seed) {
			observer.note("choosing the share of the trained weights by validation")
			chosen, err = trainer.ChooseInterpolation(training.Model, before, training.Validate, training.Prefix)
		} else {
			err = trainer.Interpolate(training.Model, before, chosen.Share)
		}
		return chosen.Share, errors.WithMessage(err, "--weight-interpolation")
	})
	if err != nil {
		return nil, err
	}
	if !s.ranks.Root() {
		return &trainer.Interpolation{Share: share}, trainer.Interpolate(training.Model, before, share)
	}
	return &chosen, training.Model.Save(folder.Model())
}

// begunRefit returns the report of the run folder if a training on all images has begun.
func (s *setup) begunRefit(folder Folder) (recorded report.Report, begun bool) {
	if s.all == nil || !exists(folder.refitCheckpoint()) {
		return report.Report{}, false
	}
	recorded, err := report.Load(folder.Report())
	return recorded, err == nil
}

// shareOf is the share of the trained weights in the model that a report is about.
func shareOf(r report.Report) float64 {
	if r.Interpolation == nil {
		return 1
	}
	return r.Interpolation.Share
}
