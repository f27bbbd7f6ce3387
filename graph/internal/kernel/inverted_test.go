package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"pgregory.net/rapid"
)

// invertedShape is the blocks of an inverted residual in evaluation, the first of which may be
// missing.
type invertedShape struct {
	expand             *BlockShape
	depthwise, project BlockShape
	residual           bool
}

// invertedShapeOf returns blocks of a depthwise convolution, with channels before and after them;
// no channels before are no expansion.
func invertedShapeOf(before int, depthwise ConvShape, after int, norm Norm, activation, last Activation, residual bool) invertedShape {
	block := func(c ConvShape, a Activation) BlockShape {
		return BlockShape{Conv: c, Norm: norm, Epsilon: 1e-3, Activation: a, Evaluation: true}
	}
	height, width := depthwise.Output()
	s := invertedShape{
		depthwise: block(depthwise, activation),
		project:   block(convShape(depthwise.Batch, height, width, depthwise.Filters, after, 1, 1, 1, 0), last),
		residual:  residual,
	}
	if before > 0 {
		expand := block(convShape(depthwise.Batch, depthwise.Height, depthwise.Width, before, depthwise.Channels, 1, 1, 1, 0), activation)
		s.expand = &expand
	}
	return s
}

// withWindows makes the expansion a convolution with larger windows, of an input of the given size.
func (s invertedShape) withWindows(expand ConvShape) invertedShape {
	first := *s.expand
	first.Conv, s.expand = expand, &first
	return s
}

// checkInverted compares the combination of blocks, for several numbers of threads, with the
// blocks one after the other, whose bits it must have.
func checkInverted[T Float](t rapid.TB, s invertedShape, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	var blocks [3]*Block[T]
	var weights [3]BlockWeights[T]
	prepare := func(i int, shape BlockShape) {
		x, _ := block(shape, false).draw(random.Uint64())
		single := convertAll[T](x)
		blocks[i], weights[i] = NewBlock[T](shape), blockWeights(shape, single)
	}
	input := s.depthwise.Conv.inputs()
	if s.expand != nil {
		prepare(0, *s.expand)
		input = s.expand.Conv.inputs()
	}
	prepare(1, s.depthwise)
	prepare(2, s.project)
	x := convert[T](normal(random, input))

	want := x
	for i, b := range blocks {
		if b != nil {
			y := make([]T, b.shape.Conv.outputs())
			b.Forward(y, want, weights[i])
			want = y
		}
	}
	if s.residual {
		sum := make([]T, len(want))
		AddActivate(Identity, sum, nil, want, x, nil, s.project.Conv.Filters)
		want = sum
	}
	k := NewInverted(blocks[0], blocks[1], blocks[2], s.residual)
	if k == nil {
		t.Fatalf("the blocks are not combined: %+v", s)
	}
	defer parallel.SetThreads(parallel.Threads())
	for _, threads := range []int{1, 2, 7} {
		parallel.SetThreads(threads)
		got := make([]T, len(want))
		k.Forward(got, x, weights[0], weights[1], weights[2])
		for i := range got { // -0 and 0 are equal: the border adds zeros
			if got[i] != want[i] {
				t.Fatalf("%d threads, element %d: got %v, want %v", threads, i, got[i], want[i])
			}
		}
	}
}

func TestInverted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConvShape(t)
		c.Channels = rapid.IntRange(2, 40).Draw(t, "expanded channels")
		c.Filters, c.Groups = c.Channels, c.Channels
		before, after := rapid.IntRange(0, 20).Draw(t, "channels before"), rapid.IntRange(1, 40).Draw(t, "channels after")
		clips := rapid.SampledFrom([]Activation{Identity, ReLU, ReLU6})
		last, residual := clips.Draw(t, "last activation"), false
		if height, width := c.Output(); height == c.Height && width == c.Width && rapid.Bool().Draw(t, "residual") {
			last, residual = Identity, true
			if after = before; before == 0 {
				after = c.Channels
			}
		}
		norm := rapid.SampledFrom([]Norm{NoNorm, GivenStatistics}).Draw(t, "norm")
		s := invertedShapeOf(before, c, after, norm, clips.Draw(t, "activation"), last, residual)
		seed := rapid.Uint64().Draw(t, "seed")
		checkInverted[float32](t, s, seed)
		checkInverted[float64](t, s, seed)
	})
}

