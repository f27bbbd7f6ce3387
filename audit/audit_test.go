package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"image/png"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/audit"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"gonum.org/v1/gonum/mat"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

func distance(head heads.Head) evaluate.Metric {
	d, err := head.Distance(nil)
	if err != nil {
		log.Fatal(err)
	}
	return d
}

// clouds has images of classes around centers in features dimensions. Every tenth image has
// the label of the next class; wrong has their rows.
func clouds(classes, each, features int, spread float64) (set evaluate.Labeled, wrong map[int]bool) {
	set = evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: classes * each, Columns: features}}
	wrong = map[int]bool{}
	for row := range set.Rows {
		class := row % classes
		center, noise := random.New(1, "center", class), random.New(1, "image", row)
		for range features {
			set.Data = append(set.Data, float32(center.NormFloat64()+spread*noise.NormFloat64()))
		}
		if row/classes%10 == 9 {
			wrong[row] = true
			class = (class + 1) % classes
		}
		set.Labels = append(set.Labels, class)
	}
	return set, wrong
}

// Labels that were exchanged are the most suspicious ones.
func ExampleEmbeddings() {
	set, _ := clouds(5, 20, 8, 0.3)
	result, err := audit.Embeddings(context.Background(), distance(heads.Cosine{}), set, audit.Options{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Issues, "label errors")
	first := result.Labels[0]
	fmt.Printf("row %d is labeled %d, suggested %d\n", first.Row, first.Label, first.Suggested)
	// Output:
	// 10 label errors
	// row 47 is labeled 3, suggested 2
}

// All exchanged labels come before all others, their own classes are suggested, and most of them and
// no others are counted as errors.
func TestLabels(t *testing.T) {
	for _, head := range []heads.Head{heads.Cosine{}, heads.L2{}} {
		set, wrong := clouds(6, 30, 10, 0.4)
		r, err := audit.Embeddings(t.Context(), distance(head), set, audit.Options{Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Labels) != set.Rows || len(r.Outliers) != set.Rows || r.Issues < 15 || r.Issues > len(wrong) || r.Folds != 5 || r.Neighbors != 10 {
			t.Errorf("%s: found %d labels, %d outliers and %d issues, expected %d of %d images", head.Name(), len(r.Labels), len(r.Outliers), r.Issues, len(wrong), set.Rows)
		}
		if want := 1 - float64(len(wrong))/float64(set.Rows); math.Abs(r.Agreement-want) > 1e-12 {
			t.Errorf("%s: found the agreement %v, expected %v", head.Name(), r.Agreement, want)
		}
		for i, f := range r.Labels {
			if wrong[f.Row] != (i < len(wrong)) || f.Issue && !wrong[f.Row] || f.Label != set.Labels[f.Row] {
				t.Errorf("%s: place %d has %+v", head.Name(), i, f)
			}
			if wrong[f.Row] && f.Suggested != f.Row%6 {
				t.Errorf("%s: the suggestion is %d, expected %d", head.Name(), f.Suggested, f.Row%6)
			}
			other := f.Confidence - f.Margin
			if f.Confidence < 0 || other < 0 || f.Confidence+other > 1+1e-9 || math.Abs(f.Score-f.Confidence/(f.Confidence+other)) > 1e-9 {
				t.Errorf("%s: found %+v", head.Name(), f)
			}
		}
		if issued := r.Issued(3); len(issued) != 3 || issued[0] != r.Labels[0] || len(r.Issued(1000)) != r.Issues {
			t.Errorf("%s: found %+v", head.Name(), issued)
		}
	}
}

// The probabilities are those of the equations, computed naively for one image.
func TestProbabilitiesByHand(t *testing.T) {
	const classes, each, features = 3, 8, 2
	set, _ := clouds(classes, each, features, 0.8)
	r, err := audit.Embeddings(t.Context(), distance(heads.L2{}), set, audit.Options{Folds: each, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	// With as many folds as images of a class, each fold has one of each or, of the larger classes
	// with exchanged labels, none or one: which fold is not known, so the images of a class
	// are tried, and one choice must give the probabilities.
	members := make([][]int, classes)
	for row, label := range set.Labels {
		members[label] = append(members[label], row)
	}
	for _, f := range r.Labels[:5] {
		var closest float64 = 1
		choices := [classes][]int{}
		for class := range classes {
			choices[class] = append(slices.Clone(members[class]), -1)
			if class == f.Label {
				choices[class] = []int{f.Row}
			}
		}
		for _, a := range choices[0] {
			for _, b := range choices[1] {
				for _, c := range choices[2] {
					p := probabilities(set, []int{a, b, c}, f.Row, r.Shrinkage, r.Temperature)
					largest := 0.0
					for class := range p {
						if class != f.Label {
							largest = max(largest, p[class])
						}
					}
					closest = min(closest, math.Abs(p[f.Label]-f.Confidence)+math.Abs(p[f.Label]-largest-f.Margin))
				}
			}
		}
		if closest > 1e-9 {
			t.Errorf("row %d: the probabilities differ by %v from those by hand", f.Row, closest)
		}
	}
}

// probabilities are those of the classes of a row by the rows that are not held out.
func probabilities(set evaluate.Labeled, held []int, row int, strength, temperature float64) []float64 {
	classes, features := 3, set.Columns
	means, counts := mat.NewDense(classes, features, nil), make([]float64, classes)
	each := func(visit func(class int, x *mat.VecDense)) {
		for i, label := range set.Labels {
			if slices.Contains(held, i) {
				continue
			}
			x := mat.NewVecDense(features, nil)
			for j, v := range set.Row(i) {
				x.SetVec(j, float64(v))
			}
			visit(label, x)
		}
	}
	var total float64
	each(func(class int, x *mat.VecDense) {
		counts[class]++
		total++
		for j := range features {
			means.Set(class, j, means.At(class, j)+x.AtVec(j))
		}
	})
	for class := range classes {
		for j := range features {
			means.Set(class, j, means.At(class, j)/counts[class])
		}
	}
	covariance := mat.NewDense(features, features, nil)
	each(func(class int, x *mat.VecDense) {
		x.SubVec(x, means.RowView(class))
		covariance.RankOne(covariance, 1/total, x, x)
	})
	scale := strength * mat.Trace(covariance) / float64(features)
	for j := range features {
		covariance.Set(j, j, covariance.At(j, j)+scale)
	}
	var inverse mat.Dense
	if err := inverse.Inverse(covariance); err != nil {
		log.Fatal(err)
	}
	x := mat.NewVecDense(features, nil)
	for j, v := range set.Row(row) {
		x.SetVec(j, float64(v))
	}
	p, sum := make([]float64, classes), 0.0
	for class := range p {
		difference := mat.NewVecDense(features, nil)
		difference.SubVec(x, means.RowView(class))
		score := math.Log(counts[class]/total) - mat.Inner(difference, &inverse, difference)/2 // which differs by a constant
		p[class] = math.Exp(score / temperature)
		sum += p[class]
	}
	for class := range p {
		p[class] /= sum
	}
	return p
}

// The outlier score is the mean distance to the nearest others, here of a line.
func TestOutliers(t *testing.T) {
	set := evaluate.Labeled{
		Embeddings: evaluate.Embeddings{Rows: 7, Columns: 1, Data: []float32{0, 1, 2, 10, 11, 13, 40}},
		Labels:     []int{0, 0, 0, 1, 1, 1, 5},
	}
	r, err := audit.Embeddings(t.Context(), distance(heads.L2{}), set, audit.Options{Neighbors: 2})
	if err != nil {
		t.Fatal(err)
	}
	var rows []int
	var scores []float64
	for _, f := range r.Outliers {
		rows, scores = append(rows, f.Row), append(scores, f.Outlier)
	}
	if diff := cmp.Diff([]int{6, 5, 3, 0, 2, 4, 1}, rows); diff != "" {
		t.Errorf("rows (-want +found):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{28, 2.5, 2, 1.5, 1.5, 1.5, 1}, scores, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("scores (-want +found):\n%s", diff)
	}
	// The only image of a class has no label to check.
	if single := r.Outliers[0]; single.Score != 1 || single.Suggested != 5 || single.Issue || len(r.Labels) != 6 {
		t.Errorf("found %+v and %d labels", single, len(r.Labels))
	}
}

// Embeddings that are all equal, equal in each class, and of few images are no errors.
func TestDegenerateEmbeddings(t *testing.T) {
	for name, data := range map[string][]float32{
		"all equal": {3, 3, 3, 3, 3, 3, 3, 3}, "zero": make([]float32, 8), "classes equal": {1, 0, 1, 0, 0, 1, 0, 1},
	} {
		set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: 4, Columns: 2, Data: data}, Labels: []int{1, 1, 2, 2}}
		for _, head := range []heads.Head{heads.Cosine{}, heads.L2{}} {
			r, err := audit.Embeddings(t.Context(), distance(head), set, audit.Options{})
			if err != nil {
				t.Errorf("%s, %s: %v", name, head.Name(), err)
				continue
			}
			for _, f := range r.Outliers {
				if math.IsNaN(f.Score) || math.IsNaN(f.Confidence) || math.IsNaN(f.Outlier) {
					t.Errorf("%s, %s: found %+v", name, head.Name(), f)
				}
			}
			if name == "classes equal" && (r.Issues != 0 || r.Agreement != 1) {
				t.Errorf("%s, %s: found %d issues and the agreement %v", name, head.Name(), r.Issues, r.Agreement)
			}
		}
	}
}

// One seed has the same bits on any number of threads, and another seed other folds.
func TestDeterminism(t *testing.T) {
	set, _ := clouds(5, 60, 20, 1.5)
	of := func(seed uint64) []audit.Finding {
		r, err := audit.Embeddings(t.Context(), distance(heads.Cosine{}), set, audit.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return append(r.Labels, r.Outliers...)
	}
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	one := of(1)
	parallel.SetThreads(7)
	if !slices.Equal(one, of(1)) {
		t.Error("the result depends on the number of threads")
	}
	if slices.Equal(one, of(2)) {
		t.Error("the result does not depend on the seed")
	}
}

func TestEmbeddingsRefuses(t *testing.T) {
	set, _ := clouds(3, 5, 4, 1)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	single := set
	single.Labels = make([]int, set.Rows)
	unequal := set
	unequal.Labels = set.Labels[1:]
	broken := evaluate.Labeled{Embeddings: set.Select([]int{0, 1, 2, 3, 4, 5}), Labels: []int{0, 1, 2, 0, 1, 2}}
	broken.Data[3] = float32(math.NaN())
	shape := set
	shape.Columns = 5
	l2 := distance(heads.L2{})
	for want, call := range map[string]func() (*audit.Result, error){
		"found no context or no metric": func() (*audit.Result, error) { return audit.Embeddings(t.Context(), nil, set, audit.Options{}) },
		"found 1 folds, expected at least 2": func() (*audit.Result, error) {
			return audit.Embeddings(t.Context(), l2, set, audit.Options{Folds: 1})
		},
		"found -1 neighbors": func() (*audit.Result, error) {
			return audit.Embeddings(t.Context(), l2, set, audit.Options{Neighbors: -1})
		},
		"found 1 classes of two images or more among 1, expected at least 2": func() (*audit.Result, error) {
			return audit.Embeddings(t.Context(), l2, single, audit.Options{})
		},
		"found 14 labels of 15 embeddings":       func() (*audit.Result, error) { return audit.Embeddings(t.Context(), l2, unequal, audit.Options{}) },
		"embedding 0 is NaN in column 3":         func() (*audit.Result, error) { return audit.Embeddings(t.Context(), l2, broken, audit.Options{}) },
		"embeddings of 15 rows and 5 columns ha": func() (*audit.Result, error) { return audit.Embeddings(t.Context(), l2, shape, audit.Options{}) },
		"context canceled":                       func() (*audit.Result, error) { return audit.Embeddings(canceled, l2, set, audit.Options{}) },
	} {
		if r, err := call(); r != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
}

func tiny(t *testing.T) *likeness.Model {
	t.Helper()
	network, err := backbone.Parse(testutil.TinyNetwork, "tiny.toml")
	if err != nil {
		t.Fatal(err)
	}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// The files of a folder are written to the tables, the most suspicious first, and shown on the
// sheet.
func TestFolder(t *testing.T) {
	testutil.InFolder(t)
	testutil.Bars(t, "photos", 3, 8)
	done := 0
	r, err := audit.Folder(t.Context(), tiny(t), "photos", audit.Options{Seed: 1, OnProgress: func(n, total int) { done = n }})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Files) != 24 || len(r.Classes) != 3 || done != 24 {
		t.Errorf("found %d files, %d classes and %d images done", len(r.Files), len(r.Classes), done)
	}
	for _, f := range r.Labels {
		if folder := filepath.Base(filepath.Dir(r.File(f))); folder != r.Class(f.Label) {
			t.Errorf("%s has the label %s", r.File(f), r.Class(f.Label))
		}
	}
	if err := os.Mkdir("out", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := r.Write("out", 5); err != nil {
		t.Fatal(err)
	}
	for name, findings := range map[string][]audit.Finding{audit.LabelsFile: r.Labels, audit.OutliersFile: r.Outliers} {
		rows, err := csv.NewReader(strings.NewReader(testutil.Read(t, "out", name))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(rows[0], ",") != "file,label,suggested,score,confidence,margin,issue,outlier" || len(rows) != 25 {
			t.Fatalf("%s has the header %q and %d rows", name, rows[0], len(rows))
		}
		for i, f := range findings {
			if row := rows[i+1]; row[0] != r.File(f) || row[1] != r.Class(f.Label) || row[2] != r.Class(f.Suggested) || row[6] != fmt.Sprint(f.Issue) || row[3] != fmt.Sprintf("%.6g", f.Score) || row[7] != fmt.Sprintf("%.6g", f.Outlier) {
				t.Errorf("%s, row %d: found %q of %+v", name, i+1, row, f)
			}
		}
	}
	sheet, err := png.Decode(strings.NewReader(testutil.Read(t, "out", audit.SheetFile)))
	if err != nil {
		t.Fatal(err)
	}
	if sheet.Bounds().Dx() != 12+5*(160+12) { // five outliers in a line
		t.Errorf("the sheet is %v", sheet.Bounds())
	}
	for want, err := range map[string]error{
		"found 0 images of each kind, expected 1 to 500": r.WriteSheet("sheet.png", 0),
		"found no files, expected the result of Folder":  new(audit.Result).WriteSheet("sheet.png", 1),
		"found a result that is nil":                     (*audit.Result)(nil).Write("out", 1),
		"found no writer":                                r.WriteLabels(nil),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
	var table bytes.Buffer
	set, _ := clouds(2, 10, 3, 1)
	if r, err = audit.Embeddings(t.Context(), distance(heads.L2{}), set, audit.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteOutliers(&table); err != nil || !strings.Contains(table.String(), fmt.Sprintf("\nrow %d,%d,", r.Outliers[0].Row, r.Outliers[0].Label)) {
		t.Errorf("found error %v and the table\n%s", err, table.String())
	}
}

func TestFolderRefuses(t *testing.T) {
	testutil.InFolder(t)
	testutil.Bars(t, "photos", 2, 3)
	testutil.Bars(t, "single", 2, 1)
	testutil.Write(t, filepath.Join("broken", "a", "1.png"), "no image")
	for _, name := range []string{"a/2.png", "b/1.png", "b/2.png"} {
		testutil.Write(t, filepath.Join("broken", filepath.FromSlash(name)), testutil.Bar(t, 1, 1, 12))
	}
	model := tiny(t)
	for want, call := range map[string]func() (*audit.Result, error){
		"the model is nil": func() (*audit.Result, error) { return audit.Folder(t.Context(), nil, "photos", audit.Options{}) },
		"no such file":     func() (*audit.Result, error) { return audit.Folder(t.Context(), model, "nowhere", audit.Options{}) },
		"found 0 folders of two images or more among 2, expected at least 2": func() (*audit.Result, error) {
			return audit.Folder(t.Context(), model, "single", audit.Options{})
		},
		filepath.Join("broken", "a", "1.png"): func() (*audit.Result, error) { return audit.Folder(t.Context(), model, "broken", audit.Options{}) },
		"found 1 folds": func() (*audit.Result, error) {
			return audit.Folder(t.Context(), model, "photos", audit.Options{Folds: 1})
		},
	} {
		if r, err := call(); r != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
	// Of the two classes that are left, one has a single image.
	r, err := audit.Folder(t.Context(), model, "broken", audit.Options{SkipBroken: true})
	if err == nil || !strings.Contains(err.Error(), "found 1 classes of two images") {
		t.Errorf("found %v, %v", r, err)
	}
}
