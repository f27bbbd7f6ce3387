// Package guard converts panics to errors, for exported functions that call code
// of a user: a model, an image or a layer of another package. No panic crosses the
// API of this module.
package guard

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// Panic is a recovered panic as an error.
type Panic struct {
	What  string // what was being done; may be empty
	Value any    // the argument of panic
	Stack []byte // the stack at the panic
}

func (p *Panic) Error() string {
	if p.What == "" {
		return fmt.Sprintf("panic: %v", p.Value)
	}
	return fmt.Sprintf("%s: panic: %v", p.What, p.Value)
}

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Recover must be deferred. If the function panics, it sets its error to a *Panic.
//
//	func (m *Model) Embed() (err error) {
//		defer guard.Recover(&err, "embed")
//		...
func Recover(err *error, what string) {
	if value := recover(); value != nil {
		*err = &Panic{What: what, Value: value, Stack: debug.Stack()}
	}
}

// Text describes a recovered panic with its place in the source, such as
// "panic: index out of range (loss.go:31)". Call it directly in the deferred function
// that calls recover.
func Text(value any) string {
	if r, ok := value.(*relayed); ok {
		return fmt.Sprintf("panic: %v%s", r.value, r.place)
	}
	return fmt.Sprintf("panic: %v%s", value, place())
}

// relayed is a panic of another goroutine, with its place there.
type relayed struct {
	value any
	place string
}

func (r *relayed) Error() string { return fmt.Sprint(r.value) }

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (r *relayed) Unwrap() error {
	err, _ := r.value.(error)
	return err
}

// Relay returns a recovered value for a panic in another goroutine, such that Text still
// knows the place. Call it directly in the deferred function that calls recover.
func Relay(value any) any {
	if r, ok := value.(*relayed); ok {
		return r
	}
	return &relayed{value, place()}
}

// place returns where the panic that is being recovered happened, such as
// " (loss.go:31)", or "" where that is not known.
func place() string {
	frames := make([]uintptr, 32)
	found := runtime.CallersFrames(frames[:runtime.Callers(3, frames)])
	panicking := false
	for {
		frame, more := found.Next()
		switch inRuntime := strings.HasPrefix(frame.Function, "runtime."); {
		case inRuntime:
			panicking = panicking || frame.Function == "runtime.gopanic"
		case panicking:
			return fmt.Sprintf(" (%s:%d)", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}
