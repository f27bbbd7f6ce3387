package gallery_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// Enrolling tells how many files are embedded, calibrating of each image twice:
// when it is embedded and when it is compared.
func TestProgress(t *testing.T) {
	var told [][2]int
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{OnProgress: func(done, total int) { told = append(told, [2]int{done, total}) }})
	folder := t.TempDir()
	for i := range 70 {
		writePNG(t, greys(uint8(i)), folder, "a", string('0'+rune(i))+".png")
	}
	if _, _, err := g.EnrollFolder(context.Background(), folder); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]int{{64, 70}, {70, 70}}, told); diff != "" {
		t.Errorf("enrolling (-want +found):\n%s", diff)
	}
	told = nil
	if _, err := g.Calibrate(steps(), 0.3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]int{{10, 20}, {20, 20}}, told); diff != "" {
		t.Errorf("calibrating (-want +found):\n%s", diff)
	}
}
