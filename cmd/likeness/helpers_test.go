package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
)

// The helpers that the tests of package run have, too.
var (
	inFolder = testutil.InFolder
	encode   = testutil.Encode
	red      = testutil.Red
)

func bars(t *testing.T, folder string, classes, images int) {
	testutil.Bars(t, folder, classes, images)
}

func bar(t *testing.T, position int, seed uint64, side int) string {
	return testutil.Bar(t, position, seed, side)
}

func write(t *testing.T, path, content string) { t.Helper(); testutil.Write(t, path, content) }

func read(t *testing.T, path ...string) string { t.Helper(); return testutil.Read(t, path...) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tool runs the program, which must succeed.
func tool(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runTool(args...)
	if code != success {
		t.Fatalf("likeness %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout, stderr
}

// toolFails runs the program, which must fail with the code and one line that
// has all the texts.
func toolFails(t *testing.T, code int, texts []string, args ...string) {
	t.Helper()
	found, _, stderr := runTool(args...)
	if found != code {
		t.Errorf("likeness %s: exit code %d, want %d\n%s", strings.Join(args, " "), found, code, stderr)
		return
	}
	if strings.Count(stderr, "\n") != 1 {
		t.Errorf("likeness %s: want one line, found\n%s", strings.Join(args, " "), stderr)
	}
	for _, text := range texts {
		if !strings.Contains(stderr, text) {
			t.Errorf("likeness %s: want %q in\n%s", strings.Join(args, " "), text, stderr)
		}
	}
}

// withoutProgress leaves out the lines that say how far a measurement is, which there
// are only where it takes long.
func withoutProgress(said string) string {
	lines := slices.Collect(strings.Lines(said))
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, " images measured\n") }), "")
}

func runTool(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = execute(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}
