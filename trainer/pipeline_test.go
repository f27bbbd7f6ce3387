package trainer

import (
	"context"
	"errors"
	"testing"
)

// Inputs come in order, an error comes in its place and is the last.
func TestPipelineEndsWithAnError(t *testing.T) {
	broken := errors.New("broken")
	var steps []int
	ready := pipeline(t.Context(), 3, 100, func(step int) (inputs, error) {
		if steps = append(steps, step); step == 6 {
			return nil, broken
		}
		return inputs{"images": {float32(step)}}, nil
	})
	for step := 3; step < 6; step++ {
		if next := <-ready; next.err != nil || next.inputs["images"][0] != float32(step) {
			t.Errorf("step %d: found %+v", step, next)
		}
	}
	if next := <-ready; next.err != broken {
		t.Errorf("found %+v, want the error", next)
	}
	if next, more := <-ready; more {
		t.Errorf("found %+v after the error", next)
	}
	if len(steps) != 4 {
		t.Errorf("found the steps %v prepared, want 3 to 6", steps)
	}
}

// When the context ends, no further step is prepared, though somebody takes what is
// ready.
func TestPipelineEndsWithTheContext(t *testing.T) {
	for taken := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		prepared := make(chan int, 100)
		ready := pipeline(ctx, 0, 100, func(step int) (inputs, error) {
			prepared <- step
			return inputs{}, nil
		})
		for range taken {
			<-ready
		}
		for range taken + ahead + 1 { // until it waits for somebody to take more
			<-prepared
		}
		cancel()
		for range ready {
		}
		if len(prepared) > 0 {
			t.Errorf("%d taken: %d more steps were prepared after the end", taken, len(prepared))
		}
	}
}

// A panic there would end the process.
func TestPipelineMakesErrorsOfPanics(t *testing.T) {
	ready := pipeline(t.Context(), 0, 2, func(int) (inputs, error) { panic("broken") })
	if next := <-ready; next.err == nil || next.err.Error() != "drawing the examples panics: broken" {
		t.Errorf("found %+v", next)
	}
	if next, more := <-ready; more {
		t.Errorf("found %+v after the error", next)
	}
}
