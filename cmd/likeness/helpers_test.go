package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	code = execute(context.Background(), located(args), &out, &err)
	return code, named(out.String()), named(err.String())
}

// galleries are the URIs of the galleries of tests by their paths, if galleries are in
// PostgreSQL.
var galleries struct {
	sync.Mutex
	uris map[string]string
}

// located replaces the files of galleries among arguments by URIs, if galleries are in
// PostgreSQL.
func located(args []string) []string {
	if !testutil.InPostgres() {
		return args
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if strings.HasSuffix(arg, ".gallery") {
			args[i] = galleryAt(arg)
		}
	}
	return args
}

// galleryAt is the path of a gallery, or its URI if galleries are in PostgreSQL.
func galleryAt(path string) string {
	if !testutil.InPostgres() {
		return path
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	galleries.Lock()
	defer galleries.Unlock()
	if galleries.uris == nil {
		galleries.uris = map[string]string{}
	}
	if galleries.uris[absolute] == "" {
		galleries.uris[absolute] = testutil.NewSchemaURI()
	}
	return galleries.uris[absolute]
}

// named replaces the URIs of galleries in a text by the names of their files.
func named(text string) string {
	galleries.Lock()
	defer galleries.Unlock()
	for path, uri := range galleries.uris {
		text = strings.ReplaceAll(text, uri, printable(filepath.Base(path)))
	}
	return text
}

// dropGalleries removes the galleries of all tests from PostgreSQL.
func dropGalleries() {
	for _, uri := range galleries.uris {
		if err := testutil.DropSchema(uri); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
