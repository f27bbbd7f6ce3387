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
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// The library example of the README compiles and runs in a module outside the
// repository, as a user's would: it trains on a folder of images and compares two
// images. The model that it writes can be loaded.
func TestREADMEExample(t *testing.T) {
	examples := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(examples) != 1 {
		t.Fatalf("found %d examples in README.md, expected 1", len(examples))
	}
	example := examples[0][1]
	_, body, _ := strings.Cut(example, "func main() {\n")
	if lines := strings.Count(body, "\n") - 1; lines > 10 {
		t.Errorf("the function main of the example has %d lines, expected at most 10", lines)
	}
	dir := t.TempDir()
	module := newModule(t, dir)
	writePhotos(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(example), 0o644); err != nil {
		t.Fatal(err)
	}
	if output := module("run", "."); !regexp.MustCompile(`(?m)^distance \d+\.\d{3}$`).MatchString(output) {
		t.Errorf("the example printed %q", output)
	}
	models, err := filepath.Glob(filepath.Join(dir, "runs", "*", "model.safetensors"))
	if err != nil || len(models) != 1 {
		t.Fatalf("found the models %v, error %v, expected one model", models, err)
	}
	model, err := likeness.Load(models[0])
	if err != nil {
		t.Fatal(err)
	}
	model.Close()
}

// The README can be read in a few minutes.
func TestREADMELength(t *testing.T) {
	if words := len(strings.Fields(read(t, "README.md"))); words > 900 {
		t.Errorf("README.md has %d words, expected at most 900", words)
	}
}

// tableRows are the cells of the rows of all tables in a document that have the given
// number of cells, without headers.
func tableRows(text string, cells int) [][]string {
	var rows [][]string
	inBody := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			inBody = false
			continue
		}
		if strings.HasPrefix(line, "|---") {
			inBody = true
			continue
		}
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !inBody || len(row) != cells {
			continue
		}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// section is the part of a document under a heading of the second level.
func section(t *testing.T, name, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, name), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", name, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// recordedLine is a line of the table of accuracy.md.
type recordedLine struct{ published, seeds, mean, deviation, eachSeed, untrained string }

// recordedAccuracy finds the line of accuracy.md with a protocol and a method, without
// test-time augmentation.
func recordedAccuracy(t *testing.T, protocol, method string) recordedLine {
	t.Helper()
	var found []recordedLine
	for _, row := range tableRows(read(t, "benchmarks/results/accuracy.md"), 12) {
		if row[0] == protocol && row[1] == method && row[2] == "1" {
			found = append(found, recordedLine{row[3], row[4], strings.Trim(row[5], "*"), row[6], row[7], row[9]})
		}
	}
	if len(found) != 1 {
		t.Fatalf("accuracy.md has %d lines of %q by %q, expected 1", len(found), protocol, method)
	}
	return found[0]
}

// stabilityBands are the figures of stability.json over all seeds, with the commit.
func stabilityBands(t *testing.T) (commit string, bands map[string]stabilityBand) {
	t.Helper()
	var recorded map[string]struct {
		Commit string
		Bands  map[string]stabilityBand
	}
	if err := json.Unmarshal([]byte(read(t, "benchmarks/results/stability.json")), &recorded); err != nil {
		t.Fatal(err)
	}
	return recorded["mnist"].Commit, recorded["mnist"].Bands
}

// stabilityBand is one figure of stability.json.
type stabilityBand struct {
	Mean, Deviation float64
	Values          []float64
}

