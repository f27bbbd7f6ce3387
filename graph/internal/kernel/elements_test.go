package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// lengths includes several units of work, and no multiple of one.
var lengths = []int{0, 1, 3, chunkSize - 1, chunkSize + 1, 3*chunkSize + 5}

func TestAdd(t *testing.T) {
	for _, n := range lengths {
		y, x := make([]float32, n), make([]float32, n)
		for i := range y {
			y[i], x[i] = float32(i), 0.5
		}
		Add(y, x)
		for i, v := range y {
			if want := float32(i) + 0.5; v != want {
				t.Fatalf("element %d of %d: found %v, expected %v", i, n, v, want)
			}
		}
	}
}

func TestCopy(t *testing.T) {
	for _, n := range lengths {
		y, x := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = float64(i + 1)
		}
		Copy(y, x)
		if !slices.Equal(y, x) {
			t.Errorf("%d elements: the copy differs", n)
		}
	}
}

func TestFinite(t *testing.T) {
	testFinite[float32](t, math.MaxFloat32)
	testFinite[float64](t, math.MaxFloat64)
}

func testFinite[T Float](t *testing.T, largest T) {
	t.Helper()
	notNumbers := []T{T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1))}
	for _, n := range lengths {
		x := make([]T, n)
		for i := range x {
			x[i] = largest // whose square overflows
		}
		if !Finite(x) {
			t.Errorf("%T: %d finite elements: found not finite", largest, n)
		}
		if n == 0 {
			continue
		}
		for _, at := range []int{0, n / 2, n - 1} {
			for _, v := range notNumbers {
				x[at] = v
				if Finite(x) {
					t.Errorf("%T: element %d of %d is %v: found finite", largest, at, n, v)
				}
				x[at] = largest
			}
		}
	}
}

// One image of 1×2 pixels and three channels.
func TestChannelsFirst(t *testing.T) {
	y := make([]float32, 6)
	ChannelsFirst(y, []float32{11, 12, 13, 21, 22, 23}, 1, 1, 2, 3)
	if diff := cmp.Diff([]float32{11, 21, 12, 22, 13, 23}, y); diff != "" {
		t.Error(diff)
	}
}

func TestChannelsLastUndoesChannelsFirst(t *testing.T) {
	size := rapid.IntRange(1, 5)
	rapid.Check(t, func(t *rapid.T) {
		batch, height, width, channels := size.Draw(t, "batch"), size.Draw(t, "height"), size.Draw(t, "width"), size.Draw(t, "channels")
		x := make([]float64, batch*height*width*channels)
		for i := range x {
			x[i] = float64(i)
		}
		first, last := make([]float64, len(x)), make([]float64, len(x))
		ChannelsFirst(first, x, batch, height, width, channels)
		ChannelsLast(last, first, batch, height, width, channels)
		if diff := cmp.Diff(x, last); diff != "" {
			t.Fatal(diff)
		}
	})
}
