package datasets_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// Halving averages each 2×2 square, channel by channel; the original stays.
func TestResize(t *testing.T) {
	grey := &datasets.Dataset{
		Size: imaging.Size{Height: 2, Width: 4, Channels: 1}, Classes: []string{"a"}, Labels: []int{0},
		Images: [][]uint8{{0, 100, 8, 8, 100, 200, 8, 8}}, Sources: []string{"a"},
	}
	small := grey.Resize(1, 2)
	if diff := cmp.Diff([][]uint8{{100, 8}}, small.Images); diff != "" || small.Size.String() != "1x2x1" {
		t.Errorf("grey %v (-want +got):\n%s", small.Size, diff)
	}
	if grey.Size.Height != 2 || len(grey.Images[0]) != 8 {
		t.Error("the original has changed")
	}
	colour := &datasets.Dataset{
		Size: imaging.Size{Height: 1, Width: 2, Channels: 3}, Classes: []string{"a"}, Labels: []int{0},
		Images: [][]uint8{{0, 10, 20, 100, 30, 40}}, Sources: []string{"a"},
	}
	if diff := cmp.Diff([][]uint8{{50, 20, 30}}, colour.Resize(1, 1).Images); diff != "" {
		t.Errorf("colour (-want +got):\n%s", diff)
	}
}
