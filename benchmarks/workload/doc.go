// Package workload defines the workloads whose speed is measured: the command likeness
// bench measures them, benchmarks/peers/speed compares them with other
// frameworks, and benchmarks/steps runs them as Go benchmarks.
//
//   - A Workload is a network and what is measured with it: a training step if it has a
//     Loss, otherwise embedding.
//   - A Step is a prepared workload: each call of Do runs it once.
//
// The initial weights and the inputs of a workload are determined by its name. Export
// writes them to files, from which other frameworks build the same workload.
package workload
