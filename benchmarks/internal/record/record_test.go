package record

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/vector"
)

var sample = Record{
	Title: "Sums agree", Command: "go run ./sums", Tools: []string{"calculator 2.0"},
	Took: 1499 * time.Millisecond, Result: "1 + 1 = 2\n",
}

func TestWrite(t *testing.T) {
	var text strings.Builder
	if err := sample.write(&text, "0123abc", "processor, 2 of its processors", time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	want := "# Sums agree\n\n- command: `go run ./sums`\n- commit: 0123abc\n- processor: processor, 2 of its processors\n" +
		"- versions: " + runtime.Version() + ", calculator 2.0\n- date: 2026-11-23, after 1s\n\n1 + 1 = 2\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteFile(t *testing.T) {
	if _, err := Commit(); err != nil {
		t.Skip("not in a git repository: ", err)
	}
	path := filepath.Join(t.TempDir(), "new", "sums.md")
	if err := sample.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# Sums agree\n") || !strings.HasSuffix(string(text), "\n1 + 1 = 2\n") {
		t.Errorf("found the record\n%s", text)
	}
}

// Processors of the same name may have different instruction sets, and hence speeds.
func TestMachine(t *testing.T) {
	instructions := vector.For[float32]().Name()
	if got := Machine(); !strings.Contains(got, " ("+instructions+"), ") {
		t.Errorf("found %q, expected it to contain %s", got, instructions)
	}
}
