package imaging_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
)

var square = imaging.Size{Height: 2, Width: 2, Channels: 1}

// The symmetries of a square of four values, written down by hand: four counterclockwise
// rotations, and the same after mirroring left to right.
func TestSymmetryAugmentations(t *testing.T) {
	want := [][]uint8{
		{1, 2, 3, 4}, {2, 4, 1, 3}, {4, 3, 2, 1}, {3, 1, 4, 2},
		{2, 1, 4, 3}, {1, 3, 2, 4}, {3, 4, 1, 2}, {4, 2, 3, 1},
	}
	if diff := cmp.Diff(want, imaging.SymmetryAugmentations([]uint8{1, 2, 3, 4}, square)); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
	for _, quarters := range []int{-3, 1, 5} {
		if found := imaging.Turn([]uint8{1, 2, 3, 4}, square, quarters, false); !slices.Equal(found, want[1]) {
			t.Errorf("%d quarters: found %v, expected %v", quarters, found, want[1])
		}
	}
	colored := imaging.Size{Height: 2, Width: 2, Channels: 3} // the channels of a pixel stay together
	if found := imaging.Turn([]uint8{1, 10, 100, 2, 20, 200, 3, 30, 130, 4, 40, 140}, colored, 1, false); !slices.Equal(found, []uint8{2, 20, 200, 4, 40, 140, 1, 10, 100, 3, 30, 130}) {
		t.Errorf("found %v", found)
	}
}

// Each symmetry does what its text says, for images that are not square, too, and its inverse
// restores the image.
func TestSymmetries(t *testing.T) {
	size := imaging.Size{Height: 2, Width: 3, Channels: 1}
	image := []uint8{
		1, 2, 3,
		4, 5, 6,
	}
	for text, want := range map[string][]uint8{
		"unchanged":                      {1, 2, 3, 4, 5, 6},
		"rotated left by 90 degrees":     {3, 6, 2, 5, 1, 4},
		"rotated by 180 degrees":         {6, 5, 4, 3, 2, 1},
		"rotated right by 90 degrees":    {4, 1, 5, 2, 6, 3},
		"flipped left-right":             {3, 2, 1, 6, 5, 4},
		"flipped along the diagonal":     {1, 4, 2, 5, 3, 6},
		"flipped top-bottom":             {4, 5, 6, 1, 2, 3},
		"flipped along the antidiagonal": {6, 3, 5, 2, 4, 1},
	} {
		known := false
		for s := range imaging.Symmetry(imaging.Symmetries) {
			if s.String() != text {
				continue
			}
			known = true
			found := s.Apply(image, size)
			if !slices.Equal(found, want) {
				t.Errorf("%s: found %v, expected %v", text, found, want)
			}
			after := size
			if s.Exchanges() {
				after.Height, after.Width = size.Width, size.Height
			}
			if restored := s.Inverse().Apply(found, after); !slices.Equal(restored, image) {
				t.Errorf("%s: its inverse, %v, gives %v", text, s.Inverse(), restored)
			}
		}
		if !known {
			t.Errorf("no symmetry is %q", text)
		}
	}
	other := imaging.Symmetry(imaging.Symmetries)
	if other.Apply(image, size) != nil || other.String() != "symmetry 8" || other.Inverse() != other {
		t.Errorf("a value that is no symmetry: found %v, %v, %v", other.Apply(image, size), other, other.Inverse())
	}
	if imaging.Rotate90.Apply(image[:5], size) != nil {
		t.Error("found an image of too few pixels")
	}
}

// The first affine version is the image; a white image stays white in its center, and
// where it is reduced its corners become the black background.
func TestAffineAugmentations(t *testing.T) {
	size := imaging.Size{Height: 21, Width: 21, Channels: 1}
	white := slices.Repeat([]uint8{255}, size.Len())
	versions := imaging.AffineAugmentations(white, size)
	if len(versions) != 7 || !slices.Equal(versions[0], white) {
		t.Fatalf("found %d versions, expected 7, the first of them the image", len(versions))
	}
	for i, version := range versions {
		if version[10*21+10] != 255 {
			t.Errorf("version %d: found %d in the center", i, version[10*21+10])
		}
		if reduced := i >= 1 && i <= 3; reduced && version[0] > 64 {
			t.Errorf("version %d: found %d in the corner, expected the background", i, version[0])
		}
	}
}

