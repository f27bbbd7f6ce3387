package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

// block's twin is the composition of the kernels that the other tests check.
// PReLU has one slope a filter or one for all.
func block(s BlockShape, sharedSlope bool) subject {
	pool := s.pool()
	f := s.Conv.Filters
	arguments := []int{s.Conv.inputs(), s.Conv.weights(), f}
	if s.Norm != NoNorm {
		arguments = append(arguments, f, f)
	}
	switch {
	case s.Activation == PReLU && sharedSlope:
		arguments = append(arguments, 1)
	case s.Activation == PReLU:
		arguments = append(arguments, f)
	}
	return subject{
		arguments: arguments, result: pool.Batch * pool.output(),
		single: blockOperation[float32](s), double: blockOperation[float64](s),
		naive: composed[float64](s), naiveSingle: composed[float32](s),
		tolerance: 1e-4,
	}
}

func blockOperation[T Float](s BlockShape) operation[T] { return operationOf(NewBlock[T](s)) }

func operationOf[T Float](k *Block[T]) operation[T] {
	s := k.shape
	return operation[T]{
		forward: func(y []T, x ...[]T) { k.Forward(y, x[0], blockWeights(s, x)) },
		backward: func(dx, x [][]T, y, dy []T) {
			k.Backward(dx[0], blockWeights(s, dx), x[0], blockWeights(s, x), y, dy)
		},
	}
}

// blockWeights names the arguments after the first.
func blockWeights[T Float](s BlockShape, x [][]T) BlockWeights[T] {
	w := BlockWeights[T]{Weight: x[1], Bias: x[2]}
	if s.Norm != NoNorm {
		w.Gain, w.Shift = x[3], x[4]
	}
	if s.Norm == GivenStatistics {
		w.Mean, w.Variance = givenStatistics[T](s.Conv.Filters)
	}
	if s.Activation == PReLU {
		w.Slope = x[len(x)-1]
	}
	return w
}

func composed[T Float](s BlockShape) operation[T] {
	filters := s.Conv.Filters
	conv, pool := NewConv[T](s.Conv), NewMaxPool[T](s.pool())
	norm := NewBatchNorm[T](s.Conv.pixels(), filters, s.Epsilon)
	convolved, normalized, active := make([]T, s.Conv.outputs()), make([]T, s.Conv.outputs()), make([]T, s.Conv.outputs())
	return operation[T]{
		forward: func(y []T, x ...[]T) {
			w := blockWeights(s, x)
			conv.Forward(convolved, x[0], w.Weight, w.Bias)
			switch s.Norm {
			case NoNorm:
				copy(normalized, convolved)
			case BatchStatistics:
				norm.Forward(normalized, convolved, w.Gain, w.Shift)
			case GivenStatistics:
				norm.Apply(normalized, convolved, w.Gain, w.Shift, w.Mean, w.Variance)
			}
			Activate(s.Activation, active, normalized, w.Slope, filters)
			pool.Forward(y, active)
		},
		backward: func(dx, x [][]T, y, dy []T) {
			w, dw, gradient := blockWeights(s, x), blockWeights(s, dx), make([]T, s.Conv.outputs())
			pool.Backward(gradient, dy)
			ActivateBackward(s.Activation, gradient, dw.Slope, normalized, active, gradient, w.Slope, filters)
			switch s.Norm {
			case BatchStatistics:
				norm.Backward(gradient, dw.Gain, dw.Shift, convolved, w.Gain, gradient)
			case GivenStatistics:
				norm.ApplyBackward(gradient, dw.Gain, dw.Shift, convolved, w.Gain, w.Mean, w.Variance, gradient)
			}
			conv.Backward(dx[0], dw.Weight, dw.Bias, x[0], w.Weight, gradient)
		},
	}
}

func drawBlockShape(t *rapid.T) BlockShape {
	s := BlockShape{
		Conv:       drawConvShape(t),
		Norm:       rapid.SampledFrom([]Norm{NoNorm, BatchStatistics, GivenStatistics}).Draw(t, "norm"),
		Epsilon:    1e-3,
		Activation: rapid.SampledFrom(activations).Draw(t, "activation"),
	}
	if rapid.Bool().Draw(t, "pooled") {
		height, width := s.Conv.Output()
		s.PoolSize = rapid.IntRange(1, min(3, height, width)).Draw(t, "pool size")
		s.PoolStride = rapid.IntRange(1, 3).Draw(t, "pool stride")
	}
	return s
}

