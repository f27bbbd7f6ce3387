package adapt_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

var ctx = context.Background()

func cosine(t testing.TB) evaluate.Metric {
	t.Helper()
	distance, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	return distance
}

// embedded are embeddings of classes with random means: feature j varies within classes by
// the standard deviation deviations[j].
func embedded(classes, each int, deviations []float64, seed uint64) evaluate.Labeled {
	r := random.New(seed, "embedded")
	set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: classes * each, Columns: len(deviations)}}
	for class := range classes {
		mean := make([]float64, len(deviations))
		for j := range mean {
			mean[j] = r.NormFloat64()
		}
		for range each {
			for j, m := range mean {
				set.Data = append(set.Data, float32(m+deviations[j]*r.NormFloat64()))
			}
			set.Labels = append(set.Labels, 10*class) // any integers are labels
		}
	}
	return set
}

// Of sixteen features four are mostly noise.
func fewNoisy() []float64 {
	deviations := make([]float64, 16)
	for j := range deviations {
		deviations[j] = 0.5
		if j < 4 {
			deviations[j] = 4
		}
	}
	return deviations
}

func mapAtR(t *testing.T, set evaluate.Labeled) float64 {
	t.Helper()
	found, err := evaluate.Retrieve(cosine(t), set)
	if err != nil {
		t.Fatal(err)
	}
	return found.MAPAtR.Value
}

