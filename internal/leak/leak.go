// Package leak lets a package's tests fail that leave a goroutine behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// workers are goroutines that several programs of package graph share, and that end
// with the last of them. They sleep between kernels.
const workers = "github.com/likeness-go/likeness/internal/parallel.(*worker).loop"

// Check runs a package's tests, of which it is the TestMain, and ends the process
// with a failure if goroutines are left when all have ended. Models and programs
// that the tests dropped are collected first, so that the workers must have ended,
// too.
func Check(m *testing.M) {
	code := m.Run()
	if err := find(); code == 0 && err != nil {
		fmt.Fprintf(os.Stderr, "goroutines are left: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// find looks for goroutines that are left. What is dropped is given up a while
// after it is collected, and only then can be collected what depends on it.
func find(ignored ...goleak.Option) (err error) {
	for range 3 {
		runtime.GC()
		if err = goleak.Find(ignored...); err == nil {
			return nil
		}
	}
	return err
}

// Verify fails a test that leaves goroutines but for those that were there before
// it. The programs that it dropped are collected first.
func Verify(t *testing.T, before goleak.Option) {
	t.Helper()
	if err := find(before); err != nil {
		t.Errorf("goroutines are left: %v", err)
	}
}

// Kept is what goleak must not count where programs are still in use, for tests
// that look for themselves.
func Kept() goleak.Option { return goleak.IgnoreAnyFunction(workers) }
