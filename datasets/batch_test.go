package datasets_test

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// digits is a dataset of four 8 × 8 pictures in which no two pixels are alike.
func digits() *datasets.Dataset {
	d := &datasets.Dataset{Name: "digits", Size: square(8), Classes: []string{"one"}}
	for i := range 4 {
		image := make([]uint8, 64)
		for at := range image {
			image[at] = uint8(64*i + at)
		}
		d.Images = append(d.Images, image)
		d.Labels = append(d.Labels, 0)
	}
	return d
}

func TestFillNormalizes(t *testing.T) {
	d := toy(3)
	d.Images = [][]uint8{{0}, {255}, {51}}
	p := imaging.Preprocessing{Size: onePixel, Mean: []float64{0.2}, StdDev: []float64{0.4}}
	got := make([]float32, 4)
	if err := datasets.Fill(got, d, []int{2, 0, 1, 1}, p, nil, 0, 0, ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{0, -0.5, 2, 2}, got); diff != "" {
		t.Error(diff)
	}
}

// The images of a dataset have their final polarity: a preprocessing that inverts
// further files does not invert them once more.
func TestFillDoesNotInvert(t *testing.T) {
	d := toy(2)
	d.Inverted = true
	got := make([]float32, 1)
	if err := datasets.Fill(got, d, []int{1}, imaging.Preprocessing{Size: onePixel, Invert: true}, nil, 0, 0, ""); err != nil {
		t.Fatal(err)
	}
	if got[0] != float32(1.0/255) {
		t.Errorf("found %v, expected 1/255", got[0])
	}
}

func TestFillDistortsEachPositionByItsOwnStream(t *testing.T) {
	d, a, p := digits(), datasets.EachImage(datasets.KochAffine()), imaging.Preprocessing{Size: square(8)}
	indices := []int{3, 1, 1, 0, 2, 3, 3, 0, 1, 2}
	got := make([]float32, 64*len(indices))
	if err := datasets.Fill(got, d, indices, p, a, 5, 17, "left"); err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 64)
	for position, index := range indices {
		distorted := make([]uint8, 64)
		own := random.Seed(5, "tower", "left")
		a.Image.Apply(distorted, d.Images[index], d.Size, 0, random.New(own, "augment", 17, position))
		p.Normalize(want, distorted)
		if diff := cmp.Diff(want, got[64*position:][:64]); diff != "" {
			t.Fatalf("position %d:\n%s", position, diff)
		}
	}
}

// What a batch has in common is the same for all its images and for all towers of
// a step, and another in the next step.
func TestFillDistortsABatchAlike(t *testing.T) {
	d := digits()
	a := &datasets.Augmentation{Batch: datasets.Distortion{
		Affine:  datasets.Affine{Rotation: 90, Probability: 1},
		Elastic: datasets.Elastic{Displacement: 1, Smoothness: 3, Probability: 1},
	}}
	fill := func(step int, tower string) []float32 {
		got := make([]float32, 2*64)
		if err := datasets.Fill(got, d, []int{3, 3}, imaging.Preprocessing{Size: square(8)}, a, 1, step, tower); err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := fill(1, "left")
	if diff := cmp.Diff(first[:64], first[64:]); diff != "" {
		t.Errorf("two images of a batch:\n%s", diff)
	}
	if diff := cmp.Diff(first, fill(1, "right")); diff != "" {
		t.Errorf("two towers of a step:\n%s", diff)
	}
	if cmp.Equal(first, fill(2, "left")) {
		t.Error("two steps are distorted alike")
	}
	plain := make([]float32, 64)
	if err := datasets.Fill(plain, d, []int{3}, imaging.Preprocessing{Size: square(8)}, nil, 1, 1, ""); err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(plain, first[:64]) {
		t.Error("nothing is distorted")
	}
}

func TestFillIsTheSameOnAnyNumberOfThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	d, a := digits(), datasets.EachImage(datasets.KochAffine())
	indices := make([]int, 200)
	for i := range indices {
		indices[i] = i % 4
	}
	var results [2][]float32
	for i, threads := range []int{1, 7} {
		runtime.GOMAXPROCS(threads)
		results[i] = make([]float32, 64*len(indices))
		if err := datasets.Fill(results[i], d, indices, imaging.Preprocessing{Size: square(8)}, a, 1, 2, ""); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(results[0], results[1]); diff != "" {
		t.Error(diff)
	}
}

func TestFillRefuses(t *testing.T) {
	d, p := digits(), imaging.Preprocessing{Size: square(8)}
	other, invalid := p, p
	other.Size = square(9)
	invalid.Mean = []float64{1, 2}
	room := make([]float32, 64)
	for _, test := range []struct {
		message string
		err     error
	}{
		{"reads images of size 9x9x1, those of dataset digits are 8x8x1", datasets.Fill(room, d, []int{0}, other, nil, 0, 0, "")},
		{"mean has 2 values", datasets.Fill(room, d, []int{0}, invalid, nil, 0, 0, "")},
		{"found room for 64 values, expected 2 images", datasets.Fill(room, d, []int{0, 1}, p, nil, 0, 0, "")},
		{"index 4 is outside", datasets.Fill(room, d, []int{4}, p, nil, 0, 0, "")},
		{"index -1 is outside", datasets.Fill(room, d, []int{-1}, p, nil, 0, 0, "")},
		{"shear is 2", datasets.Fill(room, d, []int{0}, p, datasets.EachImage(datasets.Affine{Shear: 2}), 0, 0, "")},
	} {
		expectError(t, test.message, test.err, nil, "fill batch", test.message)
	}
	if diff := cmp.Diff(make([]float32, 64), room); diff != "" {
		t.Errorf("a refused batch was written:\n%s", diff)
	}
}

func BenchmarkFill(b *testing.B) {
	d := digits()
	d.Size = square(28)
	for i := range d.Images {
		d.Images[i] = make([]uint8, 28*28)
	}
	a, indices, dst := datasets.EachImage(datasets.KochAffine()), make([]int, 128), make([]float32, 128*28*28)
	for step := 0; b.Loop(); step++ {
		if err := datasets.Fill(dst, d, indices, imaging.Preprocessing{Size: d.Size}, a, 1, step, ""); err != nil {
			b.Fatal(err)
		}
	}
}
