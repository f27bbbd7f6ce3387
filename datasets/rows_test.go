package datasets_test

import (
	"slices"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// Rows are what the whole batch has at their positions, also with augmentation.
func TestFillRowsIsAPartOfFill(t *testing.T) {
	size := imaging.Size{Height: 6, Width: 5, Channels: 1}
	d := &datasets.Dataset{Name: "ramps", Size: size}
	for i := range 7 {
		pixels := make([]uint8, size.Len())
		for k := range pixels {
			pixels[k] = uint8(31*i + 7*k)
		}
		d.Images = append(d.Images, pixels)
	}
	p := imaging.Preprocessing{Size: size}
	augment := &datasets.Augmentation{
		Image: datasets.Distortion{Affine: datasets.Affine{Rotation: 40, Probability: 1}},
		Batch: datasets.Distortion{Affine: datasets.Affine{Translation: 2, Probability: 1}},
	}
	indices := []int{3, 3, 0, 6, 1, 5}
	for _, a := range []*datasets.Augmentation{nil, augment} {
		whole := make([]float32, len(indices)*size.Len())
		if err := datasets.Fill(whole, d, indices, p, a, 1, 9, "left"); err != nil {
			t.Fatal(err)
		}
		for _, positions := range [][]int{{0, 1, 2, 3, 4, 5}, {5, 1}, {2}, {}} {
			rows := make([]float32, len(positions)*size.Len())
			if err := datasets.FillRows(rows, d, indices, positions, p, a, 1, 9, "left"); err != nil {
				t.Fatal(err)
			}
			for i, position := range positions {
				if !slices.Equal(rows[i*size.Len():][:size.Len()], whole[position*size.Len():][:size.Len()]) {
					t.Errorf("position %d of %v differs from that of the whole batch", position, positions)
				}
			}
		}
	}
	if err := datasets.FillRows(nil, d, indices, []int{6}, p, nil, 1, 9, "left"); err == nil {
		t.Error("found no error for a position beyond the batch")
	}
}
