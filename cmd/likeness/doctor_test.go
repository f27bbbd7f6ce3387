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
	broken := filepath.Join(t.TempDir(), "broken.safetensors")
	content := []byte(read(t, formats, "model-2.safetensors"))
	content[len(content)-1] ^= 1
	write(t, broken, string(content))
	code, stdout, stderr := runTool("doctor", filepath.Join(formats, "model-1.safetensors"), broken, "--omniglot", t.TempDir())
	if code != failure || !strings.Contains(stderr, "something is wrong") {
		t.Errorf("a broken file: exit code %d, %s", code, stderr)
	}
	for _, want := range []string{
		"ok           instructions ", "ok           model zoo/omniglot: ", "not checked  model ", "not checked  Omniglot", "wrong        model " + broken + ": ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("found no %q in\n%s", want, stdout)
		}
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := lines[len(lines)-1]; strings.Count(stdout, "\nwrong ") != 1 || !strings.Contains(last, "checksum") {
		t.Errorf("found %s, expected that only the checksum of %s is wrong", last, broken)
	}
	toolFails(t, failure, []string{"find model"}, "doctor", "missing.safetensors")
}

// With --json a finding is an object in a line of its own.
func TestDoctorJSON(t *testing.T) {
	var out strings.Builder
	want := doctor.Finding{Status: doctor.Wrong, What: "model a\nb", Found: "the checksum < is wrong"}
	command := doctorCommand{JSON: true}
	if err := command.print(&console{out: &out}, want); err != nil {
		t.Fatal(err)
	}
	var found doctor.Finding
	if err := json.Unmarshal([]byte(out.String()), &found); err != nil || found != want || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("found %q, %v, expected %+v", out.String(), err, want)
	}
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
