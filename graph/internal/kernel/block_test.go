package kernel

import (
	"fmt"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"pgregory.net/rapid"
)

// block has as its reference the composition of the kernels that the other tests check.
// PReLU has one slope for each filter, or one for all.
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
		s.PoolPadding = rapid.IntRange(0, s.PoolSize/2).Draw(t, "pool padding")
	}
	return s
}

func TestBlock(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return block(drawBlockShape(t), rapid.Bool().Draw(t, "shared slope")) })
}

func TestBlockGradient(t *testing.T) {
	for _, a := range []Activation{Tanh, SiLU, GELU} {
		s := BlockShape{Conv: convShape(2, 5, 4, 2, 3, 2, 2, 1, 1), Norm: BatchStatistics, Epsilon: 1e-3, Activation: a, PoolSize: 2, PoolStride: 2}
		checkGradient(t, block(s, false))
		s.PoolSize, s.PoolPadding = 3, 1
		checkGradient(t, block(s, false))
		s.PoolSize, s.PoolStride, s.PoolPadding = 0, 0, 0
		checkGradient(t, block(s, false))
	}
}

// The gradient of a first layer's weights is computed in bands, over whose edges the windows of its pool reach.
func TestBlockInBands(t *testing.T) {
	check(t, block(BlockShape{
		Conv: convShape(1, 90, 66, 1, 160, 3, 3, 2, 1), Norm: BatchStatistics, Epsilon: 1e-3,
		Activation: ReLU, PoolSize: 3, PoolStride: 2, PoolPadding: 1,
	}, false), 1)
}

// A block for evaluation gives the same bits, except that a folded norm rounds otherwise.
func TestBlockInEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkEvaluation(t, drawBlockShape(t)) })
}

// A block for evaluation computes a large batch in parts, and needs memory for one part.
func TestBlockInEvaluationIsSmall(t *testing.T) {
	s := BlockShape{Conv: convShape(64, 60, 60, 1, 10, 2, 2, 1, 1), Activation: ReLU, PoolSize: 2, PoolStride: 2}
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
	if s.Norm == GivenStatistics && k.folds() {
		near(t, "the result", got, want, 1e-12)
	} else {
		sameBits(t, "the result", got, want)
	}
	return k
}

func TestBlockStatistics(t *testing.T) {
	s := BlockShape{Conv: convShape(1, 1, 4, 1, 1, 1, 1, 1, 0), Norm: BatchStatistics, Epsilon: 1e-5}
	k := NewBlock[float64](s)
	k.Forward(make([]float64, 4), []float64{1, 2, 3, 6}, BlockWeights[float64]{Weight: []float64{2}, Gain: []float64{1}, Shift: []float64{0}})
	mean, variance := k.Statistics()
	near(t, "mean and variance", append(mean, variance...), []float64{6, 4 * 3.5}, 0)
}

