package serve

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind, but for the kernels' workers, which outlive
// every call.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/likeness-go/likeness/graph/internal/kernel.(*worker).live"))
}
