package datasets

import "github.com/likeness-go/likeness/imaging"

// AffineViews returns seven looks at an image of the given size: as it is, and
// turned by −8°, 0° and 8° at 0.92 and 1.08 of its size, on a black background. It
// returns nil where the pixels are not those of an image of the size.
func AffineViews(pixels []uint8, size imaging.Size) [][]uint8 {
	if size.Validate() != nil || len(pixels) != size.Len() {
		return nil
	}
	views := [][]uint8{pixels}
	for _, scale := range []float64{0.92, 1.08} {
		for _, angle := range []float64{-8, 0, 8} {
			view := make([]uint8, len(pixels))
			resample(view, pixels, size, 0, warp{compose(angle, 0, 0, scale, scale, 0, 0)})
			views = append(views, view)
		}
	}
	return views
}

// SymmetryViews returns a square image in the eight symmetries of the square, in
// the order of Dataset.Symmetries. It returns nil where the pixels are not those of a
// square image of the size.
func SymmetryViews(pixels []uint8, size imaging.Size) [][]uint8 {
	if size.Validate() != nil || size.Height != size.Width || len(pixels) != size.Len() {
		return nil
	}
	views := make([][]uint8, len(symmetryNames))
	for i := range views {
		views[i] = turn(pixels, size.Height, size.Channels, i%4, i >= 4)
	}
	return views
}
