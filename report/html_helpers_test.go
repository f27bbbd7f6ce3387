package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/trainer"
	"golang.org/x/net/html"
)

var pageSize = imaging.Size{Height: 6, Width: 6, Channels: 1}

// patterns returns images of a random pattern for each class with added noise, each
// with a source.
func patterns(classes []string, each int, part string) *datasets.Dataset {
	d := &datasets.Dataset{Name: part, Size: pageSize, Classes: classes}
	for class, name := range classes {
		for i := range each {
			pattern, noise := random.New(1, class), random.New(2, part, class, i)
			pixels := make([]uint8, pageSize.Len())
			for p := range pixels {
				pixels[p] = uint8(pattern.IntN(128) + noise.IntN(128))
			}
			d.Images, d.Labels = append(d.Images, pixels), append(d.Labels, class)
			d.Sources = append(d.Sources, fmt.Sprintf("/home/somebody/%s/%s/%d.png", part, name, i))
		}
	}
	return d
}

// runOf returns the page of a run of two epochs with the figures of the plan.
func runOf(t *testing.T, p *Plan, trained *likeness.Model) Page {
	t.Helper()
	r, evidence, err := p.MeasureWithEvidence(trained, newModelOf(t, pageSize, 2))
	if err != nil {
		t.Fatal(err)
	}
	r.Dataset, r.Seed, r.Seconds, r.ImagesPerSecond = "patterns", 1, 12, 3456
	r.MadeWith = &Provenance{
		Likeness: "v1.2.3", Gorgonia: "v0.9.18", Go: "go1.26", System: "linux/amd64", Processor: "Fast One", Threads: 2,
		Finished: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	first, second := 0.6, 0.8
	return Page{
		Title: "patterns: projection", Report: r, Evidence: evidence, Validated: "ROC AUC on 12 images", Config: "seed = 1\n",
		Epochs: []trainer.Epoch{{Epoch: 1, Loss: 0.5, Validation: &first, LearningRate: 0.01}, {Epoch: 2, Loss: 0.3, Validation: &second, Best: true, LearningRate: 0.005}},
	}
}

// labeledPage returns the page of a run with unseen classes of these names, of six images each.
func labeledPage(t *testing.T, classes ...string) Page {
	t.Helper()
	known := []string{"seen a", "seen b", "seen c"}
	plan, err := NewPlan(datasets.Experiment{
		Train: patterns(known, 6, "train"), Validation: patterns(known, 4, "validation"), Seen: patterns(known, 4, "seen"),
		Unseen: patterns(classes, 6, "unseen"), Protocol: "Some patterns were held out.",
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return runOf(t, plan, newModelOf(t, pageSize, 1))
}

// written writes a page and returns it as text and as a tree of nodes.
func written(t *testing.T, r Page) (folder, text string, tree *html.Node) {
	t.Helper()
	folder = t.TempDir()
	if err := r.Write(folder); err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(filepath.Join(folder, PageFile))
	if err != nil {
		t.Fatal(err)
	}
	if tree, err = html.Parse(strings.NewReader(string(bytes))); err != nil {
		t.Fatal(err)
	}
	return folder, string(bytes), tree
}

// elements returns the elements of a name, or all if the name is empty, in document
// order.
func elements(tree *html.Node, name string) (found []*html.Node) {
	for node := range tree.Descendants() {
		if node.Type == html.ElementNode && (name == "" || node.Data == name) {
			found = append(found, node)
		}
	}
	return found
}

func attribute(node *html.Node, key string) string {
	for _, a := range node.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// words returns the text of a node with normalized spaces.
func words(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		switch {
		case n.Type == html.TextNode && n.Parent.Data != "style":
			b.WriteString(n.Data)
		case n.Type == html.ElementNode && n.Data != "wbr":
			b.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// section returns the section of the page with that id.
func section(t *testing.T, tree *html.Node, id string) *html.Node {
	t.Helper()
	for _, node := range elements(tree, "section") {
		if attribute(node, "id") == id {
			return node
		}
	}
	t.Fatalf("the page has no section %q", id)
	return nil
}

func expectWords(t *testing.T, node *html.Node, want ...string) {
	t.Helper()
	text := words(node)
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}
