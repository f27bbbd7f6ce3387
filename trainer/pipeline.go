package trainer

import "context"

// ahead is how many steps' inputs are prepared while one runs.
const ahead = 2

// prepared are the inputs of a step, or why there are none.
type prepared struct {
	inputs inputs
	err    error
}

// pipeline prepares the inputs of the steps from first to steps−1 in the background, in
// order.
// It ends, and closes its channel, after the last, after an error or with the
// context.
func pipeline(ctx context.Context, first, steps int, prepare func(step int) (inputs, error)) <-chan prepared {
	ready := make(chan prepared, ahead)
	go func() {
		defer close(ready)
		for step := first; step < steps && ctx.Err() == nil; step++ {
			var values inputs
			err := guarded("drawing the examples", func() (err error) { values, err = prepare(step); return err })
			select {
			case ready <- prepared{values, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ready
}
