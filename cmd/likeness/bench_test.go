package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestBenchPrintsEveryLayerAndTheStepsAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	out, _ := tool(t, "bench", "--seconds", "0.001", "--works", "^embed-conv4-one$")
	for _, want := range []string{
		`GFLOP/s in registers\n`,
		`14×14, 64→64, 3×3 +dX +[0-9.]+ +[0-9]+ +[0-9]+ %`,
		`105×105, 1→64, 10×10 +dW `,
		`embed one image +[0-9.]+ +[0-9]+`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "128 pairs") {
		t.Errorf("a step was measured that nobody asked for:\n%s", out)
	}
}
