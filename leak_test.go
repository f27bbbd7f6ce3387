package likeness_test

import (
	"testing"

	"github.com/likeness-go/likeness/internal/leak"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { leak.Check(m) }
