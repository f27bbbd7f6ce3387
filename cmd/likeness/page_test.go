package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pictures are the files of a run's plots.
func pictures(t *testing.T, run string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(run, "plots"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// A training leaves a page, which eval writes again from the files, to the bit.
func TestPage(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	_, said := tool(t, tiny("--out", "run")...)
	path := filepath.Join("run", "report.html")
	if !strings.Contains(said, path) {
		t.Errorf("where the page is is not told:\n%s", said)
	}
	page := read(t, path)
	for _, text := range []string{
		"bars: tiny, contrastive with l2", "ROC AUC on 8 held-out images", "(unseen classes)", "backbone", "tiny", "verification, ROC AUC", "go1.", "Worst retrievals",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("%q is not in the page", text)
		}
	}
	want := []string{"distances.png", "loss.png", "map-pca.png", "map-tsne.png", "roc.png"}
	if diff := cmp.Diff(want, pictures(t, "run")); diff != "" {
		t.Errorf("plots (-want +found):\n%s", diff)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join("run", "plots")); err != nil {
		t.Fatal(err)
	}
	tool(t, "eval", "--run", "run")
	if exists(path) {
		t.Error("eval wrote a page that nobody asked for")
	}
	table, _ := tool(t, "eval", "--run", "run", "--report")
	if read(t, path) != page {
		t.Error("eval writes another page than the training did")
	}
	if diff := cmp.Diff(want, pictures(t, "run")); diff != "" {
		t.Errorf("plots of eval (-want +found):\n%s", diff)
	}

	if err := os.Rename("bars", "moved"); err != nil {
		t.Fatal(err)
	}
	code, recorded, said := runTool("eval", "--run", "run", "--report")
	if code != failure || recorded != table || !strings.Contains(said, path+" shows images, which are not to be found") {
		t.Errorf("without its data: exit code %d\n%s%s", code, recorded, said)
	}
	if read(t, path) != page {
		t.Error("without its data eval spoils the page")
	}
	tool(t, "eval", "--run", "run", "--report", "--data", "moved")
	if moved := read(t, path); !strings.Contains(moved, "moved: tiny") {
		t.Error("with its data elsewhere eval does not write the page")
	}
}

// Where there is nothing to measure the page has the curves and the settings.
func TestPageOfAListWithoutTests(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 3)
	write(t, "pairs.csv", "a,b,different\nbars/bar0/0.png,bars/bar0/1.png,0\nbars/bar0/0.png,bars/bar1/0.png,1\n")
	tool(t, "train", "--data", "pairs.csv", "--backbone", "tiny.toml", "--batch", "2", "--epochs", "1", "--out", "run")
	if diff := cmp.Diff([]string{"loss.png"}, pictures(t, "run")); diff != "" {
		t.Errorf("plots (-want +found):\n%s", diff)
	}
	if page := read(t, "run", "report.html"); !strings.Contains(page, "Nothing was measured") {
		t.Errorf("the page does not say that nothing was measured:\n%s", page)
	}
}