// Shapes of networks, which are computed in several bands and, by several threads, in several
// parts.
func TestInvertedInBands(t *testing.T) {
	for name, s := range map[string]invertedShape{
		"3×3, stride 2":          invertedShapeOf(16, withGroups(96, convShape(1, 56, 112, 96, 96, 3, 3, 2, 1)), 24, GivenStatistics, ReLU6, Identity, false),
		"3×3, residual":          invertedShapeOf(24, withGroups(144, convShape(2, 28, 56, 144, 144, 3, 3, 1, 1)), 24, GivenStatistics, ReLU6, Identity, true),
		"5×5, same, stride 2":    invertedShapeOf(24, withGroups(144, padded(convShape(1, 28, 56, 144, 144, 5, 5, 2, 0), 1, 1, 2, 2)), 40, GivenStatistics, ReLU6, Identity, false),
		"5×5, wide":              invertedShapeOf(112, withGroups(672, convShape(1, 14, 14, 672, 672, 5, 5, 1, 2)), 112, GivenStatistics, ReLU6, Identity, true),
		"512 channels":           invertedShapeOf(64, withGroups(512, convShape(2, 14, 14, 512, 512, 3, 3, 1, 1)), 64, NoNorm, ReLU, ReLU, false),
		"separable":              invertedShapeOf(0, withGroups(32, convShape(2, 112, 60, 32, 32, 3, 3, 1, 1)), 16, GivenStatistics, ReLU6, ReLU6, false),
		"separable, residual":    invertedShapeOf(0, withGroups(128, convShape(1, 28, 28, 128, 128, 3, 3, 1, 1)), 128, GivenStatistics, ReLU6, Identity, true),
		"a stride of three":      invertedShapeOf(8, withGroups(300, convShape(1, 61, 60, 300, 300, 2, 2, 3, 0)), 32, NoNorm, ReLU6, Identity, false),
		"7×7, by channels":       invertedShapeOf(192, withGroups(1152, convShape(1, 7, 7, 1152, 1152, 5, 5, 1, 2)), 192, GivenStatistics, ReLU6, Identity, true),
		"clipped, by channels":   invertedShapeOf(24, withGroups(200, convShape(3, 6, 5, 200, 200, 3, 3, 2, 1)), 40, NoNorm, ReLU6, ReLU, false),
		"first layer":            invertedShapeOf(3, withGroups(32, convShape(2, 56, 60, 32, 32, 3, 3, 1, 1)), 16, GivenStatistics, ReLU6, Identity, false).withWindows(convShape(2, 112, 120, 3, 32, 3, 3, 2, 1)),
		"first layer, same":      invertedShapeOf(3, withGroups(32, convShape(1, 112, 112, 32, 32, 3, 3, 1, 1)), 16, GivenStatistics, ReLU6, Identity, false).withWindows(padded(convShape(1, 224, 224, 3, 32, 3, 3, 2, 0), 0, 0, 1, 1)),
		"first layer, valid":     invertedShapeOf(3, withGroups(40, convShape(2, 29, 30, 40, 40, 5, 5, 2, 2)), 24, NoNorm, ReLU, ReLU, false).withWindows(convShape(2, 33, 34, 3, 40, 5, 5, 1, 0)),
		"a border of 1×1":        invertedShapeOf(3, withGroups(40, convShape(2, 30, 30, 40, 40, 3, 3, 1, 1)), 24, NoNorm, ReLU, ReLU, false).withWindows(convShape(2, 26, 26, 3, 40, 1, 1, 1, 2)),
		"padding beyond windows": invertedShapeOf(8, withGroups(300, convShape(1, 30, 30, 300, 300, 2, 2, 1, 4)), 32, NoNorm, ReLU6, Identity, false),
	} {
		t.Run(name, func(t *testing.T) { checkInverted[float32](t, s, 1) })
	}
}

