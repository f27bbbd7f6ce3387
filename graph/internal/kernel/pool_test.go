package kernel

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func maxPool(s PoolShape) subject {
	return subject{
		arguments: []int{s.Batch * s.input()}, result: s.Batch * s.output(),
		single: maxPoolOperation[float32](s), double: maxPoolOperation[float64](s),
		naive: naivePool(s, firstMaximum),
	}
}

func maxPoolOperation[T Float](s PoolShape) operation[T] {
	p := NewMaxPool[T](s)
	return operation[T]{
		forward:  func(y []T, x ...[]T) { p.Forward(y, x[0]) },
		backward: func(dx, x [][]T, y, dy []T) { p.Backward(dx[0], dy) },
	}
}

func averagePool(s PoolShape) subject {
	return subject{
		arguments: []int{s.Batch * s.input()}, result: s.Batch * s.output(),
		single: averagePoolOperation[float32](s), double: averagePoolOperation[float64](s),
		naive: naivePool(s, equalShares),
	}
}

func averagePoolOperation[T Float](s PoolShape) operation[T] {
	p := NewAveragePool[T](s)
	return operation[T]{
		forward:  func(y []T, x ...[]T) { p.Forward(y, x[0]) },
		backward: func(dx, x [][]T, y, dy []T) { p.Backward(dx[0], dy) },
	}
}

func drawPoolShape(t *rapid.T) PoolShape {
	s := PoolShape{
		Batch:    rapid.IntRange(1, 3).Draw(t, "batch"),
		Height:   rapid.IntRange(1, 9).Draw(t, "height"),
		Width:    rapid.IntRange(1, 9).Draw(t, "width"),
		Channels: rapid.IntRange(1, 5).Draw(t, "channels"),
		Stride:   rapid.IntRange(1, 4).Draw(t, "stride"),
	}
	s.Size = rapid.IntRange(1, min(4, s.Height, s.Width)).Draw(t, "size")
	return s
}

// drawMaxPoolShape draws a shape with or without padding, which may make the input as large
// as a window.
func drawMaxPoolShape(t *rapid.T) PoolShape {
	s := drawPoolShape(t)
	s.Padding = rapid.IntRange(0, s.Size/2).Draw(t, "padding")
	s.Height = rapid.IntRange(s.Size-2*s.Padding, s.Height).Filter(func(v int) bool { return v > 0 }).Draw(t, "less height")
	return s
}

func TestMaxPool(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return maxPool(drawMaxPoolShape(t)) })
}

// The layer after the first convolution of a ResNet, with more channels than a vector has
// lanes.
func TestMaxPoolOfResNet(t *testing.T) {
	check(t, maxPool(PoolShape{Batch: 2, Height: 14, Width: 13, Channels: 35, Size: 3, Stride: 2, Padding: 1}), 1)
}

// Padding is never the maximum, also of numbers below zero, and not even of −∞.
func TestMaxPoolIgnoresPadding(t *testing.T) {
	inf := math.Inf(-1)
	p := NewMaxPool[float64](PoolShape{Batch: 1, Height: 2, Width: 2, Channels: 1, Size: 3, Stride: 2, Padding: 1})
	y, dx := make([]float64, 1), make([]float64, 4)
	p.Forward(y, []float64{inf, -3, -2, inf})
	p.Backward(dx, []float64{5})
	near(t, "the result", y, []float64{-2}, 0)
	near(t, "the gradient", dx, []float64{0, 0, 5, 0}, 0)
	p.Forward(y, []float64{inf, inf, inf, inf})
	if p.Backward(dx, []float64{5}); y[0] != inf || dx[0] != 5 {
		t.Errorf("of −∞ found %v and the gradient %v", y, dx)
	}
}

// With few different values, many windows have several maxima.
func TestMaxPoolTakesTheFirstMaximum(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		s := maxPool(drawMaxPoolShape(t))
		s.prepare = func(x [][]float64) {
			for i, v := range x[0] {
				x[0][i] = math.Round(v)
			}
		}
		return s
	})
}

func TestMaxPoolShowsNaN(t *testing.T) {
	nan := math.NaN()
	p := NewMaxPool[float64](PoolShape{Batch: 1, Height: 2, Width: 4, Channels: 1, Size: 2, Stride: 2})
	y, dx := make([]float64, 2), make([]float64, 8)
	p.Forward(y, []float64{nan, 2, 7, 7, 3, 4, nan, nan})
	p.Backward(dx, []float64{5, 6})
	if diff := cmp.Diff([]float64{nan, nan}, y, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{5, 0, 0, 0, 0, 0, 6, 0}, dx); diff != "" {
		t.Error(diff)
	}
}

func TestAveragePool(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return averagePool(drawPoolShape(t)) })
}

func TestPoolGradient(t *testing.T) {
	s := PoolShape{Batch: 2, Height: 5, Width: 4, Channels: 2, Size: 3, Stride: 1}
	padded := s
	padded.Padding = 1
	most := maxPool(padded)
	most.prepare = func(x [][]float64) { // no two values are close
		for i := range x[0] {
			x[0][i] = float64(i * 37 % len(x[0]))
		}
	}
	checkGradient(t, most)
	checkGradient(t, averagePool(s))
}

func TestPoolShapeValidate(t *testing.T) {
	valid := PoolShape{Batch: 1, Height: 3, Width: 4, Channels: 1, Size: 3, Stride: 1}
	if err := valid.Validate(); err != nil {
		t.Errorf("a valid shape: %v", err)
	}
	for want, spoil := range map[string]func(s *PoolShape){
		"channels is 0, it must be at least 1":                                func(s *PoolShape) { s.Channels = 0 },
		"pool stride is 0, it must be at least 1":                             func(s *PoolShape) { s.Stride = 0 },
		"pool window 4×4 is larger than its 3×4 input":                        func(s *PoolShape) { s.Size = 4 },
		"pool padding is 2, it must be from 0 to half of the pool size of 3":  func(s *PoolShape) { s.Padding = 2 },
		"pool padding is -1, it must be from 0 to half of the pool size of 3": func(s *PoolShape) { s.Padding = -1 },
		"pool size is 300, it must be at most 15":                             func(s *PoolShape) { s.Size, s.Height, s.Width = 300, 999, 999 },
	} {
		s := valid
		spoil(&s)
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
