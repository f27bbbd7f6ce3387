package main

import (
	"image"
	"image/color"
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
)

// Two originals with their variants on a line: at a threshold of 0.1 the first two variants of
// each original are found, and one file of the other original, from both sides.
func TestCounts(t *testing.T) {
	each := 1 + len(variants)
	at := make([]float64, 2*each)
	for i := range at {
		at[i] = 1000 * float64(i) // far from everything
	}
	at[0], at[1], at[2] = 0, 0.05, 0.1
	at[each], at[each+1], at[each+2] = 0.5, 0.55, 0.45
	at[each+3] = -0.02 // a variant of the second original beside the first
	c := count(method{"line", func(i, j int) float64 { return math.Abs(at[i] - at[j]) }}, 2)
	precision, recall, f1 := c.measures(0.1)
	wantPrecision, wantRecall := 4.0/5, 4/float64(2*len(variants))
	if precision != wantPrecision || recall != wantRecall || math.Abs(f1-2*wantPrecision*wantRecall/(wantPrecision+wantRecall)) > 1e-12 {
		t.Errorf("found precision %v, recall %v, F1 %v, expected %v and %v", precision, recall, f1, wantPrecision, wantRecall)
	}
	if c.recall(0, 0.1) != 1 || c.recall(2, 0.1) != 0 {
		t.Errorf("found the recalls %v and %v of the first and the third variant, expected 1 and 0", c.recall(0, 0.1), c.recall(2, 0.1))
	}
	if row, want := c.recalls("line", 0.1), "| line | 100.0 % | 100.0 % | 0.0 %"; !strings.HasPrefix(row, want) {
		t.Errorf("found the row %q, expected one that begins with %q", row, want)
	}
	c = counts{width: 0.1, different: []int{0, 0, 5, 100}, same: [][]int{{0, 2, 1, 0}, {0, 1, 0, 0}}}
	if best := c.best(); best != 0.1 { // where three of four are found, and nothing else
		t.Errorf("found the best threshold %v, expected 0.1", best)
	}
}

func TestDistances(t *testing.T) {
	pairs := map[[2]int]float64{{1, 4}: 0.5}
	if listed(pairs, 4, 1) != 0.5 || listed(pairs, 1, 4) != 0.5 || !math.IsInf(listed(pairs, 1, 3), 1) {
		t.Errorf("found %v, %v and %v, expected 0.5 twice and infinity", listed(pairs, 4, 1), listed(pairs, 1, 4), listed(pairs, 1, 3))
	}
	if d := hamming("ff00000000000000", "0f00000000000001"); d != 5 {
		t.Errorf("found the distance %v, expected 5", d)
	}
	if !math.IsInf(hamming("x", "0"), 1) {
		t.Error("what is no hash must be far from everything")
	}
	e := evaluate.Embeddings{Rows: 2, Columns: 2, Data: []float32{1, 0, 3, 3}}
	if d := cosineDistance(e, 0, 1); math.Abs(d-(1-math.Sqrt(0.5))) > 1e-12 {
		t.Errorf("found the distance %v, expected 1 - cos 45°", d)
	}
}

// Each variant differs from the picture, and is an image of at least one pixel, for small
// pictures, too.
func TestVariants(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {7, 3}, {60, 40}} {
		img := image.NewRGBA(image.Rectangle{Max: size})
		for y := range size.Y {
			for x := range size.X {
				img.SetRGBA(x, y, color.RGBA{uint8(5 * x), uint8(7 * y), uint8(x * y), 255})
			}
		}
		for _, v := range variants {
			changed, err := v.make(img, random.New(1))
			if err != nil || changed.Bounds().Empty() {
				t.Errorf("%s of %v: found %v, %v", v.name, size, changed.Bounds(), err)
				continue
			}
			same := changed.Bounds().Size() == size
			for y := range size.Y {
				for x := range size.X {
					same = same && changed.At(x, y) == img.At(x, y)
				}
			}
			if same && size.X == 60 {
				t.Errorf("%s: found the same picture", v.name)
			}
		}
	}
}
