// Package workload defines the workloads whose speed is measured: the tool's
// bench command prints them, benchmarks/peers/speed compares them with other
// frameworks, and benchmarks/steps runs them as Go benchmarks.
//
//   - A Workload is a network and what is done with it: a training step where it
//     has a Loss, otherwise embedding.
//   - A Step is a prepared workload: each call of Do performs it once.
//
// The initial weights and the inputs of a workload are functions of its name.
// Export writes them to files, from which another framework builds the same.
package workload
