// Package leak lets a package's tests fail that leave a goroutine behind.
package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// workers are the goroutines that outlive what started them on purpose: package
// graph's kernels have a pool of them, as many as have been at work at a time,
// which sleep between kernels and never end. There are no others.
const workers = "github.com/likeness-go/likeness/graph/internal/kernel.(*worker).live"

// Check runs a package's tests, of which it is the TestMain, and ends the process
// with a failure if goroutines but for the workers are left when all have ended.
func Check(m *testing.M) { goleak.VerifyTestMain(m, Kept()) }

// Kept is what goleak must not count, for tests that look for themselves.
func Kept() goleak.Option { return goleak.IgnoreAnyFunction(workers) }
