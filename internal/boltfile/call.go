// Package boltfile guards the use of bbolt databases whose files may be damaged: Check
// validates the references between the pages before bbolt follows them, and Call converts
// the panics and the memory faults of bbolt to errors.
package boltfile

import (
	"runtime/debug"

	"github.com/likeness-go/likeness/internal/guard"
)

// Call calls a function of bbolt, which maps the file into memory and panics or faults if
// the file is damaged. The error is then a *guard.Panic.
func Call(call func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard.Recover(&err, "")
	return call()
}
