//go:build !unix

package vector

import "testing"

// allocate returns n elements; here nothing guards what is around them.
func allocate[E any](_ testing.TB, n int, _ bool) []E { return make([]E, n) }
