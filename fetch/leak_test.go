package fetch_test

import (
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
