package graph_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
)

// childVariable marks the process that TestEnvironmentIsChecked starts: the
// variables are read when a program starts.
const childVariable = "LIKENESS_TEST_CHILD"

// An unknown value of an environment variable is an error of Build that
// names the variable, what was found and what is expected.
func TestEnvironmentIsChecked(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"x": graph.Activate{Function: "relu"}.Apply(b, 1, b.Input("images", 1, 2))}
		})
		if (err == nil) != (graph.EnvironmentError() == nil) {
			t.Fatalf("Build: %v, EnvironmentError: %v", err, graph.EnvironmentError())
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for setting, want := range map[string]string{
		"LIKENESS_INSTRUCTIONS=bogus":    `environment variable LIKENESS_INSTRUCTIONS: found "bogus", expected one of avx512, avx2, neon, portable`,
		"LIKENESS_WINOGRAD=OFF":          `environment variable LIKENESS_WINOGRAD: found "OFF", expected on or off`,
		"LIKENESS_FOURIER=0":             `environment variable LIKENESS_FOURIER: found "0", expected on or off`,
		"LIKENESS_INSTRUCTIONS=portable": "",
		"LIKENESS_INSTRUCTIONS=":         "",
		"LIKENESS_WINOGRAD=on":           "",
		"LIKENESS_FOURIER=off":           "",
		// No processor has all of them: one that is lacking is no error.
		"LIKENESS_INSTRUCTIONS=neon":   "",
		"LIKENESS_INSTRUCTIONS=avx512": "",
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestEnvironmentIsChecked$")
		child.Env = append(os.Environ(), childVariable+"=1", setting)
		output, err := child.CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v, expected %q:\n%s", setting, err, want, output)
		}
	}
}
