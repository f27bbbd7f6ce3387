package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// The neighbors of an image of one pixel are the five nearest values; of two equally near
// images the earlier one comes first.
func TestNearest(t *testing.T) {
	var images [][]uint8
	for _, v := range []uint8{10, 20, 30, 40, 50, 60, 200} {
		images = append(images, []uint8{v})
	}
	near := nearest(images)
	for i, want := range map[int][]int{
		0: {1, 2, 3, 4, 5},
		2: {1, 3, 0, 4, 5},
		6: {5, 4, 3, 2, 1},
	} {
		if diff := cmp.Diff(want, near[i]); diff != "" {
			t.Errorf("of image %d:\n%s", i, diff)
		}
	}
}

// Pixels that are shifted out of the image are lost, and the others become black.
func TestShift(t *testing.T) {
	row := &datasets.Dataset{
		Name: "row", Size: imaging.Size{Height: 1, Width: 8, Channels: 1}, Classes: []string{"a", "b"},
		Images: [][]uint8{{1, 2, 3, 4, 5, 6, 7, 8}, {9, 0, 0, 0, 0, 0, 0, 9}}, Labels: []int{0, 1},
	}
	got := shift(row)
	want := [][]uint8{
		{7, 8, 0, 0, 0, 0, 0, 0}, {0, 9, 0, 0, 0, 0, 0, 0},
		{4, 5, 6, 7, 8, 0, 0, 0}, {0, 0, 0, 0, 9, 0, 0, 0},
		{1, 2, 3, 4, 5, 6, 7, 8}, {9, 0, 0, 0, 0, 0, 0, 9},
		{0, 0, 0, 1, 2, 3, 4, 5}, {0, 0, 0, 9, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 0, 1, 2}, {0, 0, 0, 0, 0, 0, 9, 0},
	}
	if diff := cmp.Diff(want, got.Images); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, got.Labels); diff != "" {
		t.Error(diff)
	}
}

// The training set has equally many images of both digits in every shift.
func TestFoursNines(t *testing.T) {
	train, test, err := foursNines(20, len(shifts))
	if err != nil {
		t.Skipf("MNIST is not here: %v", err)
	}
	if train.Len() != 200 || test.Len() != 5*1991 {
		t.Errorf("found %d and %d images, expected 200 and 9955", train.Len(), test.Len())
	}
	for class, images := range train.ByClass() {
		if len(images) != 100 {
			t.Errorf("class %s has %d images, expected 100", train.Classes[class], len(images))
		}
	}
}
