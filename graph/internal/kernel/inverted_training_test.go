package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

// trainingShapeOf is invertedShapeOf for training.
func trainingShapeOf(before int, depthwise ConvShape, after int, activation Activation, residual bool) invertedShape {
	s := invertedShapeOf(before, depthwise, after, BatchStatistics, activation, Identity, residual)
	for _, block := range []*BlockShape{s.expand, &s.depthwise, &s.project} {
		if block != nil {
			block.Evaluation = false
		}
	}
	return s
}

// shapes returns the blocks that there are, and the number of each.
func (s invertedShape) shapes() (blocks []BlockShape, numbers []int) {
	for i, block := range []*BlockShape{s.expand, &s.depthwise, &s.project} {
		if block != nil {
			blocks, numbers = append(blocks, *block), append(numbers, i)
		}
	}
	return blocks, numbers
}

// newInvertedTraining returns the combination of new blocks.
func newInvertedTraining[T Float](s invertedShape) *InvertedTraining[T] {
	var blocks [3]*Block[T]
	shapes, numbers := s.shapes()
	for i, number := range numbers {
		blocks[number] = NewBlock[T](shapes[i])
	}
	return NewInvertedTraining(blocks[0], blocks[1], blocks[2], s.residual)
}

func trainingOperation[T Float](k *InvertedTraining[T], s invertedShape) operation[T] {
	_, numbers := s.shapes()
	weights := func(x [][]T) (w [3]BlockWeights[T]) {
		for i, number := range numbers {
			w[number] = BlockWeights[T]{Weight: x[1+3*i], Gain: x[2+3*i], Shift: x[3+3*i]}
		}
		return w
	}
	return operation[T]{
		forward: func(y []T, x ...[]T) { k.Forward(y, x[0], weights(x)) },
		backward: func(dx, x [][]T, y, dy []T) {
			if k.windows { // there is no gradient of the input
				clear(dx[0])
				dx = append([][]T{nil}, dx[1:]...)
			}
			k.Backward(dx[0], weights(dx), x[0], weights(x), dy)
		},
	}
}

// oneAfterTheOther is the blocks and the sum one after the other.
func oneAfterTheOther[T Float](s invertedShape) operation[T] {
	shapes, _ := s.shapes()
	var blocks []operation[T]
	results := [][]T{nil}
	for _, shape := range shapes {
		blocks = append(blocks, composed[T](shape))
		results = append(results, make([]T, shape.Conv.outputs()))
	}
	arguments := func(x [][]T, i int) [][]T {
		return [][]T{results[i], x[1+3*i], nil, x[2+3*i], x[3+3*i]}
	}
	return operation[T]{
		forward: func(y []T, x ...[]T) {
			results[0] = x[0]
			for i, block := range blocks {
				block.forward(results[i+1], arguments(x, i)...)
			}
			copy(y, results[len(blocks)])
			for i := range y {
				if s.residual {
					y[i] += x[0][i]
				}
			}
		},
		backward: func(dx, x [][]T, y, dy []T) {
			gradient := dy
			for i := len(blocks) - 1; i >= 0; i-- {
				below := make([]T, len(results[i]))
				blocks[i].backward([][]T{below, dx[1+3*i], nil, dx[2+3*i], dx[3+3*i]}, arguments(x, i), results[i+1], gradient)
				gradient = below
			}
			if c := shapes[0].Conv; len(shapes) == 3 && (c.Padding != Padding{} || c.KernelHeight > 1) {
				gradient = make([]T, len(dx[0]))
			}
			copy(dx[0], gradient)
			for i := range dx[0] {
				if s.residual {
					dx[0][i] += dy[i]
				}
			}
		},
	}
}

func trainingSubject(s invertedShape) subject {
	shapes, _ := s.shapes()
	last := shapes[len(shapes)-1].Conv
	arguments := []int{shapes[0].Conv.inputs()}
	for _, shape := range shapes {
		arguments = append(arguments, shape.Conv.weights(), shape.Conv.Filters, shape.Conv.Filters)
	}
	return subject{
		arguments: arguments, result: last.outputs(),
		single: trainingOperation(newInvertedTraining[float32](s), s), double: trainingOperation(newInvertedTraining[float64](s), s),
		naive: oneAfterTheOther[float64](s), tolerance: 1e-3,
	}
}

