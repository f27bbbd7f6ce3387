package page

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/report"
	"golang.org/x/net/html"
)

var sections = []string{"figures", "learning", "verification", "maps", "hardest", "retrieval", "settings"}

// The page of a run says everything, in its place.
func TestPage(t *testing.T) {
	r := labelledRun(t, "ant", "bee", "cat", "dog")
	folder, _, tree := written(t, r)

	expectWords(t, tree, "patterns: projection", "Trained 12 s at 3456 images/s, seed 1.")
	figures := section(t, tree, "figures")
	for _, row := range r.Report.Rows() {
		expectWords(t, figures, row.Title, percent(row.Value), percent(row.Low)+" – "+percent(row.High), percent(row.Untrained), percent(row.Pixels))
	}
	expectWords(t, figures, strings.Split(r.Report.Protocol, "; ")...)
	learning := section(t, tree, "learning")
	expectWords(t, learning, "Learning curves", "loss", "validation", "learning rate", "epoch", "ROC AUC on 12 images")
	verification := section(t, tree, "verification")
	expectWords(t, verification, "test pairs are of unseen classes", "threshold "+distance(*r.Report.Threshold), "same", "different", "% of the pairs",
		"trained, area "+percent(r.Report.Metrics["verification_auc"].Value)+" %", "untrained, area ", "raw pixels, area ", "guessing, area 50 %")
	maps := section(t, tree, "maps")
	expectWords(t, maps, "24 test images (unseen classes)", "Principal components (PCA)", "% of the variance", "Neighbourhoods (t-SNE)", "ant", "bee", "cat", "dog")
	if images := elements(maps, "image"); len(images) != 2*24 {
		t.Errorf("the maps show %d images, expected 24 each", len(images))
	}
	hardest := section(t, tree, "hardest")
	if pairs := elements(hardest, "li"); len(pairs) != 2*hardestPairs || len(elements(hardest, "img")) != 4*hardestPairs {
		t.Errorf("found %d of the hardest pairs with %d images", len(pairs), len(elements(hardest, "img")))
	}
	same, _ := r.Evidence.Verified.Hardest(1)
	worst := r.Evidence.Verified.Pairs[same[0]]
	expectWords(t, elements(hardest, "li")[0], "distance "+distance(r.Evidence.Verified.Distances[same[0]]),
		filepath.Base(r.Evidence.Verified.Images.Sources[worst.Left]), filepath.Base(r.Evidence.Verified.Images.Sources[worst.Right]))
	retrieval := section(t, tree, "retrieval")
	expectWords(t, retrieval, "Each of 24 images was asked", "Nearest of its class", "others")
	settings := section(t, tree, "settings")
	expectWords(t, settings, "seed = 1", "v1.2.3", "v0.9.18", "go1.26", "linux/amd64", "Fast One, 2 of its processors", "2025-01-02 03:04:05 UTC")
	if absent := withClass(tree, "absent"); len(absent) != 0 {
		t.Errorf("something is said to be missing: %s", words(absent[0]))
	}
	if strings.Contains(words(tree), "somebody") {
		t.Error("the page tells where its owner keeps the images")
	}

	for _, name := range []string{"loss", "roc", "distances", "map-pca", "map-tsne"} {
		file, err := os.Open(filepath.Join(folder, "plots", name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		img, err := png.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		colours := map[any]bool{} // a chart of white paper alone has one
		for x := range img.Bounds().Dx() {
			for y := range img.Bounds().Dy() {
				colours[img.At(x, y)] = true
			}
		}
		if len(colours) < 10 || img.Bounds().Dx() != 1120 {
			t.Errorf("%s has %d colours and is %d pixels wide", name, len(colours), img.Bounds().Dx())
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("found %v beside the page, expected plots alone", entries)
	}
}

func withClass(tree *html.Node, class string) (found []*html.Node) {
	for _, node := range elements(tree, "") {
		if slices.Contains(strings.Fields(attribute(node, "class")), class) {
			found = append(found, node)
		}
	}
	return found
}

// One run gives one page and one set of pictures.
func TestOneRunOnePage(t *testing.T) {
	first, text, _ := written(t, labelledRun(t, "ant", "bee", "cat"))
	second, again, _ := written(t, labelledRun(t, "ant", "bee", "cat"))
	if text != again {
		t.Error("two pages of one run differ")
	}
	for _, name := range []string{"map-pca.png", "map-tsne.png"} {
		a, err := os.ReadFile(filepath.Join(first, "plots", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, "plots", name))
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(a, b) {
			t.Errorf("two pictures %s of one run differ", name)
		}
	}
}

// Listed pairs have no classes: the page shows the pairs and the map, and says
// what is missing.
func TestPageOfListedPairs(t *testing.T) {
	images := patterns([]string{"x", "y", "z"}, 5, "listed")
	images.Labels, images.Classes = nil, nil
	list := &datasets.PairList{Dataset: images, Pairs: []datasets.Pair{
		{Left: 0, Right: 1}, {Left: 5, Right: 6}, {Left: 10, Right: 14}, {Left: 0, Right: 5, Different: true}, {Left: 6, Right: 14, Different: true},
	}}
	r := runOf(t, report.PlanOf(nil, list), newModel(t, 1))
	_, _, tree := written(t, r)
	expectWords(t, section(t, tree, "verification"), "All 5 test pairs are those listed for testing", "no validation pairs to choose a threshold on")
	expectWords(t, section(t, tree, "maps"), "15 test images", "listed without classes, so all have one colour")
	hardest := section(t, tree, "hardest")
	expectWords(t, hardest, "only the files are named", "z/0.png")
	if pairs := elements(hardest, "li"); len(pairs) != 5 {
		t.Errorf("found %d pairs, expected 5", len(pairs))
	}
	expectWords(t, section(t, tree, "retrieval"), "pairs were listed without classes")
	for id, word := range map[string]string{"verification": "dashed line", "hardest": "decided"} {
		if text := words(section(t, tree, id)); strings.Contains(text, word) {
			t.Errorf("there is no threshold, but the page speaks of one:\n%s", text)
		}
	}
}

// Classes that were trained on stand in for unseen ones, and the page says it.
func TestPageWithoutUnseenClasses(t *testing.T) {
	known := []string{"a", "b", "c"}
	plan, err := report.NewPlan(datasets.Experiment{Train: patterns(known, 6, "train"), Seen: patterns(known, 5, "seen")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _, tree := written(t, runOf(t, plan, newModel(t, 1)))
	expectWords(t, section(t, tree, "verification"), "of test images of the training classes")
	expectWords(t, section(t, tree, "maps"), "(test images of the training classes)")
}

// Where nothing was measured every section says so, and no picture is drawn.
func TestPageOfNothing(t *testing.T) {
	for name, r := range map[string]Run{
		"nothing":        {Title: "nothing"},
		"empty evidence": {Title: "nothing", Evidence: &report.Evidence{}},
	} {
		folder, _, tree := written(t, r)
		for _, id := range sections {
			if len(withClass(section(t, tree, id), "absent")) == 0 {
				t.Errorf("%s: section %s does not say that it has nothing", name, id)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "plots")); err == nil || len(elements(tree, "svg")) > 0 {
			t.Errorf("%s: there are charts", name)
		}
	}
}

// A network that embeds all images alike has a page, too: it is where a person
// would see it.
func TestPageOfCollapsedNetwork(t *testing.T) {
	collapsed := newModel(t, 1)
	clear(collapsed.Weights.Get("linear1.weight").Value.Data().([]float32))
	plan, err := report.NewPlan(datasets.Experiment{Train: patterns([]string{"s", "t"}, 4, "train"), Unseen: patterns([]string{"u", "v", "w"}, 6, "unseen")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _, tree := written(t, runOf(t, plan, collapsed))
	expectWords(t, section(t, tree, "maps"), "first component, 0 % of the variance, width 0.000")
	expectWords(t, section(t, tree, "retrieval"), "Of 0 the 5 nearest are all of other classes.")
	expectWords(t, section(t, tree, "verification"), "trained, area 50.00 %")
}

// A run that was ended early says so.
func TestStopped(t *testing.T) {
	r := Run{Title: "stopped", Report: report.Report{Stopped: "interrupted"}}
	_, _, tree := written(t, r)
	expectWords(t, tree, "Training ended early: interrupted.")
}

func TestWriteRefuses(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, Name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Run{}).Write(folder); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, Name)) {
		t.Errorf("found error %v, expected one that names the file", err)
	}
	r := labelledRun(t, "ant", "bee")
	r.Evidence.Shown.Embeddings.Data[0] = float32(math.Inf(1))
	if err := r.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "map-pca: principal components: an embedding is not of finite numbers") {
		t.Errorf("found error %v, expected one that names the chart", err)
	}
}
