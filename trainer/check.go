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
