package datasets

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// By one pixel a point becomes a cross; by half of one, a cross half as bright.
func TestGrowing(t *testing.T) {
	size := imaging.Size{Height: 3, Width: 4, Channels: 1}
	point := []uint8{
		0, 0, 0, 0,
		0, 100, 0, 0,
		0, 0, 0, 0,
	}
	for growth, want := range map[float64][]uint8{
		0: point,
		1: {
			0, 100, 0, 0,
			100, 100, 100, 0,
			0, 100, 0, 0,
		},
		0.5: {
			0, 50, 0, 0,
			50, 100, 50, 0,
			0, 50, 0, 0,
		},
		1.5: { // of the cross, half of the way to a cross of each of its points
			50, 100, 50, 0,
			100, 100, 100, 50,
			50, 100, 50, 0,
		},
		-0.25: {
			0, 0, 0, 0,
			0, 75, 0, 0,
			0, 0, 0, 0,
		},
	} {
		got := append([]uint8{}, point...)
		grow(got, size, growth)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %v:\n%s", growth, diff)
		}
	}
}

// Neighbors are those of the same channel, and there are none over the edge.
func TestGrowingInColour(t *testing.T) {
	image := []uint8{
		9, 0, 0, 0, 0, 7,
		0, 0, 0, 0, 0, 0,
	}
	grow(image, imaging.Size{Height: 2, Width: 2, Channels: 3}, 1)
	want := []uint8{
		9, 0, 7, 9, 0, 7,
		9, 0, 0, 0, 0, 7,
	}
	if diff := cmp.Diff(want, image); diff != "" {
		t.Error(diff)
	}
}

// What is drawn fills its range, with the mean in the middle, and takes part as
// often as it says.
func TestStrokeIsDrawn(t *testing.T) {
	const times = 4000
	s := Stroke{Min: -1, Max: 3, Probability: 0.5}
	var sum, unchanged float64
	least, most := math.Inf(1), math.Inf(-1)
	for seed := range uint64(times) {
		growth := s.draw(random.New(seed))
		if growth == 0 {
			unchanged++
			continue
		}
		sum += growth
		least, most = min(least, growth), max(most, growth)
	}
	if least < -1 || most > 3 || most-least < 3.96 {
		t.Errorf("drawn from %v to %v, expected to fill -1 to 3", least, most)
	}
	// The standard errors are 4·√(1/12/2000) = 0.026 and √(¼/4000) = 0.0079.
	if mean := sum / (times - unchanged); math.Abs(mean-1) > 4*0.026 {
		t.Errorf("found the mean %v, expected 1", mean)
	}
	if share := unchanged / times; math.Abs(share-0.5) > 4*0.0079 {
		t.Errorf("takes no part in %v of all draws", share)
	}
}

// All images of a batch are drawn by one pen where they have it in common, which is
// another one in the next step.
func TestStrokeOfABatch(t *testing.T) {
	side := imaging.Size{Height: 5, Width: 5, Channels: 1}
	point := make([]uint8, 25)
	point[12] = 200
	d := &Dataset{Name: "points", Size: side, Images: [][]uint8{point, point}}
	a := &Augmentation{Batch: Distortion{Stroke: Stroke{Min: 0, Max: 1, Probability: 1}}}
	p := imaging.Preprocessing{Size: side}
	batch := func(step int) []float32 {
		pixels := make([]float32, 50)
		if err := Fill(pixels, d, []int{0, 1}, p, a, 1, step, "images"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pixels[:25], pixels[25:]); diff != "" {
			t.Errorf("step %d: two images of one batch differ:\n%s", step, diff)
		}
		return pixels
	}
	first, second := batch(0), batch(1)
	if !(first[7] > first[6]) || first[7] == second[7] {
		t.Errorf("above the point, found %v and %v, expected two shades of grey", first[7], second[7])
	}
}

func TestStrokeValidate(t *testing.T) {
	for _, s := range []Stroke{{}, {Min: -1, Max: 1, Probability: 1}, {Min: 2, Max: 2}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Stroke{
		{Min: 1, Max: 0}, {Min: -65, Max: 0}, {Max: 65}, {Max: math.NaN()}, {Min: math.NaN()}, {Probability: 2}, {Probability: math.NaN()},
	} {
		if err := (Augmentation{Batch: Distortion{Stroke: s}}).Validate(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}
