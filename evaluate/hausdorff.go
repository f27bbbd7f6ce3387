package evaluate

import (
	"math"
	"sort"

	"github.com/pkg/errors"
)

// Ink has the points of a drawing, in pixels from their mean.
type Ink struct {
	points []point // from the top row to the bottom row
}

type point struct{ x, y float64 }

// InkOf returns the points at which an image, row-major with the given width and with
// strokes of 1 on 0, is above one half. An image without such points is an error.
func InkOf(pixels []float32, width int) (Ink, error) {
	if width < 1 || len(pixels)%width != 0 {
		return Ink{}, errors.Errorf("found %d pixels, expected a positive multiple of the width %d", len(pixels), width)
	}
	var points []point
	var mean point
	for i, pixel := range pixels {
		if pixel > 0.5 {
			p := point{float64(i % width), float64(i / width)}
			points = append(points, p)
			mean.x += p.x
			mean.y += p.y
		}
	}
	if len(points) == 0 {
		return Ink{}, errors.New("the image has no ink: no pixel is above 0.5")
	}
	for i := range points {
		points[i].x -= mean.x / float64(len(points))
		points[i].y -= mean.y / float64(len(points))
	}
	return Ink{points}, nil
}

// ModifiedHausdorff returns a distance between two drawings that needs no training: the
// larger of the two mean distances, in pixels, from a point of one drawing to the nearest
// point of the other (Dubuisson & Jain 1994, "A modified Hausdorff distance for object
// matching"). It is the baseline that Omniglot's authors publish with their data. Both
// drawings must be made by InkOf; the distance from the zero Ink is infinite.
func ModifiedHausdorff(a, b Ink) float64 {
	if len(a.points) == 0 || len(b.points) == 0 {
		return math.Inf(1)
	}
	return max(a.meanNearest(b), b.meanNearest(a))
}

// meanNearest is the mean distance of the ink's points from the other's nearest.
func (ink Ink) meanNearest(other Ink) float64 {
	var sum float64
	for _, p := range ink.points {
		sum += math.Sqrt(other.nearestSquare(p))
	}
	return sum / float64(len(ink.points))
}

// nearestSquare is the squared distance from p to the nearest point. It looks
// from p's row outwards, downwards and then upwards, until the rows alone are
// too far.
func (ink Ink) nearestSquare(p point) float64 {
	nearest := math.Inf(1)
	nearer := func(q point) bool {
		dx, dy := p.x-q.x, p.y-q.y
		nearest = min(nearest, dx*dx+dy*dy)
		return dy*dy < nearest
	}
	below := sort.Search(len(ink.points), func(i int) bool { return ink.points[i].y >= p.y })
	for i := below; i < len(ink.points) && nearer(ink.points[i]); i++ {
	}
	for i := below - 1; i >= 0 && nearer(ink.points[i]); i-- {
	}
	return nearest
}
