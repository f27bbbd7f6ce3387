package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/doctor"
)

var formats = filepath.Join("..", "..", "testdata", "formats")

// The tool prints a line for each finding, and fails where one is wrong.
func TestDoctor(t *testing.T) {
	stdout, _ := tool(t, "doctor", filepath.Join(formats, "model-1.safetensors"), "--omniglot", t.TempDir())
	for _, want := range []string{"ok           instructions ", "ok           model zoo/omniglot: ", "not checked  model ", "not checked  Omniglot"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("found no %q in\n%s", want, stdout)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.safetensors")
	content := []byte(read(t, formats, "model-2.safetensors"))
	content[len(content)-1] ^= 1
	write(t, broken, string(content))
	code, stdout, stderr := runTool("doctor", broken, "--json")
	if code != failure || !strings.Contains(stderr, "something is wrong") {
		t.Errorf("a broken file: exit code %d, %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var last doctor.Finding
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Status != doctor.Wrong || !strings.Contains(last.Found, broken) || !strings.Contains(last.Found, "checksum") {
		t.Errorf("found %+v, expected that the checksum of %s is wrong", last, broken)
	}
	toolFails(t, failure, []string{"find model"}, "doctor", "missing.safetensors")
}

func TestBenchPrintsEveryLayerAndTheStepsAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	out, _ := tool(t, "bench", "--seconds", "0.001", "--workloads", "^embed-conv4-one$")
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
