package likeness_test

import (
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Both library examples of the README compile and run in a module outside the
// repository, as a user's would: the first trains on a folder of images, the
// second compares two images by the model.
func TestREADMEExamples(t *testing.T) {
	text := read(t, "README.md")
	examples := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(examples) != 2 {
		t.Fatalf("found %d examples in README.md, expected 2", len(examples))
	}
	dir := t.TempDir()
	module := newModule(t, dir)
	writePhotos(t, dir)
	for i, example := range examples {
		if lines := strings.Count(example[1], "\n"); lines > 20 {
			t.Errorf("example %d has %d lines, expected at most 20", i+1, lines)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(example[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		output := module("run", ".")
		if i == 1 && !regexp.MustCompile(`^distance \d+\.\d{3}`).MatchString(output) {
			t.Errorf("example 2 printed %q", output)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Error(err)
	}
}

// The figures of the README's table of protocols are the means that accuracy.md has
// of them.
func TestREADMEFigures(t *testing.T) {
	figures := func(text string) (all []string) {
		for _, match := range regexp.MustCompile(`\*\*(\d+\.\d+)\*\*`).FindAllStringSubmatch(text, -1) {
			all = append(all, match[1])
		}
		return all
	}
	_, section, found := strings.Cut(read(t, "README.md"), "\n## One-shot recognition")
	if !found {
		t.Fatal("README.md has no section of one-shot recognition")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	quoted, recorded := figures(section), figures(read(t, "benchmarks/results/accuracy.md"))
	if len(quoted) < 10 {
		t.Errorf("found the figures %v in README.md, expected those of ten protocols or more", quoted)
	}
	for _, figure := range quoted {
		if !slices.Contains(recorded, figure) {
			t.Errorf("found %s in README.md, which accuracy.md does not have", figure)
		}
	}
}

// newModule makes a module in dir that uses this one, with the same versions
// of everything, and returns a function that runs the go tool in it.
func newModule(t *testing.T, dir string) func(arguments ...string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod := strings.Replace(read(t, "go.mod"), "module github.com/likeness-go/likeness", "module example.com/outside", 1)
	mod += "\nrequire github.com/likeness-go/likeness v0.0.0\nreplace github.com/likeness-go/likeness => " + here + "\n"
	for name, content := range map[string]string{"go.mod": mod, "go.sum": read(t, "go.sum")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return func(arguments ...string) string {
		t.Helper()
		command := exec.Command("go", arguments...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", arguments, err, output)
		}
		return string(output)
	}
}

// writePhotos makes the folder and the two files that the examples name.
func writePhotos(t *testing.T, dir string) {
	t.Helper()
	files := map[string]image.Image{"a.png": picture(1), "b.png": picture(2)}
	for i := range 12 {
		files[filepath.Join("photos", string(rune('a'+i%3)), string(rune('a'+i))+".png")] = picture(uint64(i))
	}
	for name, img := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, img); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
