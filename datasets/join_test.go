package datasets_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

func TestJoin(t *testing.T) {
	first, second := toy(1, 2), toy(1)
	second.Classes = []string{"z"}
	all, err := datasets.Join("both", first, second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "z"}, all.Classes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 1, 2}, all.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 0}, values(all)); diff != "" {
		t.Error(diff)
	}
}

func TestJoinRefuses(t *testing.T) {
	_, err := datasets.Join("both", toy(1), toy(1))
	expectError(t, "a class twice", err, nil, "both", `"a"`)
	larger := toy(1)
	larger.Classes, larger.Size, larger.Images = []string{"z"}, imaging.Size{Height: 1, Width: 2, Channels: 1}, [][]uint8{{1, 2}}
	_, err = datasets.Join("both", toy(1), larger)
	expectError(t, "two sizes", err, datasets.ErrSizes, "1x1x1", "1x2x1")
	_, err = datasets.Join("both", toy(1), &datasets.Dataset{Name: "nameless", Size: onePixel, Images: [][]uint8{{1}}})
	expectError(t, "no labels", err, datasets.ErrUnlabelled, "nameless")
}
