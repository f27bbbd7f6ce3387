package likeness_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// pointModel takes images of one pixel.
func pointModel(t *testing.T) *likeness.Model {
	t.Helper()
	size := imaging.Size{Height: 1, Width: 1, Channels: 1}
	network := backbone.Network{Name: "point", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestEmbedAll(t *testing.T) {
	images := [][]uint8{{10}, {20}, {30}}
	model := pointModel(t)
	found, err := model.EmbedAll(likeness.Pixels(images), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, pixels := range images {
		alone, err := model.EmbedPixels([][]uint8{pixels})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone[0], found.Row(i)); diff != "" {
			t.Errorf("image %d (-alone +found):\n%s", i, diff)
		}
	}
}

// changing are images that are other ones than they should be.
type changing struct {
	likeness.Pixels
	length func() int
}

func (c changing) Len() int { return c.length() }

// Progress reaches the number of images. What is wrong with images of a user's own is an
// error that names the image, and a panic of theirs is one, too.
func TestEmbedAllOfOwnImages(t *testing.T) {
	model := pointModel(t)
	images := make(likeness.Pixels, 2500) // more than one portion
	for i := range images {
		images[i] = []uint8{uint8(i)}
	}
	done, calls := 0, 0
	if _, err := model.EmbedAll(images, func(images int) { done, calls = done+images, calls+1 }); err != nil || done != 2500 || calls < 2 {
		t.Errorf("found progress of %d images in %d calls, error %v; expected 2500 in several", done, calls, err)
	}
	images[2000] = []uint8{1, 2}
	for name, test := range map[string]struct {
		images likeness.Images
		want   string
	}{
		"none":             {nil, "embed: found no images"},
		"one of a size":    {images, "embed: image 2000: found 2 values, expected 1"},
		"a panic":          {changing{images, func() int { panic("broken") }}, "broken"},
		"fewer than it is": {changing{images[:2], func() int { return 3 }}, "embed: image 2: found the index 2, expected 0 to 1"},
	} {
		if found, err := model.EmbedAll(test.images, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %d embeddings, error %v; expected one with %q", name, found.Rows, err, test.want)
		}
	}
}
