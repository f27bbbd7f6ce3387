package trainer

import (
	"fmt"
	"reflect"

	"github.com/pkg/errors"
)

// Check sets the training up and returns the error that would keep Run from
// beginning it, a Checkpoint that cannot be resumed included. It changes nothing.
func (t *Trainer) Check() (err error) {
	defer panics(&err, "check training: a part of the training that is not this package's own")
	r, err := t.start()
	if err != nil {
		return errors.Wrap(err, "check training")
	}
	defer r.program.Close()
	_, err = r.readCheckpoint()
	return errors.Wrap(err, "check training")
}

// check looks at the fields, before anything is built of them.
func (t *Trainer) check() error {
	identity := ""
	if t != nil && t.Validate != nil {
		err := guarded("field Validate: its method Identity", func() error { identity = t.Validate.Identity(); return nil })
		if err != nil {
			return err
		}
	}
	switch {
	case t == nil:
		return errors.New("found no Trainer")
	case t.Model == nil:
		return errors.New("field Model is missing")
	case t.Model.Backbone == nil || t.Model.Head == nil || t.Model.Weights == nil:
		return errors.New("field Model: found one without a backbone, a head or weights: make it with likeness.New or likeness.Load")
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
	case t.Checkpoint != "" && t.Validate != nil && identity == "":
		return errors.New("field Validate: its Identity is empty, so a checkpoint could not tell it from others")
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
	return guarded("field Objective: the method Check of "+typeOf(t.Objective), func() error { return t.Objective.Check(t.Model.Head) })
}

// guarded calls what may be of the user's own, and makes an error of its panic.
func guarded(what string, call func() error) (err error) {
	defer panics(&err, what)
	return call()
}

// panics, where it is deferred, makes an error of a panic.
func panics(err *error, what string) {
	if cause := recover(); cause != nil {
		*err = errors.Errorf("%s panics: %v", what, cause)
	}
}

// typeOf names a type, and says of a pointer that it is nil.
func typeOf(value any) string {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T", value)
	}
	return fmt.Sprintf("%T", value)
}
