package gallery_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// A gallery that is given embeddings answers as one that is given images.
func TestEmbeddingsOrImages(t *testing.T) {
	model := plainModel(t, heads.L1{}, 2)
	byImage, byEmbedding := create(t, model, gallery.Options{}), create(t, model, gallery.Options{})
	enroll(t, byImage, "dark", greys(0, 10), greys(5, 5))
	enroll(t, byImage, "bright", greys(200, 250))
	for class, embeddings := range map[string][][]float32{"dark": {{0, 10}, {5, 5}}, "bright": {{200, 250}}} {
		if err := byEmbedding.EnrollEmbeddings(class, embeddings...); err != nil {
			t.Fatal(err)
		}
	}
	want := distances(identify(t, byImage, greys(10, 10), 2))
	found, err := byEmbedding.IdentifyEmbeddings([][]float32{{10, 10}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, distances(found[0])); diff != "" {
		t.Errorf("identify (-images +embeddings):\n%s", diff)
	}
	verified, err := byEmbedding.VerifyEmbedding("bright", []float32{201, 248})
	if err != nil || verified.Distance != 3 {
		t.Errorf("verify: found %+v, %v, want the distance 3", verified, err)
	}
}

// What is no embedding of the model is refused, and nothing of it is kept.
func TestEmbeddingsAreChecked(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 2), gallery.Options{})
	enroll(t, g, "dark", greys(0, 10))
	if err := g.EnrollEmbeddings("short", []float32{1, 2}, []float32{1}); err == nil {
		t.Error("an embedding of one feature is enrolled")
	}
	if err := g.EnrollEmbeddings("none"); err == nil {
		t.Error("a class without embeddings is enrolled")
	}
	if _, err := g.IdentifyEmbeddings([][]float32{{1}}, 1); err == nil {
		t.Error("an embedding of one feature is identified")
	}
	if _, err := g.IdentifyEmbeddings([][]float32{{1, 2}}, 0); err == nil {
		t.Error("no candidates are given for an answer")
	}
	if _, err := g.VerifyEmbedding("dark", []float32{1}); err == nil {
		t.Error("an embedding of one feature is verified")
	}
	if _, err := g.VerifyEmbedding("light", []float32{1, 2}); !errors.Is(err, gallery.ErrUnknownClass) {
		t.Errorf("found %v, want ErrUnknownClass", err)
	}
	if g.Len() != 1 {
		t.Errorf("%d examples are left, want 1", g.Len())
	}
}
