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

// described runs f and describes its panic.
func described(f func()) (text string) {
	defer func() {
		if value := recover(); value != nil {
			text = guard.Text(value)
		}
	}()
	f()
	return "no panic"
}

// A description has the place of the panic, of another goroutine, too.
func TestText(t *testing.T) {
	relayed := func() {
		var relayed any
		done := make(chan bool)
		go func() {
			defer close(done)
			defer func() { relayed = guard.Relay(guard.Relay(recover())) }()
			var values []int
			_ = values[len(values)]
		}()
		<-done
		if err, ok := relayed.(error); !ok || errors.Unwrap(err) == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("found %v, expected an error that wraps the runtime's", relayed)
		}
		panic(relayed)
	}
	for want, f := range map[string]func(){
		"panic: broken (guard_test.go:":                     func() { panic("broken") },
		"panic: runtime error: index out of range [0] with": relayed,
		"(guard_test.go:":                                   relayed,
		"no panic":                                          func() {},
	} {
		if got := described(f); !strings.Contains(got, want) {
			t.Errorf("found %q, expected it to contain %q", got, want)
		}
	}
}
