package trainer

import "github.com/pkg/errors"

// place is how far a training has come.
type place struct {
	Steps     int     `json:"steps"` // taken
	Runs      uint64  `json:"runs"`  // of the graph
	Epochs    []Epoch `json:"epochs"`
	Sum       float64 `json:"sum"`     // of the costs of the epoch at hand
	Done      int     `json:"done"`    // steps of it
	Seconds   float64 `json:"seconds"` // that it took
	BestEpoch int     `json:"best_epoch"`
	BestValue float64 `json:"best_value"`
	Stopped   string  `json:"stopped"` // by patience
}

// check says whether a training of so many epochs comes by the place.
func (p place) check(epochs, epochSteps int) error {
	switch {
	case len(p.Epochs) > epochs:
		return errors.Errorf("found %d epochs, expected at most %d", len(p.Epochs), epochs)
	case p.Done < 0 || p.Done > epochSteps:
		return errors.Errorf("found %d steps of an epoch, expected 0 to %d", p.Done, epochSteps)
	case p.Steps != len(p.Epochs)*epochSteps+p.Done:
		return errors.Errorf("found %d steps, expected %d epochs of %d steps and %d steps more", p.Steps, len(p.Epochs), epochSteps, p.Done)
	case p.BestEpoch < 0 || p.BestEpoch > len(p.Epochs):
		return errors.Errorf("found the best epoch %d, expected 0 to %d", p.BestEpoch, len(p.Epochs))
	}
	return nil
}
