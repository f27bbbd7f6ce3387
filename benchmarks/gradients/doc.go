// Package gradients is the check of gradients that is too long for every day:
// the whole network of Koch, Zemel & Salakhutdinov, whose narrow form is checked
// with the other backbones in package backbone.
//
//	LIKENESS_LONG=1 go test ./benchmarks/gradients -v -timeout 60m
//
// What passes is recorded in benchmarks/results/gradients.md.
package gradients