// The table of the README has the figures of accuracy.md and of stability.json: mean,
// standard deviation, number of seeds, the untrained network, and published figures.
func TestREADMEFigures(t *testing.T) {
	rows := tableRows(section(t, "README.md", "Accuracy"), 5)
	expected := map[string]recordedLine{
		"20-way one-shot, Lake's runs, 5 alphabets: `likeness train`":        recordedAccuracy(t, "Lake's 20 runs, minimal split small 1", "n-pair, cosine, short"),
		"20-way one-shot, Lake's runs, 30 alphabets, residual network":       recordedAccuracy(t, "Lake's 20 runs, 30 background alphabets", "n-pair, cosine, residual, 20,000 steps"),
		"verification of 10,000 pairs of unseen alphabets, residual network": recordedAccuracy(t, "10,000 balanced pairs of the evaluation alphabets, negatives from all alphabets, threshold from six background alphabets", "n-pair, cosine, residual, 24 alphabets"),
		"MNIST, linear classifier on embeddings, conv7":                      recordedAccuracy(t, "MNIST, linear classifier on embeddings of the 60,000 training images, 10,000 test images, with augmentation", "supervised-contrastive, cosine, Conv7"),
	}
	_, bands := stabilityBands(t)
	trained, untrained := bands["nearest neighbor, seen classes"], bands["nearest neighbor, seen classes, untrained"]
	expected["MNIST, nearest neighbor, digits 0 to 6: `likeness train --data mnist`"] = recordedLine{
		seeds: fmt.Sprint(len(trained.Values)), mean: fmt.Sprintf("%.2f", 100*trained.Mean),
		deviation: fmt.Sprintf("%.2f", 100*trained.Deviation), untrained: fmt.Sprintf("%.2f", 100*untrained.Mean),
	}
	if len(rows) != len(expected) {
		t.Errorf("the table has %d rows, expected %d", len(rows), len(expected))
	}
	for _, row := range rows {
		want, found := expected[row[0]]
		if !found {
			t.Errorf("found no record of the row %q", row[0])
			continue
		}
		if wanted := []string{want.untrained, "**" + want.mean + " ± " + want.deviation + "**", want.seeds}; !slices.Equal(row[2:], wanted) {
			t.Errorf("%s: found %q, expected %q", row[0], row[2:], wanted)
		}
		for _, figure := range regexp.MustCompile(`\d+\.\d+`).FindAllString(row[1], -1) {
			if !strings.Contains(want.published, figure) {
				t.Errorf("%s: found the published figure %s, which is not in %q", row[0], figure, want.published)
			}
		}
	}
}

// The speed in the README is that of speed.json: the range of the ratios of PyTorch in a
// training step, and of ONNX Runtime in embedding.
func TestREADMESpeed(t *testing.T) {
	var training, embedding []float64
	for _, row := range tableRows(section(t, "benchmarks/results/speed.md", "The library and the fastest variant of each framework"), 5) {
		ratio, err := strconv.ParseFloat(strings.Fields(row[4])[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		switch embeds := strings.Contains(row[0], "embed"); {
		case strings.HasPrefix(row[2], "PyTorch") && !embeds:
			training = append(training, ratio)
		case row[2] == "ONNX Runtime" && embeds:
			embedding = append(embedding, ratio)
		}
	}
	if len(training) == 0 || len(embedding) == 0 {
		t.Fatalf("speed.md has %d ratios of training and %d of embedding, expected some of each", len(training), len(embedding))
	}
	text := strings.Join(strings.Fields(section(t, "README.md", "Speed")), " ")
	for _, sentence := range []string{
		fmt.Sprintf("takes %.1f to %.1f times as long as likeness for a training step", slices.Min(training), slices.Max(training)),
		fmt.Sprintf("takes %.1f to %.1f times as long to embed images", slices.Min(embedding), slices.Max(embedding)),
	} {
		if !strings.Contains(text, sentence) {
			t.Errorf("README.md does not have what speed.md gives: %s", sentence)
		}
	}
}

// The README lists all networks, losses and distances.
func TestREADMELists(t *testing.T) {
	text := section(t, "README.md", "Losses, distances and networks")
	names := slices.Concat(backbone.Names, objectives.Names, heads.Names)
	for _, name := range names {
		if name == "signed-weighted-l1" {
			continue // what weighted-l1 is under the cross-entropies, and no choice of its own
		}
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("README.md does not list %s", name)
		}
	}
}

// The figures of the table of protocols in docs/papers.md are the means that accuracy.md
// has, each with its interval and its number of seeds.
func TestPapersFigures(t *testing.T) {
	recorded := strings.Split(read(t, "benchmarks/results/accuracy.md"), "\n")
	compared := 0
	for _, row := range tableRows(read(t, "docs/papers.md"), 6) {
		means, intervals, seeds := strings.Split(row[2], ","), strings.Split(row[3], ","), strings.Split(row[4], ",")
		if len(intervals) != len(means) || len(seeds) != 1 && len(seeds) != len(means) {
			t.Errorf("%s: found %d means, %d intervals and %d numbers of seeds", row[0], len(means), len(intervals), len(seeds))
			continue
		}
		for i, mean := range means {
			mean, interval, seeds := strings.TrimSpace(mean), strings.TrimSpace(intervals[i]), strings.TrimSpace(seeds[min(i, len(seeds)-1)])
			compared++
			if !slices.ContainsFunc(recorded, func(line string) bool {
				return strings.Contains(line, "| "+seeds+" | "+mean+" |") && strings.Contains(line, "| "+interval+" |")
			}) {
				t.Errorf("%s: found %s with the interval %s over %s seeds, which accuracy.md does not have", row[0], mean, interval, seeds)
			}
		}
	}
	short := recordedAccuracy(t, "Lake's 20 runs, minimal split small 1", "n-pair, cosine, short")
	text := strings.Join(strings.Fields(section(t, "docs/papers.md", "The default training")), " ")
	if !strings.Contains(text, "in percent: "+short.eachSeed+".") {
		t.Errorf("docs/papers.md does not have the accuracies of all seeds of the default training: %s", short.eachSeed)
	}
	if compared < 25 {
		t.Errorf("found %d figures in docs/papers.md, expected 25 or more", compared)
	}
}

// The table of the digits in docs/papers.md has the mean and the standard deviation over
// all seeds of stability.json.
func TestDigitsFigures(t *testing.T) {
	commit, bands := stabilityBands(t)
	text := section(t, "docs/papers.md", "Training on digits")
	for name, title := range map[string]string{
		"nearest neighbor, seen classes": "nearest neighbor, seen digits",
		"verification, ROC AUC":          "verification of unseen digits, ROC AUC",
		"verification, equal error rate": "verification of unseen digits, equal error rate (lower is better)",
		"one-shot accuracy":              "one-shot accuracy, unseen digits, 3-way",
		"MAP@R":                          "MAP@R among unseen digits",
		"verification, accuracy":         "verification of unseen digits, accuracy at a threshold from seen digits",
		"recall@1":                       "recall@1 among unseen digits",
	} {
		row := "| " + title + " |"
		for _, variant := range []string{"", ", untrained", ", raw pixels"} {
			b, found := bands[name+variant]
			if !found {
				t.Errorf("stability.json has no %q", name+variant)
			}
			row += fmt.Sprintf(" %.2f ± %.2f |", 100*b.Mean, 100*b.Deviation)
		}
		if !strings.Contains(strings.ReplaceAll(text, "**", ""), row+"\n") {
			t.Errorf("docs/papers.md does not have the row that stability.json gives:\n%s", row)
		}
	}
	if !strings.Contains(text, "commit "+commit) {
		t.Errorf("docs/papers.md does not name the commit %s", commit)
	}
}

// documents are the Markdown files that users read.
func documents(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELIABILITY.md"}
	for _, pattern := range []string{"docs/*.md", "zoo/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) == 0 {
			t.Fatalf("found no %s, error %v", pattern, err)
		}
		found = append(found, more...)
	}
	return found
}