// Whitening is chosen where some features are noise, and classes that Fit has not seen gain
// about as much as the held-out classes promise. The threshold separates their pairs.
func TestFit(t *testing.T) {
	known, unseen := embedded(30, 10, fewNoisy(), 1), embedded(30, 10, fewNoisy(), 2)
	a, err := adapt.Fit(ctx, cosine(t), known, adapt.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a.Chosen.Method == adapt.Frozen || a.Chosen.Shrinkage >= 3 {
		t.Fatalf("found %v, expected a whitening of little shrinkage", a.Chosen)
	}
	if a.Candidates[0].Method != adapt.Frozen || a.Classes != 30 || a.Images != 300 || a.HeldOut != 300 {
		t.Errorf("found %+v, expected 300 images of 30 classes, all held out once, and the frozen embeddings first", a)
	}
	adapted := evaluate.Labeled{Labels: unseen.Labels}
	if adapted.Embeddings, err = a.Apply(unseen.Embeddings); err != nil {
		t.Fatal(err)
	}
	gain := mapAtR(t, adapted) - mapAtR(t, unseen)
	if promised := a.Chosen.Gain; !(promised.Low > 0.1) || math.Abs(gain-promised.Value) > 0.15 {
		t.Errorf("unseen classes gain %v, held-out ones %v, expected more than 0.1 and nearly as much", gain, promised)
	}
	summary, err := evaluate.Summarize(cosine(t), adapted, evaluate.SummaryOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	best := summary.Verification.AccuracyAt(summary.Verification.BestThreshold()).Value
	if found := summary.Verification.AccuracyAt(a.Threshold).Value; found < best-0.02 {
		t.Errorf("found an accuracy of %v at the threshold %v, expected nearly the best, %v", found, a.Threshold, best)
	}
}

// Fewer features keep the directions in which classes differ in proportion to their own
// variation: with as many noisy features as before left out, little is lost.
func TestFeatures(t *testing.T) {
	known, unseen := embedded(30, 10, fewNoisy(), 1), embedded(30, 10, fewNoisy(), 2)
	a, err := adapt.Fit(ctx, cosine(t), known, adapt.Options{Features: 12, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	adapted := evaluate.Labeled{Labels: unseen.Labels}
	if adapted.Embeddings, err = a.Apply(unseen.Embeddings); err != nil {
		t.Fatal(err)
	}
	if adapted.Columns != 12 || a.Chosen.Features != 12 {
		t.Fatalf("found %d features, and %d in %v, expected 12", adapted.Columns, a.Chosen.Features, a.Chosen)
	}
	if before, after := mapAtR(t, unseen), mapAtR(t, adapted); after < before+0.1 {
		t.Errorf("found a MAP@R of %v, expected more than 0.1 above %v", after, before)
	}
}

// Embeddings that vary equally in all directions stay frozen, and so do those of classes
// whose images are equal.
func TestFrozen(t *testing.T) {
	equal := make([]float64, 16)
	for j := range equal {
		equal[j] = 1
	}
	for name, set := range map[string]evaluate.Labeled{"isotropic": embedded(30, 10, equal, 1), "equal images": embedded(12, 3, make([]float64, 4), 1)} {
		a, err := adapt.Fit(ctx, cosine(t), set, adapt.Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if a.Chosen.Method != adapt.Frozen {
			t.Errorf("%s: found %v of %v, expected frozen embeddings", name, a.Chosen, a.Candidates)
		}
		same, err := a.Apply(set.Embeddings)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set.Embeddings, same); diff != "" {
			t.Errorf("%s: frozen embeddings have changed: %s", name, diff)
		}
	}
}

// The result has the same bits with any number of threads, and depends on the seed.
func TestDeterminism(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	set := embedded(20, 6, fewNoisy(), 3)
	results := map[string]bool{}
	fit := func(threads int, seed uint64) string {
		graph.SetThreads(threads)
		a, err := adapt.Fit(ctx, cosine(t), set, adapt.Options{Features: 8, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		adapted, err := a.Apply(set.Embeddings)
		if err != nil {
			t.Fatal(err)
		}
		a.Seconds = 0
		var text strings.Builder
		for _, c := range a.Candidates {
			text.WriteString(c.String() + c.MAPAtR.String())
		}
		for _, v := range adapted.Data {
			text.WriteString(strconv.FormatUint(uint64(math.Float32bits(v)), 16))
		}
		return text.String() + strconv.FormatFloat(a.Threshold, 'g', -1, 64)
	}
	for _, threads := range []int{1, 2, 5} {
		results[fit(threads, 1)] = true
	}
	if len(results) != 1 {
		t.Errorf("found %d results of 1, 2 and 5 threads, expected one", len(results))
	}
	if results[fit(2, 2)] {
		t.Error("the result does not depend on the seed")
	}
}

func TestFitRefuses(t *testing.T) {
	sound := embedded(8, 3, []float64{1, 1}, 1)
	few := embedded(5, 3, []float64{1, 1}, 1)
	single := embedded(20, 1, []float64{1, 1}, 1)
	broken := embedded(8, 3, []float64{1, 1}, 1)
	broken.Data[7] = float32(math.NaN())
	unlabeled := evaluate.Labeled{Embeddings: sound.Embeddings, Labels: sound.Labels[1:]}
	ended, end := context.WithCancel(ctx)
	end()
	for _, test := range []struct {
		ctx     context.Context
		set     evaluate.Labeled
		options adapt.Options
		text    string
		is      error
	}{
		{ctx, few, adapt.Options{}, "found 5 classes of two or more images among 5 classes, expected at least 6", adapt.ErrTooFew},
		{ctx, single, adapt.Options{}, "found 0 classes of two or more images among 20 classes", adapt.ErrTooFew},
		{ctx, broken, adapt.Options{}, "embedding 3: found NaN in column 1", nil},
		{ctx, unlabeled, adapt.Options{}, "found 23 labels of 24 embeddings", nil},
		{ctx, evaluate.Labeled{}, adapt.Options{}, "found embeddings of 0 rows", nil},
		{ctx, sound, adapt.Options{Features: 3}, "found 3 features, expected 1 to 2", nil},
		{ctx, sound, adapt.Options{Features: -1}, "found -1 features", nil},
		{ended, sound, adapt.Options{}, "context canceled", context.Canceled},
	} {
		_, err := adapt.Fit(test.ctx, cosine(t), test.set, test.options)
		if err == nil || !strings.Contains(err.Error(), test.text) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("found %v, expected an error with %q", err, test.text)
		}
	}
	a, err := adapt.Fit(ctx, cosine(t), sound, adapt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Apply(embedded(1, 2, []float64{1}, 1).Embeddings); err == nil || !strings.Contains(err.Error(), "expected 2 columns") {
		t.Errorf("found %v, expected an error about columns", err)
	}
}

// tiny is an untrained model of the images of testutil.Bars.
func tiny(t testing.TB, half bool) *likeness.Model {
	t.Helper()
	network, err := backbone.Parse(testutil.TinyNetwork, "tiny.toml")
	if err != nil {
		t.Fatal(err)
	}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if half {
		if err := model.RoundToHalf(); err != nil {
			t.Fatal(err)
		}
	}
	return model
}

// A folder of images gives a model that is saved and loaded, embeds as the adaptation says,
// and stores its weights as the given model does. With fewer features it is always adapted.
func TestFolder(t *testing.T) {
	folder := t.TempDir()
	testutil.Bars(t, folder, 6, 5)
	testutil.Write(t, filepath.Join(folder, "bar0", "notes.txt"), "no image")
	for _, half := range []bool{false, true} {
		model := tiny(t, half)
		done := 0
		adapted, a, err := adapt.Folder(ctx, model, folder, adapt.Options{Features: 3, Seed: 1, OnProgress: func(images, _ int) { done = images }})
		if err != nil {
			t.Fatal(err)
		}
		if done != 30 || a.Images != 30 || a.Classes != 6 {
			t.Errorf("found progress to %d, %d images and %d classes, expected 30, 30 and 6", done, a.Images, a.Classes)
		}
		path := filepath.Join(t.TempDir(), "adapted.safetensors")
		if err := adapted.Save(path); err != nil {
			t.Fatal(err)
		}
		loaded, err := likeness.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.HalfPrecision != half || loaded.Head.Name() != "cosine" || loaded.Threshold == nil || *loaded.Threshold != a.Threshold {
			t.Errorf("found half precision %v, head %s and threshold %v, expected %v, cosine and %v", loaded.HalfPrecision, loaded.Head.Name(), loaded.Threshold, half, a.Threshold)
		}
		img, err := imaging.DecodeFile(filepath.Join(folder, "bar1", "2.png"))
		if err != nil {
			t.Fatal(err)
		}
		before, err := model.Embed(img)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := evaluate.FromRows(before)
		if err != nil {
			t.Fatal(err)
		}
		want, err := a.Apply(rows)
		if err != nil {
			t.Fatal(err)
		}
		found, err := loaded.Embed(img)
		if err != nil {
			t.Fatal(err)
		}
		if len(found[0]) != 3 {
			t.Fatalf("found %d features, expected 3", len(found[0]))
		}
		for j, v := range found[0] {
			if math.Abs(float64(v-want.Data[j])) > 1e-5*(1+math.Abs(float64(v))) {
				t.Errorf("half precision %v: feature %d: found %v, expected %v", half, j, v, want.Data[j])
			}
		}
		if model.Threshold != nil || len(before[0]) != 4 {
			t.Error("the given model has changed")
		}
	}
}

// A frozen adaptation keeps the network and the distance, and sets the threshold.
func TestFrozenModel(t *testing.T) {
	model := tiny(t, false)
	a, err := adapt.Fit(ctx, cosine(t), embedded(12, 3, make([]float64, 4), 1), adapt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	same, err := a.Model(model)
	if err != nil {
		t.Fatal(err)
	}
	was, err := model.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if is, err := same.Identity(); err != nil || is != was {
		t.Errorf("found %v (%v), expected %v", is, err, was)
	}
	if same.Threshold == nil || *same.Threshold != a.Threshold {
		t.Errorf("found the threshold %v, expected %v", same.Threshold, a.Threshold)
	}
}

// own is a backbone that is no list of blocks.
type own struct{ backbone.Network }

func (o own) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	return o.Network.Embed(b, images)
}

func TestFolderRefuses(t *testing.T) {
	model := tiny(t, false)
	other := tiny(t, false)
	other.Backbone = own{other.Backbone.(backbone.Network)}
	for _, test := range []struct {
		name  string
		model *likeness.Model
		make  func(folder string)
		text  string
	}{
		{"few", model, func(folder string) { testutil.Bars(t, folder, 3, 2) }, "found 3 folders of two or more images among 3 folders, expected at least 6"},
		{"single images", model, func(folder string) { testutil.Bars(t, folder, 6, 1) }, "found 0 folders of two or more images among 6"},
		{"image outside", model, func(folder string) {
			testutil.Bars(t, folder, 6, 2)
			testutil.Write(t, filepath.Join(folder, "stray.png"), testutil.Bar(t, 1, 1, 12))
		}, "stray.png in the folder itself"},
		{"parts", model, func(folder string) {
			testutil.Bars(t, filepath.Join(folder, "train"), 6, 2)
			testutil.Bars(t, filepath.Join(folder, "test"), 6, 2)
		}, "found folders train and test"},
		{"broken", model, func(folder string) {
			testutil.Bars(t, folder, 6, 2)
			testutil.Write(t, filepath.Join(folder, "bar3", "broken.png"), "no image")
		}, "broken.png"},
		{"empty", model, func(string) {}, "contains no images"},
		{"own backbone", other, func(folder string) { testutil.Bars(t, folder, 6, 2) }, "expected a backbone.Network"},
		{"nil", nil, func(folder string) { testutil.Bars(t, folder, 6, 2) }, "found a model that is nil"},
	} {
		folder := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		test.make(folder)
		if _, _, err := adapt.Folder(ctx, test.model, folder, adapt.Options{}); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: found %v, expected an error with %q", test.name, err, test.text)
		}
		if test.name != "broken" {
			continue
		}
		_, a, err := adapt.Folder(ctx, test.model, folder, adapt.Options{SkipBroken: true})
		if err != nil || len(a.Skipped) != 1 || !strings.Contains(a.Skipped[0], "broken.png") {
			t.Errorf("found %v, skipping %v, expected broken.png to be skipped", err, a)
		}
	}
	a, err := adapt.Fit(ctx, cosine(t), embedded(8, 3, []float64{1, 1}, 1), adapt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Model(model); err == nil || !strings.Contains(err.Error(), "found a model of 4 features, expected 2") {
		t.Errorf("found %v, expected an error about features", err)
	}
}

// An adaptation that is fitted again to the same embeddings is the same, and to others it is the
// chosen one of theirs, with the threshold and the figures of the first.
func TestRefit(t *testing.T) {
	set := embedded(12, 10, fewNoisy(), 1)
	first, err := adapt.Fit(t.Context(), cosine(t), set, adapt.Options{NoHead: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if first.Chosen.Method != adapt.Whitened {
		t.Fatalf("found %v, expected embeddings for which whitening is chosen", first.Chosen)
	}
	apply := func(a *adapt.Adaptation) []float32 {
		t.Helper()
		adapted, err := a.Apply(set.Embeddings)
		if err != nil {
			t.Fatal(err)
		}
		return adapted.Data
	}
	same, err := first.Refit(t.Context(), set)
	if err != nil || !slices.Equal(apply(first), apply(same)) {
		t.Errorf("on the same embeddings: found another adaptation, %v", err)
	}
	more := embedded(20, 10, fewNoisy(), 2)
	again, err := first.Refit(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	if again.Chosen != first.Chosen || again.Threshold != first.Threshold || again.Classes != 20 || again.Images != 200 || slices.Equal(apply(first), apply(again)) {
		t.Errorf("found %v of %d images of %d classes with the threshold %v, expected %v of 200 of 20 with %v and other layers", again.Chosen, again.Images, again.Classes, again.Threshold, first.Chosen, first.Threshold)
	}
	if _, err := first.Refit(t.Context(), embedded(3, 10, fewNoisy(), 2)); !errors.Is(err, adapt.ErrTooFew) {
		t.Errorf("three classes: found %v", err)
	}
	if _, err := first.Refit(t.Context(), embedded(12, 10, []float64{1, 1}, 2)); err == nil || !strings.Contains(err.Error(), "expected 16") {
		t.Errorf("other embeddings: found %v", err)
	}
}
