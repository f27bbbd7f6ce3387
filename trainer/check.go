package trainer

import "github.com/pkg/errors"

// Check sets the training up and says what would keep Run from beginning it, so
// that nothing need be made ready for one that cannot be.
func (t *Trainer) Check() error {
	r, err := t.start()
	if err != nil {
		return errors.Wrap(err, "check training")
	}
	return errors.Wrap(r.program.Close(), "check training")
}

// check looks at the fields, before anything is built of them.
func (t *Trainer) check() error {
	switch {
	case t.Model == nil:
		return errors.New("field Model is missing")
	case t.Objective == nil:
		return errors.New("field Objective is missing")
	case t.Examples == nil:
		return errors.New("field Examples is missing")
	case t.Epochs < 1:
		return errors.Errorf("field Epochs: found %d, expected at least 1", t.Epochs)
	case t.EpochSteps < 0:
		return errors.Errorf("field EpochSteps: found %d, expected at least 0", t.EpochSteps)
	case t.Patience < 0:
		return errors.Errorf("field Patience: found %d, expected at least 0", t.Patience)
	case t.Patience > 0 && t.Validate == nil:
		return errors.New("field Patience: to stop early there must be a Validation to go by")
	}
	if err := t.Examples.check(); err != nil {
		return errors.Wrap(err, "field Examples")
	}
	if err := t.Model.Preprocessing.Validate(); err != nil {
		return errors.Wrap(err, "field Model")
	}
	if t.Augment != nil {
		if err := t.Augment.Validate(); err != nil {
			return errors.Wrap(err, "field Augment")
		}
	}
	return t.Objective.Check(t.Model.Head)
}
