// Package gradients contains the gradient check that takes too long for every test run: that
// of the full network of Koch, Zemel & Salakhutdinov (2015). Package backbone checks a
// narrow version of it together with the other backbones.
//
//	LIKENESS_LONG=1 go test ./benchmarks/gradients -v -timeout 60m
//
// If the check passes, its result is written to benchmarks/results/gradients.md.
package gradients