func TestInvertedTraining(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
		// Of a few values, or of windows of zeros, float32 leaves little of the variance.
		kernel := number("kernel", 1, 3)
		c := convShape(number("batch", 2, 3), number("height", 4, 7), number("width", 4, 7), 0, 0, kernel, kernel, number("stride", 1, 2), number("padding", 0, kernel-1))
		c.Channels = number("expanded channels", 2, 40)
		c.Filters, c.Groups = c.Channels, c.Channels
		before, after, residual := number("channels before", 0, 20), number("channels after", 1, 40), false
		if height, width := c.Output(); height == c.Height && width == c.Width && rapid.Bool().Draw(t, "residual") {
			residual = true
			if after = before; before == 0 {
				after = c.Channels
			}
		}
		activation := rapid.SampledFrom([]Activation{Identity, ReLU, ReLU6}).Draw(t, "activation")
		s := trainingSubject(trainingShapeOf(before, c, after, activation, residual))
		x, dy := s.draw(rapid.Uint64().Draw(t, "seed"))
		wantY, wantDx := run(s.naive, x, dy, nil)
		checkAgainst(t, "float64", s.double, x, dy, wantY, wantDx, 1e-9)
		singleX, singleDy := convertAll[float32](x), convert[float32](dy)
		y, _ := run(s.single, singleX, singleDy, nil) // gradients of a few values may be sums of large ones that cancel
		near(t, "float32 result", y, convert[float32](wantY), s.tolerance)
		checkPromises(t, s.single, singleX, singleDy)
	})
}

// Shapes of networks, which are computed in several bands.
func TestInvertedTrainingInBands(t *testing.T) {
	for name, s := range map[string]invertedShape{
		"3×3, stride 2":       trainingShapeOf(16, withGroups(96, convShape(1, 56, 112, 96, 96, 3, 3, 2, 1)), 24, ReLU6, false),
		"3×3, residual":       trainingShapeOf(24, withGroups(144, convShape(1, 28, 56, 144, 144, 3, 3, 1, 1)), 24, ReLU6, true),
		"5×5, same, stride 2": trainingShapeOf(24, withGroups(144, padded(convShape(1, 28, 56, 144, 144, 5, 5, 2, 0), 1, 1, 2, 2)), 40, ReLU6, false),
		"512 channels":        trainingShapeOf(64, withGroups(512, convShape(1, 14, 14, 512, 512, 3, 3, 1, 1)), 64, ReLU, true),
		"separable":           trainingShapeOf(0, withGroups(32, convShape(1, 112, 60, 32, 32, 3, 3, 1, 1)), 16, ReLU6, false),
		"a stride of three":   trainingShapeOf(8, withGroups(300, convShape(1, 31, 60, 300, 300, 2, 2, 3, 0)), 32, ReLU6, false),
		"first layer":         trainingShapeOf(3, withGroups(32, convShape(2, 28, 30, 32, 32, 3, 3, 1, 1)), 16, ReLU6, false).withWindows(convShape(2, 56, 60, 3, 32, 3, 3, 2, 1)),
		"first layer, valid":  trainingShapeOf(3, withGroups(40, convShape(2, 29, 30, 40, 40, 5, 5, 2, 2)), 24, ReLU, false).withWindows(convShape(2, 33, 34, 3, 40, 5, 5, 1, 0)),
		"a border of 1×1":     trainingShapeOf(3, withGroups(40, convShape(2, 30, 30, 40, 40, 3, 3, 1, 1)), 24, ReLU, false).withWindows(convShape(2, 26, 26, 3, 40, 1, 1, 1, 2)),
		"7×7":                 trainingShapeOf(160, withGroups(960, convShape(2, 7, 7, 960, 960, 3, 3, 1, 1)), 160, ReLU6, true),
	} {
		t.Run(name, func(t *testing.T) {
			subject := trainingSubject(s)
			x, dy := subject.draw(1)
			wantY, wantDx := run(subject.naive, x, dy, nil)
			checkAgainst(t, "float64", subject.double, x, dy, wantY, wantDx, 1e-9)
			singleX, singleDy := convertAll[float32](x), convert[float32](dy)
			y, dx := run(subject.single, singleX, singleDy, nil)
			near(t, "float32 result", y, convert[float32](wantY), 1e-4)
			for i := range dx {
				nearOnTheWhole(t, dx[i], wantDx[i], 1e-3)
			}
		})
	}
}

// nearOnTheWhole fails unless the length of the difference from want is at most the tolerance times that of want.
func nearOnTheWhole(t *testing.T, got []float32, want []float64, tolerance float64) {
	t.Helper()
	var difference, length float64
	for i, v := range want {
		d := float64(got[i]) - v
		difference, length = difference+d*d, length+v*v
	}
	if !(difference <= tolerance*tolerance*length) {
		t.Errorf("the squared difference is %g, the squared length %g", difference, length)
	}
}

func TestInvertedTrainingGradient(t *testing.T) {
	for _, s := range []invertedShape{
		trainingShapeOf(3, withGroups(4, convShape(2, 5, 4, 4, 4, 3, 3, 1, 1)), 3, ReLU6, true),
		trainingShapeOf(2, withGroups(5, convShape(2, 5, 4, 5, 5, 2, 2, 2, 1)), 3, ReLU, false),
		trainingShapeOf(0, withGroups(3, convShape(2, 4, 4, 3, 3, 3, 3, 1, 1)), 3, Identity, true),
	} {
		checkGradient(t, trainingSubject(s))
	}
}
