package testutil

import "testing"

var kept []byte

// recorder is a test that may fail without failing this one.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestLimitAllocations(t *testing.T) {
	for size, fails := range map[int]bool{1 << 10: false, 1 << 23: true} {
		r := &recorder{TB: t}
		LimitAllocations(r, 1<<20, func() { kept = make([]byte, size) })
		if r.failed != fails {
			t.Errorf("%d bytes: found failed %v, expected %v", size, r.failed, fails)
		}
	}
}
