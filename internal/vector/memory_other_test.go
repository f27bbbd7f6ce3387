//go:build !linux && !darwin

package vector

import "testing"

// guarded returns size bytes; on this system there are no guard pages around them.
func guarded(_ testing.TB, size int) []byte { return make([]byte, size) }
