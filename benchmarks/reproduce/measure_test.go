package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// shades is a dataset of two groups of classes whose images are one pixel: class
// k of a group is 10·k, and each image of it a little more.
func shades(classes, images int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "shades", Size: imaging.Size{Height: 1, Width: 1, Channels: 1}}
	for group := range 2 {
		for class := range classes {
			d.Classes = append(d.Classes, fmt.Sprintf("%c/%d", 'A'+group, class))
			for image := range images {
				d.Images = append(d.Images, []uint8{uint8(10*class + image)})
				d.Labels = append(d.Labels, len(d.Classes)-1)
			}
		}
	}
	return d
}

// byShade distinguishes the classes of one group, but not the groups.
var byShade = contender{rawPixels.embed, distanceOf(heads.L1{})}

func value(t *testing.T, m measurement, c contender) float64 {
	t.Helper()
	measure, err := m(c)
	if err != nil {
		t.Fatal(err)
	}
	return measure.Value
}

func TestLake(t *testing.T) {
	runs := []datasets.OneShotRun{
		{Name: "run01", Training: [][]uint8{{0}, {100}}, Test: [][]uint8{{90}, {10}}, Answers: []int{1, 0}},
		{Name: "run02", Training: [][]uint8{{0}, {100}}, Test: [][]uint8{{90}, {10}}, Answers: []int{1, 1}}, // the second is wrong
	}
	if got := value(t, lake(runs, imaging.Size{Height: 1, Width: 1, Channels: 1}), byShade); got != 0.75 {
		t.Errorf("found %v, expected 0.75", got)
	}
}

// Shades distinguish all classes of one group, but not classes of different groups.
func TestEpisodes(t *testing.T) {
	d := shades(5, 4)
	for _, test := range []struct {
		way, shot   int
		within      bool
		least, most float64
	}{{5, 1, true, 1, 1}, {5, 2, true, 1, 1}, {10, 1, false, 0.3, 0.7}} {
		m, err := episodes(d, test.way, test.shot, 2, 50, test.within)
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, m, byShade); got < test.least || got > test.most {
			t.Errorf("%+v: found %v", test, got)
		}
	}
	if _, err := episodes(d, 6, 1, 1, 10, true); err == nil {
		t.Error("6 ways of groups of 5: no error")
	}
}

func TestPairsOf(t *testing.T) {
	d := shades(5, 4)
	for _, within := range []bool{false, true} {
		pairs, err := pairsOf(d, 100, within)
		if err != nil {
			t.Fatal(err)
		}
		different, apart := 0, 0
		for _, pair := range pairs {
			if pair.Different {
				different++
			}
			if datasets.GroupOf(d.Classes[d.Labels[pair.Left]]) != datasets.GroupOf(d.Classes[d.Labels[pair.Right]]) {
				apart++
			}
		}
		if len(pairs) != 100 || different != 50 {
			t.Errorf("within %v: found %d pairs, %d of them different", within, len(pairs), different)
		}
		if (apart == 0) != within {
			t.Errorf("within %v: found %d pairs of two groups", within, apart)
		}
	}
}

// A threshold from one data set is applied to another.
func TestVerify(t *testing.T) {
	d := shades(5, 4)
	pairs, err := pairsOf(d, 200, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, verify(d, d, pairs, pairs), byShade); got != 1 {
		t.Errorf("found %v, expected 1", got)
	}
}

func TestRowsOnDisk(t *testing.T) {
	folder := t.TempDir()
	for i := range 3 {
		if err := appendRows(folder, []Row{{Protocol: "p", Views: 1, Seed: uint64(i), Figure: float64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := readRows(folder)
	if err != nil || len(rows) != 3 || rows[2].Figure != 2 {
		t.Errorf("found %v, %v", rows, err)
	}
	if err := writeTable(folder); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(folder, "accuracy.md"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(table, []byte(curvePicture)) {
		t.Error("the table shows a picture that is not there")
	}
}

// The recipes are valid.
func TestRecipes(t *testing.T) {
	size := imaging.Size{Height: side, Width: side, Channels: 1}
	for name, l := range losses {
		r := defaultRecipe(100)
		l.change(&r)
		if err := r.objective.Check(r.head); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.network(size).Size != size {
			t.Errorf("%s: the network takes images of another size", name)
		}
	}
	for name := range mnistSteps {
		r := mnistRecipe(name)
		if err := r.objective.Check(r.head); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.augment.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, k := range kochRuns {
		if err := k.objective.Check(heads.WeightedL1{Signed: true}); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if d := distortion(side, 1); math.Abs(d.Translation-2.24) > 1e-9 || d.Validate() != nil {
		t.Errorf("found the distortion %+v", d)
	}
}

// scaled returns a contender whose embeddings are the pixels times a factor, plus a ramp.
func scaled(factor float32) contender {
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows := make([][]float32, len(pixels))
		for i, image := range pixels {
			for j, v := range image {
				rows[i] = append(rows[i], factor*float32(v)+float32(j))
			}
		}
		return evaluate.FromRows(rows)
	}, cosine}
}

// The cosine of an ensemble is the mean of the cosines of its members, whatever the
// lengths of their embeddings.
func TestTogether(t *testing.T) {
	images := [][]uint8{{1, 2, 3}, {3, 0, 1}}
	distance := func(c contender) float64 {
		embeddings, err := c.embed(images)
		if err != nil {
			t.Fatal(err)
		}
		var d [1]float64
		if err := c.metric.Paired(d[:], embeddings.Row(0), embeddings.Row(1), embeddings.Columns); err != nil {
			t.Fatal(err)
		}
		return d[0]
	}
	a, b := scaled(1), scaled(-100)
	got, want := distance(together([]contender{a, b})), (distance(a)+distance(b))/2
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("found a distance of %v, expected %v", got, want)
	}
}

func TestViewCount(t *testing.T) {
	for want, views := range map[int]likeness.TTA{
		1: {}, 7: {Affine: true}, 8: {Symmetries: true}, 56: {Affine: true, Symmetries: true},
	} {
		if got := viewCount(views); got != want {
			t.Errorf("%+v: found %d, expected %d", views, got, want)
		}
	}
}

// The networks of an ensemble have different initial weights, the first those of a single
// network, and each is saved.
func TestTrainAll(t *testing.T) {
	d := fewShades()
	r := defaultRecipe(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images, r.networks = 4, 2, 2
	s := settings{seed: 5, note: t.Logf, save: filepath.Join(t.TempDir(), "model.safetensors")}
	networks, _, err := r.trainAll(context.Background(), s, d)
	if err != nil {
		t.Fatal(err)
	}
	alone, _, err := r.train(context.Background(), s, d)
	if err != nil {
		t.Fatal(err)
	}
	embedding := func(o outcome) []float32 {
		rows, err := o.trained.EmbedPixels(d.Images[:1])
		if err != nil {
			t.Fatal(err)
		}
		return rows[0]
	}
	if diff := cmp.Diff(embedding(alone), embedding(networks[0])); diff != "" {
		t.Errorf("the first is not the one trained alone: %s", diff)
	}
	if cmp.Equal(embedding(networks[0]), embedding(networks[1])) {
		t.Error("both networks are the same")
	}
	if err := s.keepAll(networks); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "model-2.safetensors"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(s.save), name)); err != nil {
			t.Error(err)
		}
	}
}
