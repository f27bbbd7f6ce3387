package trials_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/trials"
	"github.com/pkg/errors"
)

// labelled are images of one pixel, whose values are 10, 20, …
func labelled(labels ...int) *datasets.Dataset {
	d := &datasets.Dataset{Size: imaging.Size{Height: 1, Width: 1, Channels: 1}, Classes: []string{"a", "b", "c", "d"}, Labels: labels}
	for i := range labels {
		d.Images = append(d.Images, []uint8{uint8(10 * (i + 1))})
	}
	return d
}

func TestEmbeddingsAreTheModels(t *testing.T) {
	images := labelled(0, 1, 2)
	network := backbone.Network{Name: "point", Size: images.Size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	model, err := likeness.New(network, heads.L2{}, images.Preprocessing(), 1)
	if err != nil {
		t.Fatal(err)
	}
	found, err := trials.Embeddings(model, images, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, pixels := range images.Images {
		alone, err := model.EmbedPixels([][]uint8{pixels})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone[0], found.Row(i)); diff != "" {
			t.Errorf("image %d (-alone +found):\n%s", i, diff)
		}
	}
}

// Four points on a line: the pairs of one class are at 1 and 3, that of two at
// 2, so that one of the two is closer.
func TestVerificationByHand(t *testing.T) {
	points, err := evaluate.NewEmbeddings(4, 1, []float32{0, 1, 4, 6})
	if err != nil {
		t.Fatal(err)
	}
	pairs := []datasets.Pair{{Left: 0, Right: 1}, {Left: 1, Right: 2}, {Left: 3, Right: 2, Different: true}}
	verification, err := trials.Verification(evaluate.Euclidean{}, points, pairs)
	if err != nil {
		t.Fatal(err)
	}
	if found := verification.AUC().Value; math.Abs(found-0.5) > 1e-12 {
		t.Errorf("AUC: found %v, expected 0.5", found)
	}
	for _, image := range []int{-1, 4} {
		_, err := trials.Verification(evaluate.Euclidean{}, points, append(pairs, datasets.Pair{Left: 2, Right: image}))
		if err == nil || !strings.Contains(err.Error(), "pair 3 is of the images 2 and") {
			t.Errorf("image %d of 4: found error %v", image, err)
		}
	}
}

// The images of the pairs are told to the measure: pairs that share images have the
// interval that evaluate gives these.
func TestVerificationKnowsTheImages(t *testing.T) {
	points := evaluate.Embeddings{Rows: 12, Columns: 1}
	for i := range points.Rows {
		points.Data = append(points.Data, float32(i*i%7))
	}
	var pairs []datasets.Pair
	var images []evaluate.Pair
	var distances []float64
	for i := range points.Rows {
		for j := range i {
			pairs = append(pairs, datasets.Pair{Left: i, Right: j, Different: i%3 != j%3})
			images = append(images, evaluate.Pair{Left: i, Right: j, Different: i%3 != j%3})
			distances = append(distances, math.Abs(float64(points.Data[i]-points.Data[j])))
		}
	}
	found, err := trials.Verification(evaluate.Euclidean{}, points, pairs)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := evaluate.NewVerification(distances, images)
	if err != nil {
		t.Fatal(err)
	}
	if found.AUC() != expected.AUC() {
		t.Errorf("found %v, expected %v", found.AUC(), expected.AUC())
	}
}

// Each episode asks one image of each of its classes, and shows another.
func TestOneShot(t *testing.T) {
	images := labelled(0, 1, 2, 3, 0, 1, 2, 0) // d has one image and takes no part
	const way, episodes = 2, 50
	drawn, err := trials.OneShot(images, way, episodes, 1, "stream")
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn) != way*episodes {
		t.Fatalf("found %d trials, expected %d", len(drawn), way*episodes)
	}
	for i, trial := range drawn {
		if trial.Answer != i%way || len(trial.Support) != way || !cmp.Equal(trial.Support, drawn[i/way*way].Support) {
			t.Errorf("trial %d: found answer %d of %d classes, %v", i, trial.Answer, len(trial.Support), trial.Support)
		}
		for class, support := range trial.Support {
			same := images.Labels[support[0]] == images.Labels[trial.Query]
			if len(support) != 1 || support[0] == trial.Query || same != (class == trial.Answer) {
				t.Errorf("trial %d: found support %v for query %d, whose class is number %d", i, trial.Support, trial.Query, trial.Answer)
			}
		}
	}
	if again, _ := trials.OneShot(images, way, episodes, 1, "stream"); !cmp.Equal(drawn, again) {
		t.Error("one seed and stream gave two draws")
	}
	if other, _ := trials.OneShot(images, way, episodes, 1, "other"); cmp.Equal(drawn, other) {
		t.Error("two streams gave the same draw")
	}
	if _, err := trials.OneShot(images, 4, 1, 1, "stream"); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("4 ways of 3 classes: found error %v, expected ErrTooFew", err)
	}
}

func TestPopulated(t *testing.T) {
	for _, test := range []struct {
		labels []int
		want   int
	}{{nil, 0}, {[]int{0, 1, 2}, 0}, {[]int{0, 1, 0}, 1}, {[]int{0, 1, 0, 3, 3, 3, 1}, 3}} {
		if found := trials.Populated(labelled(test.labels...)); found != test.want {
			t.Errorf("labels %v: found %d, expected %d", test.labels, found, test.want)
		}
	}
}
