// Package steps holds Go's benchmarks of whole steps: those works of
// benchmarks/peers/speed that are the library's own, in the same definition.
//
//	go test -bench . ./benchmarks/steps
package steps
