package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/zoo"
)

// The check covers every backbone, kind of block, head and model of the zoo.
func TestCasesAreComplete(t *testing.T) {
	exports, err := networks()
	if err != nil {
		t.Fatal(err)
	}
	names, kinds, compared := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, each := range exports {
		if names[each.name] {
			t.Errorf("two cases are named %q", each.name)
		}
		names[each.name] = true
		for _, block := range each.model.Backbone.(backbone.Network).Blocks {
			spec, err := backbone.Network{Blocks: []graph.Block{block}}.Spec()
			if err != nil {
				t.Fatal(err)
			}
			kinds[spec.Blocks[0].Kind] = true
		}
	}
	pairs, err := comparers()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range pairs {
		name, _, _ := strings.Cut(each.name, ", ")
		compared[name] = true
	}
	want := slices.Concat(backbone.Names, []string{"conv4 with batch norm", "other blocks", "squeeze-and-excite, GeM"})
	for _, name := range zoo.Names() {
		want = append(want, "zoo/"+name)
	}
	for _, each := range []struct {
		what     string
		found    map[string]bool
		expected []string
	}{
		{"backbones", names, slices.Sorted(slices.Values(want))},
		{"blocks", kinds, slices.Sorted(slices.Values(backbone.Kinds))},
		{"heads", compared, heads.Names},
	} {
		if diff := cmp.Diff(each.expected, slices.Sorted(maps.Keys(each.found))); diff != "" {
			t.Errorf("%s (-library +cases):\n%s", each.what, diff)
		}
	}
}

// Two images of 1×2 pixels with 3 channels, which the file gets before inversion.
func TestImages(t *testing.T) {
	p := imaging.Preprocessing{Size: imaging.Size{Height: 1, Width: 2, Channels: 3}, Invert: true}
	found := images(p, [][]uint8{{1, 2, 3, 4, 5, 6}, {255, 254, 253, 252, 251, 250}})
	if diff := cmp.Diff([]float32{254, 251, 253, 250, 252, 249, 0, 3, 1, 4, 2, 5}, found.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 3, 1, 2}, found.Shape); diff != "" || found.Name != "images 2" {
		t.Errorf("%s, shape (-want +got):\n%s", found.Name, diff)
	}
}
