//go:build !linux && !darwin

package vector

import "testing"

// guarded returns size bytes; here nothing guards what is around them.
func guarded(_ testing.TB, size int) []byte { return make([]byte, size) }
