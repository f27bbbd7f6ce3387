package report

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"golang.org/x/net/html"
)

var sections = []string{"figures", "learning", "verification", "maps", "hardest", "retrieval", "settings"}

// The page of a complete run has all of its contents in the right sections.
func TestPage(t *testing.T) {
	r := labeledPage(t, "ant", "bee", "cat", "dog")
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
		"trained, area "+percent(r.Report.Metrics["verification_auc"].Value)+" %", "untrained, area ", "raw pixels, area ", "chance, area 50 %")
	maps := section(t, tree, "maps")
	expectWords(t, maps, "24 test images (unseen classes)", "Principal components (PCA)", "% of the variance", "Neighborhoods (t-SNE)", "ant", "bee", "cat", "dog",
		"Purity of clusters (k-means)", "that of all clusters is "+percent(r.Evidence.Map.Clustering.Purity.Value))
	if images := elements(maps, "image"); len(images) != 3*24 {
		t.Errorf("the maps show %d images, expected 24 each", len(images))
	}
	hardest := section(t, tree, "hardest")
	if pairs := elements(hardest, "li"); len(pairs) != 2*hardestPairs || len(elements(hardest, "img")) != 4*hardestPairs {
		t.Errorf("found %d of the hardest pairs with %d images", len(pairs), len(elements(hardest, "img")))
	}
	same, _ := r.Evidence.Verification.Hardest(1)
	worst := r.Evidence.Verification.Pairs[same[0]]
	expectWords(t, elements(hardest, "li")[0], "distance "+distance(r.Evidence.Verification.Distances[same[0]]),
		filepath.Base(r.Evidence.Verification.Images.Sources[worst.Left]), filepath.Base(r.Evidence.Verification.Images.Sources[worst.Right]))
	retrieval := section(t, tree, "retrieval")
	expectWords(t, retrieval, "For each of 24 query images", "Nearest of its class", "others")
	settings := section(t, tree, "settings")
	expectWords(t, settings, "seed = 1", "v1.2.3", "v0.9.18", "go1.26", "linux/amd64", "Fast One, 2 threads", "2025-01-02 03:04:05 UTC")
	if absent := withClass(tree, "absent"); len(absent) != 0 {
		t.Errorf("the page says that something is missing: %s", words(absent[0]))
	}
	if strings.Contains(words(tree), "somebody") {
		t.Error("the page discloses the folder of the images")
	}

	for _, name := range []string{"loss", "roc", "distances", "map-pca", "map-tsne", "map-clusters"} {
		file, err := os.Open(filepath.Join(folder, "plots", name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		img, err := png.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		colors := map[any]bool{} // an empty chart has one
		for x := range img.Bounds().Dx() {
			for y := 0; y < img.Bounds().Dy() && len(colors) < 10; y++ {
				colors[img.At(x, y)] = true
			}
		}
		if len(colors) < 10 || img.Bounds().Dx() != 1120 {
			t.Errorf("%s has %d colors and is %d pixels wide", name, len(colors), img.Bounds().Dx())
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("found %v in the folder, expected the page and plots", entries)
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

// Equal runs give equal pages and charts.
func TestPageIsDeterministic(t *testing.T) {
	first, text, _ := written(t, labeledPage(t, "ant", "bee", "cat"))
	second, again, _ := written(t, labeledPage(t, "ant", "bee", "cat"))
	if text != again {
		t.Error("two pages of one run differ")
	}
	for _, name := range []string{"map-pca.png", "map-tsne.png", "map-clusters.png"} {
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

// Listed pairs have no classes: the page shows the pairs and the maps, and states what
// is missing.
func TestPageOfListedPairs(t *testing.T) {
	images := patterns([]string{"x", "y", "z"}, 5, "listed")
	images.Labels, images.Classes = nil, nil
	list := &datasets.PairList{Dataset: images, Pairs: []datasets.Pair{
		{Left: 0, Right: 1}, {Left: 5, Right: 6}, {Left: 10, Right: 14}, {Left: 0, Right: 5, Different: true}, {Left: 6, Right: 14, Different: true},
	}}
	r := runOf(t, NewPairPlan(nil, list), newModelOf(t, pageSize, 1))
	_, _, tree := written(t, r)
	expectWords(t, section(t, tree, "verification"), "All 5 test pairs are those listed for testing", "no validation pairs to choose a threshold on")
	expectWords(t, section(t, tree, "maps"), "15 test images", "listed without classes, so all have one color")
	hardest := section(t, tree, "hardest")
	expectWords(t, hardest, "only the file names are given", "z/0.png")
	if pairs := elements(hardest, "li"); len(pairs) != 5 {
		t.Errorf("found %d pairs, expected 5", len(pairs))
	}
	expectWords(t, section(t, tree, "retrieval"), "pairs were listed without classes")
	for id, word := range map[string]string{"verification": "dashed line", "hardest": "classified"} {
		if text := words(section(t, tree, id)); strings.Contains(text, word) {
			t.Errorf("there is no threshold, but the page mentions one:\n%s", text)
		}
	}
}

// Without unseen classes the page states that its images are of training classes.
func TestPageWithoutUnseenClasses(t *testing.T) {
	known := []string{"a", "b", "c"}
	plan, err := NewPlan(datasets.Experiment{Train: patterns(known, 6, "train"), Seen: patterns(known, 5, "seen")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _, tree := written(t, runOf(t, plan, newModelOf(t, pageSize, 1)))
	expectWords(t, section(t, tree, "verification"), "of test images of the training classes")
	expectWords(t, section(t, tree, "maps"), "(test images of the training classes)")
}

// If nothing was measured, every section states it and there are no charts.
func TestEmptyPage(t *testing.T) {
	for name, r := range map[string]Page{
		"nothing":        {Title: "nothing"},
		"empty evidence": {Title: "nothing", Evidence: &Evidence{}},
	} {
		folder, _, tree := written(t, r)
		for _, id := range sections {
			if len(withClass(section(t, tree, id), "absent")) == 0 {
				t.Errorf("%s: section %s does not state that it is empty", name, id)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "plots")); err == nil || len(elements(tree, "svg")) > 0 {
			t.Errorf("%s: there are charts", name)
		}
	}
}

// A collapsed network has a page, too.
func TestPageOfCollapsedNetwork(t *testing.T) {
	collapsed := newModelOf(t, pageSize, 1)
	clear(collapsed.Weights.Get("linear1.weight").Value.Data().([]float32))
	plan, err := NewPlan(datasets.Experiment{Train: patterns([]string{"s", "t"}, 4, "train"), Unseen: patterns([]string{"u", "v", "w"}, 6, "unseen")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _, tree := written(t, runOf(t, plan, collapsed))
	expectWords(t, section(t, tree, "maps"), "first component, 0 % of the variance, width 0.000")
	expectWords(t, section(t, tree, "retrieval"), "For no query the 5 nearest are all of other classes.")
	expectWords(t, section(t, tree, "verification"), "trained, area 50.00 %")
}

// The page states that training ended early.
func TestStopped(t *testing.T) {
	r := Page{Title: "stopped", Report: Report{Stopped: "interrupted"}}
	_, _, tree := written(t, r)
	expectWords(t, tree, "Training ended early: interrupted.")
}

func TestWriteErrors(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, PageFile), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Page{}).Write(folder); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, PageFile)) {
		t.Errorf("found error %v, expected one that names the file", err)
	}
	r := labeledPage(t, "ant", "bee")
	r.Evidence.Map.Embeddings.Data[0] = float32(math.Inf(1))
	if err := r.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "map-pca: principal components: found an embedding with NaN or infinite values") {
		t.Errorf("found error %v, expected one that names the chart", err)
	}
}

func TestShortened(t *testing.T) {
	for _, test := range []struct{ source, class, want string }{
		{"/home/me/photos/cats/1.png", "cats", "1.png"},
		{"/home/me/photos/cats/1.png", "", "cats/1.png"},
		{"/home/me/photos/cats/1.png", "tabby", "cats/1.png"},
		{"train-images-idx3-ubyte.gz[17]", "7", "train-images-idx3-ubyte.gz[17]"},
		{"/1.png", "", "1.png"},
		{"", "", ""},
	} {
		if found := shortened(test.source, test.class); found != test.want {
			t.Errorf("%q of class %q: found %q, expected %q", test.source, test.class, found, test.want)
		}
	}
}

// A source is split where a line may break, and its parts make up the source.
func TestSourceParts(t *testing.T) {
	for source, want := range map[string][]string{
		"t10k-images-idx3-ubyte.gz[60]": {"t10k-images-idx3-ubyte.gz", "[60]"},
		"cats/IMG_1 (copy).png":         {"cats/", "IMG_", "1 ", "(copy).png"},
		"猫/一_二.png":                     {"猫/", "一_", "二.png"},
		"[1]":                           {"[1]"},
		"":                              {""},
	} {
		if diff := cmp.Diff(want, imageView{Source: source}.SourceParts()); diff != "" {
			t.Errorf("%q (-want +found):\n%s", source, diff)
		}
	}
}

// The hardest pairs are shown in order, with their classification.
func TestHardestPairIsShown(t *testing.T) {
	r := labeledPage(t, "ant", "bee", "cat")
	v := r.Evidence.Verification
	same, different := v.Hardest(hardestPairs)
	view := viewVerified(v)
	for _, kind := range []struct {
		pairs []int
		views []pairView
	}{{same, view.Same}, {different, view.Different}} {
		for i, pair := range kind.pairs {
			shown := kind.views[i]
			wrong := (v.Distances[pair] <= *v.Threshold) == v.Pairs[pair].Different
			if shown.Distance != distance(v.Distances[pair]) || shown.Wrong != wrong || shown.Left.Class != v.Images.Classes[v.Images.Labels[v.Pairs[pair].Left]] {
				t.Errorf("pair %d is shown as %+v", pair, shown)
			}
		}
	}
}

// loads lists the attributes by which a page loads, sends or executes something.
var loads = map[string]bool{
	"src": true, "srcset": true, "href": true, "xlink:href": true, "data": true, "poster": true, "background": true, "action": true,
	"formaction": true, "ping": true, "manifest": true, "codebase": true, "archive": true, "cite": true, "longdesc": true, "srcdoc": true,
}

// expectNoRequest checks that no element of a page can cause a request.
func expectNoRequest(t *testing.T, tree *html.Node) {
	t.Helper()
	for _, node := range elements(tree, "") {
		switch node.Data {
		case "script", "link", "iframe", "object", "embed", "base", "form", "audio", "video", "source", "foreignobject", "use":
			t.Errorf("the page has an element %s", node.Data)
		}
		for _, a := range node.Attr {
			key := a.Key
			if a.Namespace != "" {
				key = a.Namespace + ":" + key
			}
			inside := strings.HasPrefix(a.Val, "data:image/png;base64,") || node.Data == "a" && strings.HasPrefix(a.Val, "#")
			if loads[key] && !inside {
				t.Errorf("%s has %s=%.80q", node.Data, key, a.Val)
			}
			if strings.HasPrefix(key, "on") || key == "http-equiv" && a.Val != "Content-Security-Policy" {
				t.Errorf("%s has %s=%q", node.Data, key, a.Val)
			}
			if key == "style" && strings.Contains(a.Val, "url(") {
				t.Errorf("%s has the style %q", node.Data, a.Val)
			}
		}
		if node.Data == "style" && regexp.MustCompile(`url\(|@import`).MatchString(node.FirstChild.Data) {
			t.Errorf("the style sheet loads something:\n%s", node.FirstChild.Data)
		}
	}
}

// The page makes no request, and its policy forbids requests.
func TestPageMakesNoRequests(t *testing.T) {
	_, _, tree := written(t, labeledPage(t, "ant", "bee", "cat"))
	expectNoRequest(t, tree)
	policy := ""
	for _, meta := range elements(tree, "meta") {
		if attribute(meta, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(meta, "content")
		}
	}
	const want = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("found the policy %q, expected %q", policy, want)
	}
}

// Names with markup are escaped.
func TestNamesAreEscaped(t *testing.T) {
	const script, quotes = `<script>alert(1)</script>`, `"><img src=x onerror=alert(2)> '`
	r := labeledPage(t, script, quotes, "</svg></style><b>bold", "plain\nname")
	r.Title, r.Validated, r.Config = script, script, "data = '"+script+"'\n</pre>"+script
	r.Report.Protocol += "; " + script
	r.Report.Stopped, r.Report.MadeWith.Processor = script, script
	for i := range r.Evidence.Verification.Images.Sources {
		r.Evidence.Verification.Images.Sources[i] = quotes
	}
	_, text, tree := written(t, r)
	expectNoRequest(t, tree)
	if strings.Contains(strings.ToLower(text), "<script") {
		t.Error("the page has a script")
	}
	if found := elements(tree, "img"); len(found) == 0 || attribute(found[0], "onerror") != "" {
		t.Errorf("found %d images, and the first has %v", len(found), found[0].Attr)
	}
	for _, node := range elements(tree, "b") {
		if words(node) == "bold" {
			t.Error("found an element made of the name of a class")
		}
	}
	shown := 0 // occurrences within charts
	for _, node := range elements(tree, "text") {
		if words(node) == script {
			shown++
		}
	}
	if shown != 2 {
		t.Errorf("found the class in %d legends, expected 2", shown)
	}
	expectWords(t, section(t, tree, "settings"), "data = '"+script+"'", "</pre>"+script)
	expectWords(t, section(t, tree, "hardest"), script)
}
