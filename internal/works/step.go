package works

import "time"

// Step is a work that is ready. It is not safe for two goroutines at once.
type Step interface {
	// Do does the work once. For training that is one step on the next of its
	// batches, whose cost it returns.
	Do() (cost float64, err error)
	Close() error
}

// Prepare makes the work ready. Training has so many different batches, which it
// goes through in turn.
func (w Work) Prepare(batches int) (Step, error) {
	if w.Loss == nil {
		return w.Embedding()
	}
	return w.Training(batches)
}

// Time does the work n times and gives the milliseconds of each.
func Time(step Step, n int) ([]float64, error) {
	times := make([]float64, n)
	for i := range times {
		start := time.Now()
		if _, err := step.Do(); err != nil {
			return nil, err
		}
		times[i] = float64(time.Since(start)) / float64(time.Millisecond)
	}
	return times, nil
}
