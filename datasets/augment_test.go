package datasets_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"pgregory.net/rapid"
)

func square(side int) imaging.Size { return imaging.Size{Height: side, Width: side, Channels: 1} }

func apply(a datasets.Affine, src []uint8, size imaging.Size, seed uint64, background uint8) []uint8 {
	dst := make([]uint8, len(src))
	datasets.Distortion{Affine: a}.Apply(dst, src, size, background, random.New(seed))
	return dst
}

func TestNoDistortionLeavesPixelsAlone(t *testing.T) {
	never := datasets.KochAffine()
	never.Probability = 0
	still := datasets.Affine{ScaleMin: 1, ScaleMax: 1, Probability: 1}
	rapid.Check(t, func(t *rapid.T) {
		size := imaging.Size{
			Height:   rapid.IntRange(1, 7).Draw(t, "height"),
			Width:    rapid.IntRange(1, 7).Draw(t, "width"),
			Channels: rapid.SampledFrom([]int{1, 3}).Draw(t, "channels"),
		}
		src := rapid.SliceOfN(rapid.Byte(), size.Len(), size.Len()).Draw(t, "pixels")
		for _, a := range []datasets.Affine{{}, never, still} {
			if diff := cmp.Diff(src, apply(a, src, size, rapid.Uint64().Draw(t, "seed"), 7)); diff != "" {
				t.Errorf("%+v:\n%s", a, diff)
			}
		}
	})
}

func TestScalingByTwo(t *testing.T) {
	a := datasets.Affine{ScaleMin: 2, ScaleMax: 2, Probability: 1}
	// About the center of a row 0, 80, 160, 240 at 1.5, pixel 0 shows what was at
	// 0.75: 60; then 1.25, 1.75 and 2.25.
	if diff := cmp.Diff([]uint8{60, 100, 140, 180}, apply(a, []uint8{0, 80, 160, 240}, imaging.Size{Height: 1, Width: 4, Channels: 1}, 1, 7)[:4]); diff != "" {
		t.Error(diff)
	}
}