// Backward overwrites what Forward has stored, so a second one would be wrong.
func TestBlockRefusesASecondBackward(t *testing.T) {
	f := blockOperation[float64](BlockShape{Conv: convShape(1, 2, 2, 1, 1, 1, 1, 1, 0)})
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
	valid := BlockShape{Conv: convShape(1, 4, 4, 1, 1, 3, 3, 1, 0), Norm: BatchStatistics, Epsilon: 1e-5, PoolSize: 2, PoolStride: 2}
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

// The packed weights of the previous call are used only while the weights are the same.
func TestBlockInEvaluationSeesNewWeights(t *testing.T) {
	s := BlockShape{Conv: convShape(1, 2, 2, 1, 1, 1, 1, 1, 0), Evaluation: true}
	k, y, weight := NewBlock[float32](s), make([]float32, 4), []float32{2}
	for _, w := range []float32{2, 2, 3} {
		weight[0] = w
		k.Forward(y, []float32{1, 2, 3, 4}, BlockWeights[float32]{Weight: weight})
		near(t, "the result", y, []float32{w, 2 * w, 3 * w, 4 * w}, 0)
	}
}

// The layers of networks for one image and for a few images, compared with the kernels
// that the other tests check.
func TestFewImages(t *testing.T) {
	for _, s := range []BlockShape{
		{Conv: convShape(1, 20, 20, 1, 64, 3, 3, 1, 1), Activation: ReLU, PoolSize: 2, PoolStride: 2},
		{Conv: convShape(1, 14, 14, 64, 64, 3, 3, 1, 1), Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU, PoolSize: 2, PoolStride: 2},
		{Conv: convShape(3, 7, 7, 64, 48, 3, 3, 1, 1), Activation: PReLU, PoolSize: 2, PoolStride: 2},
		{Conv: convShape(2, 3, 3, 64, 40, 3, 3, 1, 1), Activation: ReLU, PoolSize: 2, PoolStride: 1},
		{Conv: convShape(1, 21, 21, 32, 64, 4, 4, 1, 0), Activation: Sigmoid, PoolSize: 2, PoolStride: 2},
		{Conv: convShape(1, 20, 18, 16, 32, 7, 7, 1, 0), Activation: ReLU},
		{Conv: padded(convShape(2, 14, 13, 32, 64, 3, 3, 1, 0), 0, 0, 1, 1), Activation: ReLU},
		{Conv: padded(convShape(1, 15, 14, 3, 32, 3, 3, 2, 0), 0, 1, 2, 1), Activation: ReLU},
		{Conv: convShape(4, 9, 9, 5, 3, 4, 3, 2, 2), Norm: GivenStatistics, Epsilon: 1e-3, Activation: Tanh},
		{Conv: convShape(1, 14, 14, 64, 64, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU6},
		{Conv: convShape(2, 14, 14, 24, 40, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-3, Activation: SiLU},
		{Conv: convShape(1, 7, 6, 400, 344, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU6},     // by panel
		{Conv: convShape(2, 5, 7, 400, 344, 1, 1, 2, 0), Norm: GivenStatistics, Epsilon: 1e-3, Activation: GELU},      // likewise
		{Conv: convShape(1, 19, 18, 64, 64, 3, 3, 1, 1), Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU},      // Winograd's algorithm, by panel
		{Conv: convShape(1, 43, 50, 32, 32, 3, 3, 1, 1), Norm: GivenStatistics, Epsilon: 1e-3, Activation: HardSwish}, // in bands of tiles
		{Conv: withGroups(24, convShape(1, 12, 9, 24, 24, 3, 3, 1, 1)), Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU6},
	} {
		t.Run(fmt.Sprintf("%+v", s.Conv), func(t *testing.T) {
			x, dy := block(s, false).draw(1)
			single := make([][]float32, len(x))
			for i := range x {
				for _, v := range x[i] {
					single[i] = append(single[i], float32(v))
				}
			}
			want, got := make([]float64, len(dy)), make([]float32, len(dy))
			composed[float64](s).forward(want, x...)
			s.Evaluation = true
			k := NewBlock[float32](s)
			if k.parts == nil && !k.folds() {
				t.Fatal("the block is not one of few images")
			}
			for range 2 { // the second time with memory that was used
				k.Forward(got, single[0], blockWeights(s, single))
				wide := make([]float64, len(got))
				for i, v := range got {
					wide[i] = float64(v)
				}
				near(t, "the result", wide, want, 1e-4)
			}
			before := slices.Clone(got)
			defer parallel.SetThreads(parallel.Threads())
			for threads := 1; threads < 6; threads++ {
				parallel.SetThreads(threads)
				k.Forward(got, single[0], blockWeights(s, single))
				sameBits(t, fmt.Sprint(threads, " threads"), got, before)
			}
		})
	}
}

// Without a new version, a block notices at once that many of its weights have changed, and
// that one has within comparedPart calls; with a new version, it notices every change.
func TestBlockNoticesChanges(t *testing.T) {
	s := BlockShape{Conv: convShape(1, 2, 2, 150, 40, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-3, Evaluation: true}
	each := func(v float32, n int) []float32 { return slices.Repeat([]float32{v}, n) }
	w := BlockWeights[float32]{Weight: each(1, 6000), Gain: each(1, 40), Shift: each(0, 40), Mean: each(0, 40), Variance: each(1, 40)}
	k, version := NewBlock[float32](s), uint64(0)
	k.Watch(func() uint64 { return version })
	x, y := each(1, 600), make([]float32, 160)
	sum := func() (sum float64) {
		k.Forward(y, x, w)
		for _, v := range y {
			sum += float64(v)
		}
		return sum
	}
	for _, first := range []int{0, 700, 6000 - comparedPart*comparedRun} {
		before := sum()
		for i := range w.Weight[first:][:comparedPart*comparedRun] {
			w.Weight[first+i]++
		}
		if sum() == before {
			t.Errorf("a change of %d weights from %d on was not noticed", comparedPart*comparedRun, first)
		}
	}
	for _, changed := range []int{0, 801, 5999} {
		before := sum()
		w.Weight[changed]++
		calls := 1
		for sum() == before && calls <= comparedPart {
			calls++
		}
		if calls > comparedPart {
			t.Errorf("a change of weight %d was not noticed within %d calls", changed, comparedPart)
		}
		before = sum()
		w.Weight[changed]++
		version++
		if sum() == before {
			t.Errorf("a change of weight %d with a new version was not noticed", changed)
		}
	}
	w.Gain[3] = 5
	before := sum()
	w.Gain[3] = 1
	if sum() == before {
		t.Error("a change of the norm was not noticed")
	}
}

// The gradients of weights and bias from the maxima alone equal those of the composed
// kernels, up to rounding.
func TestBlockPeaks(t *testing.T) {
	for _, s := range []BlockShape{
		{Conv: convShape(9, 28, 28, 1, 64, 3, 3, 1, 1), Activation: ReLU},
		{Conv: convShape(2, 21, 23, 1, 40, 10, 10, 1, 0), Activation: ReLU},
		{Conv: convShape(3, 9, 12, 3, 17, 4, 4, 1, 2), Activation: Tanh},
		{Conv: convShape(1, 4, 5, 2, 5, 1, 2, 1, 0)},
		{Conv: padded(convShape(3, 11, 12, 3, 32, 4, 3, 1, 0), 0, 1, 2, 0), Activation: ReLU},
	} {
		t.Run(fmt.Sprintf("%+v", s.Conv), func(t *testing.T) {
			s.PoolSize, s.PoolStride = 2, 2
			k := NewBlock[float32](s)
			if _, ok := k.peaks(); !ok {
				t.Skip("these instructions have no such loop")
			}
			pool := s.pool()
			x := halves(s.Conv.inputs(), 1)
			w := BlockWeights[float32]{Weight: halves(s.Conv.weights(), 2), Bias: halves(s.Conv.Filters, 3)}
			y, dy := make([]float32, pool.Batch*pool.output()), halves(pool.Batch*pool.output(), 4)
			for range 2 {
				want, got := composedGradients(s, x, w, dy), BlockWeights[float32]{Weight: make([]float32, len(w.Weight)), Bias: make([]float32, len(w.Bias))}
				k.Forward(y, x, w)
				k.Backward(nil, got, x, w, y, dy)
				near(t, "the gradient of the weights", got.Weight, want.Weight, 1e-5)
				near(t, "the gradient of the bias", got.Bias, want.Bias, 1e-5)
			}
		})
	}
}

// composedGradients are the gradients that the kernels of a block compute one by one.
func composedGradients(s BlockShape, x []float32, w BlockWeights[float32], dy []float32) BlockWeights[float32] {
	f, y := composed[float32](s), make([]float32, len(dy))
	operands := [][]float32{x, w.Weight, w.Bias}
	gradients := [][]float32{make([]float32, len(x)), make([]float32, len(w.Weight)), make([]float32, len(w.Bias))}
	f.forward(y, operands...)
	f.backward(gradients, operands, y, dy)
	return BlockWeights[float32]{Weight: gradients[1], Bias: gradients[2]}
}

// halves returns small multiples of a half with a long period.
func halves(n, seed int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((i*7919+seed*104729)%17-8) / 2
	}
	return x
}

// The sum with another array has the bits of an addition and an activation after the block.
func TestBlockForwardSum(t *testing.T) {
	defer func(weights int) { batchWeights = weights }(batchWeights)
	for name, c := range map[string]struct {
		shape  ConvShape
		phases bool
	}{
		"1×1":                  {convShape(3, 9, 7, 40, 80, 1, 1, 1, 0), false},
		"1×1, part of vectors": {convShape(2, 5, 6, 17, 23, 1, 1, 1, 0), false},
		"strided":              {convShape(2, 9, 11, 24, 48, 3, 3, 2, 1), false},
		"deep windows":         {convShape(1, 7, 7, 512, 80, 3, 3, 2, 1), false},
		"Winograd":             {convShape(2, 19, 23, 16, 32, 3, 3, 1, 1), false},
		"few tiles":            {convShape(1, 9, 9, 64, 64, 3, 3, 1, 1), false},
		"in phases":            {convShape(5, 13, 12, 16, 48, 3, 3, 1, 1), true},
	} {
		for _, a := range []Activation{Identity, ReLU, ReLU6} {
			if batchWeights = 1 << 30; c.phases {
				batchWeights = 1
			}
			s := BlockShape{Conv: c.shape, Norm: GivenStatistics, Epsilon: 1e-5, Evaluation: true}
			k, n := NewBlock[float32](s), c.shape.Filters
			w := BlockWeights[float32]{Weight: written(c.shape.weights()), Gain: written(n), Shift: written(n)}
			w.Mean, w.Variance = givenStatistics[float32](n)
			x, addend := written(c.shape.inputs()), written(c.shape.outputs())
			expected, found := make([]float32, len(addend)), make([]float32, len(addend))
			if !k.Adds(a) || k.Adds(SiLU) {
				t.Fatalf("%s: activation %d is not added, or SiLU is", name, a)
			}
			k.Forward(expected, x, w)
			AddActivate(a, expected, nil, expected, addend, nil, n)
			k.ForwardSum(found, x, w, addend, a)
			if !equalBits(found, expected, true) {
				t.Errorf("%s, activation %d: the sum differs from that after the block", name, a)
			}
		}
	}
	if NewBlock[float32](BlockShape{Conv: convShape(1, 4, 4, 8, 8, 1, 1, 1, 0), Activation: ReLU, Evaluation: true}).Adds(Identity) {
		t.Error("a block with an activation adds")
	}
}

// In training, the sum and its gradients have the bits of the two operations, too.
func TestBlockTrainsSum(t *testing.T) {
	defer func(weights int) { batchWeights = weights }(batchWeights)
	for name, c := range map[string]struct {
		shape  ConvShape
		phases bool
	}{
		"1×1, part of vectors": {convShape(2, 5, 6, 37, 23, 1, 1, 1, 0), false},
		"computed again":       {convShape(3, 6, 7, 16, 8, 1, 1, 1, 0), false},
		"strided":              {convShape(2, 9, 11, 24, 48, 3, 3, 2, 1), false},
		"in phases":            {convShape(5, 13, 12, 16, 48, 3, 3, 1, 1), true},
	} {
		for _, a := range []Activation{Identity, ReLU, ReLU6} {
			if batchWeights = 1 << 30; c.phases {
				batchWeights = 1
			}
			s := BlockShape{Conv: c.shape, Norm: BatchStatistics, Epsilon: 1e-5}
			filters := s.Conv.Filters
			subject := subject{arguments: []int{s.Conv.inputs(), s.Conv.weights(), filters, filters, filters, s.Conv.outputs()}, result: s.Conv.outputs()}
			x, dy := subject.draw(1)
			singleX, singleDy := convertAll[float32](x), convert[float32](dy)
			k, apart, z, dz := NewBlock[float32](s), NewBlock[float32](s), make([]float32, len(dy)), make([]float32, len(dy))
			if !k.Adds(a) {
				t.Fatalf("%s: activation %d is not added", name, a)
			}
			together := operation[float32]{
				forward: func(y []float32, x ...[]float32) { k.ForwardSum(y, x[0], blockWeights(s, x), x[5], a) },
				backward: func(dx, x [][]float32, y, dy []float32) {
					k.BackwardSum(dx[0], blockWeights(s, dx), dx[5], x[0], blockWeights(s, x), y, dy, a)
				},
			}
			wantY, wantDx := run(operation[float32]{
				forward: func(y []float32, x ...[]float32) {
					apart.Forward(z, x[0], blockWeights(s, x))
					AddActivate(a, y, nil, z, x[5], nil, filters)
				},
				backward: func(dx, x [][]float32, y, dy []float32) {
					AddActivateBackward(a, dz, dx[5], nil, nil, y, dy, nil, filters)
					apart.Backward(dx[0], blockWeights(s, dx), x[0], blockWeights(s, x), z, dz)
				},
			}, singleX, singleDy, nil)
			y, dx := run(together, singleX, singleDy, nil)
			sameBits(t, "the sum", y, wantY)
			for i := range dx {
				sameBits(t, "a gradient", dx[i], wantDx[i])
			}
			checkPromises(t, together, singleX, singleDy)
		}
	}
	for _, s := range []BlockShape{
		{Conv: convShape(1, 4, 4, 8, 8, 1, 1, 1, 0), Norm: BatchStatistics, Epsilon: 1e-5, Activation: ReLU},
		{Conv: convShape(1, 4, 4, 8, 8, 1, 1, 1, 0), Norm: GivenStatistics, Epsilon: 1e-5},
		{Conv: convShape(1, 4, 4, 8, 8, 1, 1, 1, 0), Norm: BatchStatistics, Epsilon: 1e-5, PoolSize: 2, PoolStride: 2},
		{Conv: convShape(1, 4, 4, 8, 8, 1, 1, 1, 0)},
	} {
		if NewBlock[float32](s).Adds(Identity) {
			t.Errorf("a block of shape %+v adds in training", s)
		}
	}
}
