package datasets_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// The image 1 2 over 3 4, in all ways.
func TestSymmetries(t *testing.T) {
	d := &datasets.Dataset{
		Name: "squares", Size: imaging.Size{Height: 2, Width: 2, Channels: 1},
		Classes: []string{"a", "b"}, Labels: []int{1}, Images: [][]uint8{{1, 2, 3, 4}},
		Sources: []string{"b.png"},
	}
	all, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Validate(); err != nil {
		t.Error(err)
	}
	want := [][]uint8{
		{1, 2, 3, 4}, {2, 4, 1, 3}, {4, 3, 2, 1}, {3, 1, 4, 2},
		{2, 1, 4, 3}, {1, 3, 2, 4}, {3, 4, 1, 2}, {4, 2, 3, 1},
	}
	if diff := cmp.Diff(want, all.Images); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 5, 7, 9, 11, 13, 15}, all.Labels); diff != "" {
		t.Error(diff)
	}
	if got, want := all.Classes[11], "b mirrored, turned 90°"; got != want {
		t.Errorf("found class %q, expected %q", got, want)
	}
	if got, want := all.Sources[2], "b.png turned 180°"; got != want {
		t.Errorf("found source %q, expected %q", got, want)
	}
}

func TestSymmetriesRefuse(t *testing.T) {
	wide := &datasets.Dataset{Name: "wide", Size: imaging.Size{Height: 1, Width: 2, Channels: 1}, Labels: []int{}}
	_, err := wide.Symmetries()
	expectError(t, "wide images", err, nil, "wide", "1x2", "square")
	_, err = (&datasets.Dataset{Name: "nameless", Size: imaging.Size{Height: 2, Width: 2, Channels: 1}}).Symmetries()
	expectError(t, "no labels", err, datasets.ErrUnlabelled, "nameless")
}

// The symmetry of a class that has a group is the group's.
func TestSymmetriesOfGroups(t *testing.T) {
	d := &datasets.Dataset{
		Name: "squares", Size: imaging.Size{Height: 1, Width: 1, Channels: 1},
		Classes: []string{"Greek/alpha", "Greek/beta"}, Labels: []int{0, 1}, Images: [][]uint8{{1}, {2}},
	}
	all, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all.Classes[3], "Greek turned 90°/beta"; got != want {
		t.Errorf("found class %q, expected %q", got, want)
	}
	if got := len(all.Groups()); got != 8 {
		t.Errorf("found %d groups, expected 8", got)
	}
}
