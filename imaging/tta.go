package imaging

import (
	"fmt"
	"math"
)

// AffineAugmentations returns seven versions of an image of the given size, for test-time
// augmentation: the image itself, and rotated by −8°, 0° and 8° at 0.92 and 1.08 of its
// size, on a black background. It returns nil if the length of pixels is not that of the
// size.
func AffineAugmentations(pixels []uint8, size Size) [][]uint8 {
	if size.Validate() != nil || len(pixels) != size.Len() {
		return nil
	}
	versions := [][]uint8{pixels}
	for _, scale := range []float64{0.92, 1.08} {
		for _, angle := range []float64{-8, 0, 8} {
			version := make([]uint8, len(pixels))
			Resample(version, pixels, size, 0, Warp{NewAffineTransform(angle, 0, 0, scale, scale, 0, 0)})
			versions = append(versions, version)
		}
	}
	return versions
}

// SymmetryAugmentations returns a square image in the eight symmetries of the square, in
// the order of datasets.Dataset.Symmetries. It returns nil if the size is not square or
// the length of pixels is not that of the size.
func SymmetryAugmentations(pixels []uint8, size Size) [][]uint8 {
	if size.Validate() != nil || size.Height != size.Width || len(pixels) != size.Len() {
		return nil
	}
	versions := make([][]uint8, Symmetries)
	for i := range versions {
		versions[i] = Symmetry(i).Apply(pixels, size)
	}
	return versions
}

// Symmetry is one of the eight symmetries of the square, in the order of
// SymmetryAugmentations: a rotation counterclockwise by 0°, 90°, 180° or 270°, or a flip,
// which is mirroring left to right followed by one of these rotations. The zero value
// leaves an image as it is.
type Symmetry uint8

// The symmetries. Transpose exchanges rows and columns, so that it flips an image along the
// diagonal from its upper left corner, and Transverse flips it along the antidiagonal.
const (
	Unchanged Symmetry = iota
	Rotate90
	Rotate180
	Rotate270
	FlipLeftRight
	Transpose
	FlipTopBottom
	Transverse

	// Symmetries is their number.
	Symmetries = 8
)

var symmetryTexts = [Symmetries]string{
	"unchanged", "rotated left by 90 degrees", "rotated by 180 degrees", "rotated right by 90 degrees",
	"flipped left-right", "flipped along the diagonal", "flipped top-bottom", "flipped along the antidiagonal",
}

// String describes an image to which the symmetry was applied, such as "flipped left-right".
func (s Symmetry) String() string {
	if s >= Symmetries {
		return fmt.Sprintf("symmetry %d", uint8(s))
	}
	return symmetryTexts[s]
}

// Inverse returns the symmetry that restores an image. The inverse of a value that is not one
// of the symmetries is that value.
func (s Symmetry) Inverse() Symmetry {
	switch s {
	case Rotate90:
		return Rotate270
	case Rotate270:
		return Rotate90
	}
	return s // the others are their own inverses
}

// Apply returns a copy of an image of the given size to which the symmetry is applied.
// Rotations by 90° and 270° and flips along a diagonal exchange height and width. It returns
// nil if the length of pixels is not that of the size, or s is not one of the symmetries.
func (s Symmetry) Apply(pixels []uint8, size Size) []uint8 {
	if s >= Symmetries {
		return nil
	}
	return Turn(pixels, size, int(s)%4, s >= FlipLeftRight)
}

// Exchanges reports whether Apply exchanges the height and the width of an image.
func (s Symmetry) Exchanges() bool { return s%2 == 1 }

// Turn returns an image mirrored left to right if mirrored is set, and then rotated
// counterclockwise by quarters right angles; an odd number of them exchanges height and
// width. It returns nil if the length of pixels is not that of the size.
func Turn(pixels []uint8, size Size, quarters int, mirrored bool) []uint8 {
	if size.Validate() != nil || len(pixels) != size.Len() {
		return nil
	}
	quarters = (quarters%4 + 4) % 4
	height, width, channels := size.Height, size.Width, size.Channels
	if quarters%2 == 1 {
		height, width = width, height
	}
	turned := make([]uint8, len(pixels))
	for y := range height {
		for x := range width {
			row, column := y, x // of the source
			for quarter := range quarters {
				side := height // of the image before this quarter: its width
				if quarter%2 == 1 {
					side = width
				}
				row, column = column, side-1-row
			}
			if mirrored {
				column = size.Width - 1 - column
			}
			copy(turned[(y*width+x)*channels:][:channels], pixels[(row*size.Width+column)*channels:])
		}
	}
	return turned
}

// Warp maps a point of the target to a point of the source, both relative to the center
// of the image, by its parts one after the other.
type Warp []interface {
	Source(x, y float64) (float64, float64)
}

// AffineTransform maps a point of the source, relative to the center, to one of the target:
// (x, y) ↦ (XX·x + XY·y + X0, YX·x + YY·y + Y0).
type AffineTransform struct{ XX, XY, YX, YY, X0, Y0 float64 }

// NewAffineTransform returns the transform that scales, then shears, then rotates by an
// angle in degrees, and then translates by pixels.
func NewAffineTransform(angle, shearX, shearY, scaleX, scaleY, moveX, moveY float64) AffineTransform {
	sin, cos := math.Sincos(angle * math.Pi / 180)
	return AffineTransform{
		XX: (cos - sin*shearY) * scaleX, XY: (cos*shearX - sin) * scaleY, X0: moveX,
		YX: (sin + cos*shearY) * scaleX, YY: (sin*shearX + cos) * scaleY, Y0: moveY,
	}
}

// Source returns the point that is mapped to (x, y).
func (a AffineTransform) Source(x, y float64) (float64, float64) {
	determinant := a.XX*a.YY - a.XY*a.YX
	x, y = x-a.X0, y-a.Y0
	return (a.YY*x - a.XY*y) / determinant, (a.XX*y - a.YX*x) / determinant
}

// Resample writes to dst the warped image src, bilinearly interpolated; both are (height,
// width, channels) bytes of the given size. Points outside the image have the value
// background. If a length is not that of the size, dst is unchanged.
func Resample(dst, src []uint8, size Size, background uint8, warp Warp) {
	if size.Validate() != nil || len(dst) != size.Len() || len(src) != size.Len() {
		return
	}
	height, width, channels := size.Height, size.Width, size.Channels
	centerX, centerY := float64(width-1)/2, float64(height-1)/2
	at := func(x, y, channel int) float64 {
		if x < 0 || x >= width || y < 0 || y >= height {
			return float64(background)
		}
		return float64(src[(y*width+x)*channels+channel])
	}
	for row := range height {
		for column := range width {
			x, y := float64(column)-centerX, float64(row)-centerY
			for _, part := range warp {
				x, y = part.Source(x, y)
			}
			x, y = x+centerX, y+centerY
			left, top := int(math.Floor(x)), int(math.Floor(y))
			right, lower := x-float64(left), y-float64(top) // the weights of the neighbors there
			for channel := range channels {
				above := at(left, top, channel)*(1-right) + at(left+1, top, channel)*right
				below := at(left, top+1, channel)*(1-right) + at(left+1, top+1, channel)*right
				dst[(row*width+column)*channels+channel] = uint8(above*(1-lower) + below*lower + 0.5)
			}
		}
	}
}
