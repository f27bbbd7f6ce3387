package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
)

// scaled says of an image its values, so many times, with a ramp added.
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

// What several say together is the mean of their cosines, whatever the lengths of
// their embeddings.
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

func TestLooks(t *testing.T) {
	for want, views := range map[int]likeness.Views{
		1: {}, 7: {Affine: true}, 8: {Symmetries: true}, 56: {Affine: true, Symmetries: true},
	} {
		if got := looks(views); got != want {
			t.Errorf("%+v: found %d, expected %d", views, got, want)
		}
	}
}

// The networks of a recipe begin apart, the first of them as if it were alone, and
// each is saved.
func TestTrainAll(t *testing.T) {
	d := fewShades()
	r := usual(10)
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
