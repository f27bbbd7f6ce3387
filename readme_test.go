package likeness_test

import (
	"encoding/json"
	"fmt"
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

// The figures of the README's table of protocols are the means that accuracy.md has,
// each with its interval and its number of seeds.
func TestREADMEFigures(t *testing.T) {
	_, section, found := strings.Cut(read(t, "README.md"), "\n## One-shot recognition")
	if !found {
		t.Fatal("README.md has no section of one-shot recognition")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	recorded := read(t, "benchmarks/results/accuracy.md")
	compared := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if !strings.Contains(line, "**") || len(cells) != 8 {
			continue
		}
		means, intervals, seeds := strings.Split(cells[3], ","), strings.Split(cells[4], ","), strings.Split(cells[5], ",")
		for i, mean := range means {
			if len(intervals) != len(means) || len(seeds) != 1 && len(seeds) != len(means) {
				t.Errorf("found %d means, %d intervals and %d numbers of seeds in %s", len(means), len(intervals), len(seeds), line)
				break
			}
			mean, interval, seeds := strings.TrimSpace(mean), strings.TrimSpace(intervals[i]), strings.TrimSpace(seeds[min(i, len(seeds)-1)])
			compared++
			if !slices.ContainsFunc(strings.Split(recorded, "\n"), func(row string) bool {
				return strings.Contains(row, "| "+seeds+" | "+mean+" |") && strings.Contains(row, "| "+interval+" |")
			}) {
				t.Errorf("found %s with the interval %s over %s seeds in README.md, which accuracy.md does not have", mean, interval, seeds)
			}
		}
	}
	if compared < 20 {
		t.Errorf("found %d figures in README.md, expected 20 or more", compared)
	}
}

// What the README says to expect is the mean and the standard deviation of all seeds
// that stability.json has.
func TestREADMEExpects(t *testing.T) {
	var recorded map[string]struct {
		Commit string
		Bands  map[string]struct {
			Mean, Deviation float64
			Values          []float64
		}
	}
	if err := json.Unmarshal([]byte(read(t, "benchmarks/results/stability.json")), &recorded); err != nil {
		t.Fatal(err)
	}
	bands := recorded["mnist"].Bands
	_, section, _ := strings.Cut(read(t, "README.md"), "\n## What to expect")
	section, _, _ = strings.Cut(section, "\n## ")
	for name, title := range map[string]string{
		"nearest neighbor, seen classes": "nearest neighbor, seen digits",
		"verification, ROC AUC":          "verification of unseen digits, ROC AUC",
		"verification, equal error rate": "verification of unseen digits, equal error rate (lower is better)",
		"one-shot accuracy":              "one-shot accuracy, unseen digits, 3-way",
		"MAP@R":                          "MAP@R among unseen digits",
		"verification, accuracy":         "verification, accuracy at a threshold from seen digits",
		"recall@1":                       "recall@1 among unseen digits",
	} {
		row := "| " + title + " |"
		for _, who := range []string{"", ", untrained", ", raw pixels"} {
			b, found := bands[name+who]
			if !found {
				t.Errorf("stability.json has no %q", name+who)
			}
			row += fmt.Sprintf(" %.2f ± %.2f |", 100*b.Mean, 100*b.Deviation)
		}
		if !strings.Contains(strings.ReplaceAll(section, "**", ""), row+"\n") {
			t.Errorf("README.md does not have the row that stability.json gives:\n%s", row)
		}
	}
	if commit := recorded["mnist"].Commit; !strings.Contains(section, "commit "+commit) {
		t.Errorf("README.md does not name the commit %s", commit)
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
