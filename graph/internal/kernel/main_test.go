package kernel

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// releaseAll ends what TestMain retains.
var releaseAll func()

// TestMain retains the workers and the scratch memory, as programs do, because the
// tests make thousands of calls that would otherwise start goroutines of their own. No
// test may leave a goroutine behind.
func TestMain(m *testing.M) {
	releaseAll = Retain()
	code := m.Run()
	releaseAll()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintf(os.Stderr, "goroutines are left: %v\n", err)
		code = 1
	}
	os.Exit(code)
}
