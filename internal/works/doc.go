// Package works defines the works whose speed is measured, once for all who
// measure them: the tool prints them, benchmarks/peers/speed sets them beside
// other frameworks,
// benchmarks/steps measures them as Go's benchmarks.
//
// Its nouns:
//
//   - A Work is a network with what is done with it: a step of training, where
//     it has a Loss, or embedding.
//   - A Step is a work that is ready: each call does it once.
//
// A work's initial weights and inputs are functions of its name. Export leaves
// them in files, from which a peer builds the same.
package works
