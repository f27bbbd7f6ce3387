// Package steps contains Go benchmarks of whole training steps and of embedding, with the
// workloads of benchmarks/workload.
//
//	go test -bench . ./benchmarks/steps
package steps
