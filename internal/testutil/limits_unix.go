//go:build unix

package testutil

import (
	"testing"

	"golang.org/x/sys/unix"
)

// WithoutOpenFiles makes a call while this process may open no more files. Nothing
// else may run meanwhile.
func WithoutOpenFiles(t testing.TB, call func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	call()
}