func TestInvertedCombines(t *testing.T) {
	shape := func() invertedShape {
		return invertedShapeOf(8, withGroups(32, convShape(2, 9, 9, 32, 32, 3, 3, 1, 1)), 8, GivenStatistics, ReLU6, Identity, true)
	}
	for name, c := range map[string]struct {
		spoil    func(s *invertedShape)
		combines bool
	}{
		"as it is":                               {func(*invertedShape) {}, true},
		"a training block":                       {func(s *invertedShape) { s.depthwise.Evaluation = false }, false},
		"batch statistics":                       {func(s *invertedShape) { s.expand.Norm = BatchStatistics }, false},
		"SiLU":                                   {func(s *invertedShape) { s.expand.Activation = SiLU }, false},
		"a pool":                                 {func(s *invertedShape) { s.project.PoolSize, s.project.PoolStride = 2, 2 }, false},
		"3×3 projection":                         {func(s *invertedShape) { s.project.Conv = convShape(2, 9, 9, 32, 8, 3, 3, 1, 1) }, false},
		"strided expansion":                      {func(s *invertedShape) { s.expand.Conv = convShape(2, 17, 17, 8, 32, 1, 1, 2, 0) }, false},
		"a strided expansion without a residual": {func(s *invertedShape) { s.expand.Conv, s.residual = convShape(2, 17, 17, 8, 32, 1, 1, 2, 0), false }, true},
		"several filters":                        {func(s *invertedShape) { s.depthwise.Conv.Filters, s.project.Conv.Channels = 64, 64 }, false},
		"groups of channels":                     {func(s *invertedShape) { s.depthwise.Conv.Groups = 16 }, false},
		"another batch":                          {func(s *invertedShape) { s.expand.Conv.Batch = 1 }, false},
		"clipped projection":                     {func(s *invertedShape) { s.project.Activation = ReLU }, false},
		"another number":                         {func(s *invertedShape) { s.project.Conv.Filters = 9 }, false},
		"without a residual":                     {func(s *invertedShape) { s.project.Activation, s.residual = ReLU, false }, true},
		"without an expander":                    {func(s *invertedShape) { s.expand, s.project.Conv.Filters = nil, 32 }, true},
	} {
		s := shape()
		c.spoil(&s)
		var expand *Block[float32]
		if s.expand != nil {
			expand = NewBlock[float32](*s.expand)
		}
		k := NewInverted(expand, NewBlock[float32](s.depthwise), NewBlock[float32](s.project), s.residual)
		if (k != nil) != c.combines {
			t.Errorf("%s: combined is %t, want %t", name, k != nil, c.combines)
		}
	}
	if NewInverted[float32](nil, nil, nil, false) != nil {
		t.Error("no blocks are combined")
	}
}

// Several tiny images, whose parts would repeat many rows, do not pay; many, large ones, and a few
// that are divided by channels, do.
func TestInvertedPays(t *testing.T) {
	for _, c := range []struct {
		batch, size   int
		pays, divided bool
	}{{1, 7, true, true}, {1, 14, true, false}, {8, 7, true, false}, {5, 1, false, false}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s := invertedShapeOf(16, withGroups(96, convShape(c.batch, c.size, c.size, 96, 96, 3, 3, 1, 1)), 16, GivenStatistics, ReLU6, Identity, true)
			k := NewInverted(NewBlock[float32](*s.expand), NewBlock[float32](s.depthwise), NewBlock[float32](s.project), true)
			if k.Pays() != c.pays {
				t.Errorf("got %t, want %t", k.Pays(), c.pays)
			}
			if divided := k.groups != nil; divided != c.divided {
				t.Errorf("it is divided by channels: got %t, want %t", divided, c.divided)
			}
		})
	}
}

// Parts do not repeat more rows than the threads need.
func TestInvertedParts(t *testing.T) {
	for _, c := range []struct{ batch, size, expansion, threads, want int }{
		{1, 56, 6, 1, 1},   // one thread
		{1, 56, 6, 2, 2},   // 4 parts would take 2 × 15 rows rather than 29
		{8, 56, 6, 2, 1},   // each thread has 4 images
		{1, 56, 1, 2, 8},   // without an expansion nothing is repeated
		{2, 14, 6, 64, 14}, // one row each
	} {
		s := invertedShapeOf(16, withGroups(96, convShape(c.batch, c.size, c.size, 96, 96, 3, 3, 1, 1)), 16, GivenStatistics, ReLU6, Identity, false)
		var expand *Block[float32]
		if c.expansion > 1 {
			expand = NewBlock[float32](*s.expand)
		}
		k := NewInverted(expand, NewBlock[float32](s.depthwise), NewBlock[float32](s.project), false)
		if got := k.parts(c.threads); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