func TestBlock(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return block(drawBlockShape(t), rapid.Bool().Draw(t, "shared slope")) })
}

func TestBlockGradient(t *testing.T) {
	s := BlockShape{Conv: ConvShape{2, 5, 4, 2, 3, 2, 2, 1, 1}, Norm: BatchStatistics, Epsilon: 1e-3, Activation: Tanh, PoolSize: 2, PoolStride: 2}
	checkGradient(t, block(s, false))
}

// A block for evaluation gives the same bits.
func TestBlockInEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkEvaluation(t, drawBlockShape(t)) })
}

// It goes through a large batch in parts, and needs memory for a part alone.
func TestBlockInEvaluationIsSmall(t *testing.T) {
	s := BlockShape{Conv: ConvShape{64, 60, 60, 1, 10, 2, 2, 1, 1}, Activation: ReLU, PoolSize: 2, PoolStride: 2}
	k := checkEvaluation(t, s)
	if got, whole := cap(k.convolved), s.Conv.outputs(); got > whole/2 {
		t.Errorf("the convolution's result takes %d elements of %d, want at most half", got, whole)
	}
}

func checkEvaluation(t rapid.TB, s BlockShape) *Block[float64] {
	x, dy := block(s, false).draw(1)
	want, got := make([]float64, len(dy)), make([]float64, len(dy))
	NewBlock[float64](s).Forward(want, x[0], blockWeights(s, x))
	s.Evaluation = true
	k := NewBlock[float64](s)
	k.Forward(got, x[0], blockWeights(s, x))
	sameBits(t, "the result", got, want)
	return k
}

func TestBlockStatistics(t *testing.T) {
	s := BlockShape{Conv: ConvShape{1, 1, 4, 1, 1, 1, 1, 1, 0}, Norm: BatchStatistics, Epsilon: 1e-5}
	k := NewBlock[float64](s)
	k.Forward(make([]float64, 4), []float64{1, 2, 3, 6}, BlockWeights[float64]{Weight: []float64{2}, Gain: []float64{1}, Shift: []float64{0}})
	mean, variance := k.Statistics()
	near(t, "mean and variance", append(mean, variance...), []float64{6, 4 * 3.5}, 0)
}

// Backward uses up what Forward kept, so a second one would be wrong.
func TestBlockRefusesASecondBackward(t *testing.T) {
	f := blockOperation[float64](BlockShape{Conv: ConvShape{1, 2, 2, 1, 1, 1, 1, 1, 0}})
	x := [][]float64{{1, 2, 3, 4}, {5}, {6}}
	run(f, x, x[0], nil)
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	f.backward(x, x, x[0], x[0])
}

func TestBlockShapeValidate(t *testing.T) {
	valid := BlockShape{Conv: ConvShape{1, 4, 4, 1, 1, 3, 3, 1, 0}, Norm: BatchStatistics, Epsilon: 1e-5, PoolSize: 2, PoolStride: 2}
	if err := valid.Validate(); err != nil {
		t.Errorf("a valid shape: %v", err)
	}
	for want, spoil := range map[string]func(s *BlockShape){
		"convolution: filters is 0, it must be at least 1":                             func(s *BlockShape) { s.Conv.Filters = 0 },
		"max pool after the convolution: pool window 3×3 is larger than its 2×2 input": func(s *BlockShape) { s.PoolSize = 3 },
		"max pool after the convolution: pool stride is 0, it must be at least 1":      func(s *BlockShape) { s.PoolStride = 0 },
		"unknown norm 3":                                func(s *BlockShape) { s.Norm = 3 },
		"unknown activation -1":                         func(s *BlockShape) { s.Activation = -1 },
		"batch norm's epsilon is 0, it must be above 0": func(s *BlockShape) { s.Epsilon = 0 },
	} {
		s := valid
		spoil(&s)
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// The packed weights of the last time serve as long as the weights are the same.
func TestBlockInEvaluationSeesNewWeights(t *testing.T) {
	s := BlockShape{Conv: ConvShape{1, 2, 2, 1, 1, 1, 1, 1, 0}, Evaluation: true}
	k, y, weight := NewBlock[float32](s), make([]float32, 4), []float32{2}
	for _, w := range []float32{2, 2, 3} {
		weight[0] = w
		k.Forward(y, []float32{1, 2, 3, 4}, BlockWeights[float32]{Weight: weight})
		near(t, "the result", y, []float32{w, 2 * w, 3 * w, 4 * w}, 0)
	}
}
