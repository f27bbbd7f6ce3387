package trainer

import (
	"context"
	"errors"
	"testing"
)

func allocate() *examples { return &examples{labels: make([]float32, 1)} }

// Examples come in order, an error comes in its place and is the last.
func TestPipelineEndsWithAnError(t *testing.T) {
	broken := errors.New("broken")
	var steps []int
	p := prepare(t.Context(), 3, 100, allocate, func(step int, e *examples) error {
		if steps = append(steps, step); step == 6 {
			return broken
		}
		e.labels[0] = float32(step)
		return nil
	})
	for step := 3; step < 6; step++ {
		next := p.next()
		if next.err != nil || next.examples.labels[0] != float32(step) {
			t.Errorf("step %d: found %+v", step, next)
		}
		p.recycle(next)
	}
	if next := p.next(); next.err != broken {
		t.Errorf("found %+v, want the error", next)
	}
	if next, more := <-p.ready; more {
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
		p := prepare(ctx, 0, 100, allocate, func(step int, _ *examples) error {
			prepared <- step
			return nil
		})
		for range taken {
			p.next()
		}
		for range taken + ahead + 1 { // until it waits for somebody to take more
			<-prepared
		}
		cancel()
		p.drain()
		if len(prepared) > 0 {
			t.Errorf("%d taken: %d more steps were prepared after the end", taken, len(prepared))
		}
	}
}

// A panic there would end the process.
func TestPipelineMakesErrorsOfPanics(t *testing.T) {
	p := prepare(t.Context(), 0, 2, allocate, func(int, *examples) error { panic("broken") })
	if next := p.next(); next.err == nil || next.err.Error() != "drawing the examples panics: broken" {
		t.Errorf("found %+v", next)
	}
	if next, more := <-p.ready; more {
		t.Errorf("found %+v after the error", next)
	}
}
