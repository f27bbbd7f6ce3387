package imaging

import (
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
	versions := make([][]uint8, 8)
	for i := range versions {
		versions[i] = Turn(pixels, size, i%4, i >= 4)
	}
	return versions
}

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
