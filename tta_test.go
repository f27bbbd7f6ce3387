package likeness_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// By symmetries the cosine is the mean of those of both images in each symmetry.
func TestViewsOfSymmetries(t *testing.T) {
	model := newModel(t, heads.Cosine{})
	a, b := model.Preprocessing.Pixels(picture(1)), model.Preprocessing.Pixels(picture(2))
	rows, err := model.EmbedTTA(likeness.TTA{Symmetries: true}, [][]uint8{a, b})
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	left, right := imaging.SymmetryAugmentations(a, size), imaging.SymmetryAugmentations(b, size)
	for i := range left {
		want += cosine(t, embedPixels(t, model, left[i], right[i])) / 8
	}
	if got := cosine(t, rows); math.Abs(got-want) > 1e-6 {
		t.Errorf("found the distance %v, expected %v", got, want)
	}
}

// By affine views an embedding is the mean of directions, of length 1.
func TestViewsOfPlaces(t *testing.T) {
	model := newModel(t, heads.Cosine{})
	pixels := model.Preprocessing.Pixels(picture(3))
	rows, err := model.EmbedTTA(likeness.TTA{Affine: true}, [][]uint8{pixels})
	if err != nil {
		t.Fatal(err)
	}
	mean := make([]float64, len(rows[0]))
	for _, row := range embedPixels(t, model, imaging.AffineAugmentations(pixels, size)...) {
		length := norm(row)
		for j, v := range row {
			mean[j] += float64(v) / length / 7
		}
	}
	var length float64
	for _, v := range mean {
		length += v * v
	}
	for j, v := range mean {
		if math.Abs(float64(rows[0][j])-v/math.Sqrt(length)) > 1e-6 {
			t.Errorf("feature %d: found %v, expected %v", j, rows[0][j], v/math.Sqrt(length))
		}
	}
}

// One view is the image's own direction.
func TestNoViews(t *testing.T) {
	model := newModel(t, heads.Cosine{})
	pixels := model.Preprocessing.Pixels(picture(4))
	rows, err := model.EmbedTTA(likeness.TTA{}, [][]uint8{pixels})
	if err != nil {
		t.Fatal(err)
	}
	if d := cosine(t, append(rows, embedPixels(t, model, pixels)...)); math.Abs(d) > 1e-6 || math.Abs(norm(rows[0])-1) > 1e-6 {
		t.Errorf("found the distance %v and the length %v, expected 0 and 1", d, norm(rows[0]))
	}
}

func TestViewsRefuse(t *testing.T) {
	_, err := newModel(t, heads.L2{}).EmbedTTA(likeness.TTA{}, nil)
	if err == nil || !strings.Contains(err.Error(), "found the head l2, expected cosine") {
		t.Errorf("l2: found %v", err)
	}
	_, err = newModel(t, heads.Cosine{}).EmbedTTA(likeness.TTA{}, [][]uint8{{1, 2}})
	if err == nil || !strings.Contains(err.Error(), "image 0 has 2 values, expected 256") {
		t.Errorf("two pixels: found %v", err)
	}
	wide := imaging.Size{Height: 16, Width: 24, Channels: 1}
	model, err := likeness.New(backbone.Conv4(wide, 8, true), heads.Cosine{}, imaging.Preprocessing{Size: wide}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.EmbedTTA(likeness.TTA{Symmetries: true}, [][]uint8{make([]uint8, wide.Len())}); err == nil || !strings.Contains(err.Error(), "found images of 16x24x1, expected square ones") {
		t.Errorf("the symmetries of wide images: found %v", err)
	}
	if _, err := (&likeness.Model{}).EmbedTTA(likeness.TTA{}, nil); err == nil || !strings.HasPrefix(err.Error(), "embed with test-time augmentation: ") {
		t.Errorf("an empty model: found %v", err)
	}
}

func embedPixels(t *testing.T, model *likeness.Model, pixels ...[]uint8) [][]float32 {
	t.Helper()
	rows, err := model.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// cosine is the distance of the first two rows.
func cosine(t *testing.T, rows [][]float32) float64 {
	t.Helper()
	d := make([]float64, 1)
	cosine, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cosine.Paired(d, rows[0], rows[1], len(rows[0])); err != nil {
		t.Fatal(err)
	}
	return d[0]
}

func norm(row []float32) float64 {
	var squares float64
	for _, v := range row {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}
