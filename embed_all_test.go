package likeness_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

func TestEmbedAll(t *testing.T) {
	size := imaging.Size{Height: 1, Width: 1, Channels: 1}
	images := [][]uint8{{10}, {20}, {30}}
	network := backbone.Network{Name: "point", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
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