// Every relative link and every image in the documents exists, headings included, and a
// link whose text is the name of an example leads to the file with that example.
func TestDocumentLinks(t *testing.T) {
	for _, document := range documents(t) {
		for _, match := range regexp.MustCompile(`!?\[([^\]]*)\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(t, document), -1) {
			text, target := match[1], match[2]
			if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://") {
				continue
			}
			file, heading, _ := strings.Cut(target, "#")
			path := filepath.Join(filepath.Dir(document), filepath.FromSlash(file))
			if file == "" {
				path = document
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link to %s leads nowhere: %v", document, target, err)
				continue
			}
			if heading != "" && !slices.Contains(headings(read(t, path)), heading) {
				t.Errorf("%s: the link to %s names a heading that does not exist", document, target)
			}
			if example := strings.Trim(text, "`"); strings.HasPrefix(example, "Example") && !strings.Contains(read(t, path), "func "+example+"()") {
				t.Errorf("%s: %s has no function %s", document, target, example)
			}
		}
	}
}

// testNames are the names of the test functions of the packages in a folder.
func testNames(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, path), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// Every test that a document names exists, and so does a test for each alternative of
// go test -run in it.
func TestDocumentedTests(t *testing.T) {
	var all []string
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, testNames(t, path)...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := 0
	for _, document := range documents(t) {
		text := read(t, document)
		for _, match := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(text, -1) {
			documented++
			if !slices.Contains(all, match[1]) {
				t.Errorf("%s names the test %s, which does not exist", document, match[1])
			}
		}
		for _, match := range regexp.MustCompile("`go test ([^`]*)`").FindAllStringSubmatch(text, -1) {
			var names []string
			pattern := ""
			fields := strings.Fields(match[1])
			for i, field := range fields {
				switch {
				case i > 0 && fields[i-1] == "-run":
					pattern = strings.Trim(field, "'")
				case strings.HasPrefix(field, "."):
					names = append(names, testNames(t, field)...)
				}
			}
			for alternative := range strings.SplitSeq(pattern, "|") {
				if pattern != "" && !slices.ContainsFunc(names, regexp.MustCompile(alternative).MatchString) {
					t.Errorf("%s: no test of `go test %s` matches %s", document, match[1], alternative)
				}
			}
		}
	}
	if documented < 20 {
		t.Errorf("found %d names of tests in the documents, expected at least 20", documented)
	}
}

// headings are the anchors of a document's headings.
func headings(text string) []string {
	var anchors []string
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(match[1]), "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	return anchors
}

// newModule creates a module in dir that uses this one, with the same versions of all
// dependencies, and returns a function that runs the go tool in it.
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

// writePhotos creates the folder and the two files that the example names.
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
