//go:build !amd64

package vector

// routines are what an instruction set has besides the matrix products.
type routines struct{}