// The source of a transformed point is the point: the transform is scaled, sheared, rotated
// and moved, in this order.
func TestAffineTransform(t *testing.T) {
	move := imaging.NewAffineTransform(90, 0, 0, 2, 3, 5, 7)
	// (1, 1) is scaled to (2, 3), rotated by 90° to (−3, 2), and moved to (2, 9).
	if x, y := move.Source(2, 9); math.Abs(x-1) > 1e-12 || math.Abs(y-1) > 1e-12 {
		t.Errorf("found (%v, %v), expected (1, 1)", x, y)
	}
	shear := imaging.NewAffineTransform(0, 0.5, 0, 1, 1, 0, 0) // (1, 2) becomes (2, 2)
	if x, y := shear.Source(2, 2); math.Abs(x-1) > 1e-12 || math.Abs(y-2) > 1e-12 {
		t.Errorf("found (%v, %v), expected (1, 2)", x, y)
	}
}

// A shift by half a pixel gives the means of neighbors, and the background at the edge.
func TestResample(t *testing.T) {
	line := imaging.Size{Height: 1, Width: 3, Channels: 1}
	found := make([]uint8, 3)
	imaging.Resample(found, []uint8{10, 20, 40}, line, 100, imaging.Warp{imaging.NewAffineTransform(0, 0, 0, 1, 1, 0.5, 0)})
	if want := []uint8{55, 15, 30}; !slices.Equal(found, want) {
		t.Errorf("found %v, expected %v", found, want)
	}
	imaging.Resample(found, []uint8{1, 2}, line, 0, nil)
	if want := []uint8{55, 15, 30}; !slices.Equal(found, want) {
		t.Errorf("of another length: found %v, expected that nothing changes", found)
	}
}

// A row of three pixels over another becomes columns. Two turns are one by 180°.
func TestTurnExchangesHeightAndWidth(t *testing.T) {
	wide := imaging.Size{Height: 2, Width: 3, Channels: 1}
	pixels := []uint8{1, 2, 3, 4, 5, 6}
	for _, test := range []struct {
		quarters int
		mirrored bool
		want     []uint8
	}{
		{0, false, pixels},
		{1, false, []uint8{3, 6, 2, 5, 1, 4}},
		{2, false, []uint8{6, 5, 4, 3, 2, 1}},
		{3, false, []uint8{4, 1, 5, 2, 6, 3}},
		{-1, false, []uint8{4, 1, 5, 2, 6, 3}},
		{0, true, []uint8{3, 2, 1, 6, 5, 4}},
		{1, true, []uint8{1, 4, 2, 5, 3, 6}},
		{3, true, []uint8{6, 3, 5, 2, 4, 1}},
	} {
		if found := imaging.Turn(pixels, wide, test.quarters, test.mirrored); !slices.Equal(found, test.want) {
			t.Errorf("%d quarters, mirrored %v: found %v, expected %v", test.quarters, test.mirrored, found, test.want)
		}
	}
}

// Pixels that are not of the size, and symmetries of what is no square, are nil.
func TestAugmentationsRefuse(t *testing.T) {
	wide := imaging.Size{Height: 1, Width: 4, Channels: 1}
	if imaging.AffineAugmentations([]uint8{1}, square) != nil || imaging.SymmetryAugmentations([]uint8{1}, square) != nil ||
		imaging.SymmetryAugmentations([]uint8{1, 2, 3, 4}, wide) != nil || imaging.Turn([]uint8{1, 2, 3}, wide, 1, false) != nil {
		t.Error("found images, expected nil")
	}
}
