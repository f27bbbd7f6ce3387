package guard_test

import (
	"io"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

func call(f func() error) (err error) {
	defer guard.Recover(&err, "call")
	return f()
}

// A panic becomes an error with its value and its stack; an error stays as it is.
func TestRecover(t *testing.T) {
	err := call(func() error { panic("broken") })
	var p *guard.Panic
	if !errors.As(err, &p) || err.Error() != "call: panic: broken" || !strings.Contains(string(p.Stack), "TestRecover") {
		t.Errorf("found error %v, expected the panic with its stack", err)
	}
	if err := call(func() error { panic(io.EOF) }); !errors.Is(err, io.EOF) {
		t.Errorf("found error %v, expected it to wrap io.EOF", err)
	}
	if err := call(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("found error %v, expected io.EOF", err)
	}
	if err := call(func() error { return nil }); err != nil {
		t.Errorf("found error %v, expected none", err)
	}
}