func TestScalingByAHalfShowsTheBackground(t *testing.T) {
	a := datasets.Affine{ScaleMin: 0.5, ScaleMax: 0.5, Probability: 1}
	src := []uint8{ // in three channels
		10, 20, 30, 10, 20, 30, 10, 20, 30,
		10, 20, 30, 40, 50, 60, 10, 20, 30,
		10, 20, 30, 10, 20, 30, 10, 20, 30,
	}
	want := []uint8{ // the center stays; its neighbors look two pixels outwards
		7, 7, 7, 7, 7, 7, 7, 7, 7,
		7, 7, 7, 40, 50, 60, 7, 7, 7,
		7, 7, 7, 7, 7, 7, 7, 7, 7,
	}
	if diff := cmp.Diff(want, apply(a, src, imaging.Size{Height: 3, Width: 3, Channels: 3}, 1, 7)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyIsReproducible(t *testing.T) {
	src := make([]uint8, 400)
	for i := range src {
		src[i] = uint8(i)
	}
	a := datasets.KochAffine()
	results := map[string]bool{}
	for seed := range uint64(100) {
		result := apply(a, src, square(20), seed, 0)
		if diff := cmp.Diff(result, apply(a, src, square(20), seed, 0)); diff != "" {
			t.Fatalf("one seed, two distortions:\n%s", diff)
		}
		results[string(result)] = true
	}
	// One distortion in 128 is none at all, the others differ.
	if len(results) < 90 {
		t.Errorf("found %d different distortions of 100 seeds", len(results))
	}
}

// Small distortions about the center keep the ink and where it lies: over many
// distortions of a disc its mean is the disc's.
func TestDistortionsAreCentered(t *testing.T) {
	const side, times = 21, 500
	src := make([]uint8, side*side)
	for i := range src {
		if x, y := i%side-side/2, i/side-side/2; x*x+y*y <= 25 {
			src[i] = 255
		}
	}
	var ink, x, y float64
	for seed := range uint64(times) {
		for i, v := range apply(datasets.KochAffine(), src, square(side), seed, 0) {
			ink += float64(v)
			x += float64(v) * float64(i%side)
			y += float64(v) * float64(i/side)
		}
	}
	// A translation is up to 2 pixels half of the time: deviation √(½·4²/12) = 0.8,
	// and 0.036 for the mean of 500.
	if x /= ink; math.Abs(x-side/2) > 4*0.036 {
		t.Errorf("mean column %.3f, expected %d", x, side/2)
	}
	if y /= ink; math.Abs(y-side/2) > 4*0.036 {
		t.Errorf("mean row %.3f, expected %d", y, side/2)
	}
	var before float64
	for _, v := range src {
		before += float64(v)
	}
	if ratio := ink / times / before; math.Abs(ratio-1) > 0.05 {
		t.Errorf("the ink became %.3f times as much", ratio)
	}
}

func TestAffineValidate(t *testing.T) {
	for _, a := range []datasets.Affine{{}, datasets.KochAffine(), {Rotation: 180, Probability: 1}} {
		if err := a.Validate(); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
	for message, a := range map[string]datasets.Affine{
		"rotation is -1":                     {Rotation: -1},
		"shear is 1,":                        {Shear: 1},
		"probability is 1.5":                 {Probability: 1.5},
		"translation is NaN":                 {Translation: math.NaN()},
		"scale_max is +Inf":                  {ScaleMin: 1, ScaleMax: math.Inf(1)},
		"scale_min is 1.2 and scale_max 0.8": {ScaleMin: 1.2, ScaleMax: 0.8},
		"scale_min is 0 and scale_max 1":     {ScaleMax: 1},
	} {
		expectError(t, message, a.Validate(), nil, "affine", message)
	}
}

// No number of an augmentation or of a crop may be none, infinite or out of all
// proportion, also where its probability is 0, and the error names it. The bounds
// are written as a person writes them.
func TestEveryNumberOfAnAugmentationIsChecked(t *testing.T) {
	for _, base := range []interface{ Validate() error }{
		datasets.KochAffine(), datasets.Elastic{Displacement: 1, Smoothness: 4}, datasets.Elastic{}, datasets.Stroke{}, imaging.Crop{Margin: 1},
	} {
		of := reflect.TypeOf(base)
		for i := range of.NumField() {
			for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1e9, 1e9} {
				changed := reflect.New(of).Elem()
				changed.Set(reflect.ValueOf(base))
				if probability := changed.FieldByName("Probability"); probability.IsValid() {
					probability.SetFloat(0)
				}
				changed.Field(i).SetFloat(value)
				name := of.Field(i).Tag.Get("toml")
				err := changed.Interface().(interface{ Validate() error }).Validate()
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s is %v, expected ", name, value)) || strings.Contains(err.Error(), "99999") || strings.Contains(err.Error(), "00001") {
					t.Errorf("%v with %s %v: found error %v", of, name, value, err)
				}
			}
		}
	}
	for text, a := range map[string]datasets.Augmentation{
		"image: affine distortion: rotation is 999, expected 0 to 180 degrees":        {Image: datasets.Distortion{Affine: datasets.Affine{Rotation: 999}}},
		"image: affine distortion: shear is 1, expected at least 0 and below 1":       {Image: datasets.Distortion{Affine: datasets.Affine{Shear: 1}}},
		"batch: elastic distortion: displacement is -4, expected 0 to 1048576 pixels": {Batch: datasets.Distortion{Elastic: datasets.Elastic{Displacement: -4}}},
	} {
		if err := a.Validate(); err == nil || err.Error() != text {
			t.Errorf("found error %v, expected %s", err, text)
		}
	}
}

// Images that are shorter than their size are an error of the caller's, and no panic
// of another goroutine's.
func TestShortImages(t *testing.T) {
	d := toy(2, 2)
	d.Size = imaging.Size{Height: 2, Width: 2, Channels: 1}
	p := imaging.Preprocessing{Size: d.Size}
	err := datasets.Fill(make([]float32, 4), d, []int{1}, p, datasets.EachImage(datasets.KochAffine()), 1, 0, "")
	expectError(t, "fill", err, nil, "image 1 of dataset toy has 1 bytes, expected 4")
	_, err = d.Symmetries()
	expectError(t, "symmetries", err, nil, "image 0 has 1 bytes, expected 4")
	expectError(t, "resize", d.Resize(3, 3).Validate(), nil, "image 0 has 0 bytes, expected 9")
}

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
	defer parallel.SetThreads(parallel.Threads())
	d, a := digits(), datasets.EachImage(datasets.KochAffine())
	indices := make([]int, 200)
	for i := range indices {
		indices[i] = i % 4
	}
	var results [2][]float32
	for i, threads := range []int{1, 7} {
		parallel.SetThreads(threads)
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
