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
	// About the centre of a row 0, 80, 160, 240 at 1.5, pixel 0 shows what was at
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
	want := []uint8{ // the centre stays; its neighbours look two pixels outwards
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

// Small distortions about the centre keep the ink and where it lies: over many
// distortions of a disc its mean is the disc's.
func TestDistortionsAreCentred(t *testing.T) {
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
