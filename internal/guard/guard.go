// Package guard converts panics to errors, for exported functions that call code
// of a user: a model, an image or a layer of another package. No panic crosses the
// API of this module.
package guard

import (
	"fmt"
	"runtime/debug"
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
