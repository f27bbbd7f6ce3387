package kernel

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// drawGroupedShape draws shapes with one channel in each group, one or several filters, or
// with several channels in each group.
func drawGroupedShape(t *rapid.T) ConvShape {
	s := drawConvShape(t)
	s.Groups = rapid.IntRange(2, 20).Draw(t, "groups")
	s.Channels = s.Groups * rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "channels of a group")
	s.Filters = s.Groups * rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "filters of a group")
	return s
}

func TestGroups(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject { return conv(drawGroupedShape(t)) })
}

// withGroups returns a shape with groups.
func withGroups(groups int, s ConvShape) ConvShape {
	s.Groups = groups
	return s
}

// Shapes of networks, and those that are computed in several bands, parts and tiles.
func TestDepthwise(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"3×3":                         withGroups(24, convShape(3, 14, 15, 24, 24, 3, 3, 1, 1)),
		"3×3, stride 2":               withGroups(32, convShape(2, 14, 15, 32, 32, 3, 3, 2, 1)),
		"3×3, same":                   withGroups(16, padded(convShape(2, 28, 28, 16, 16, 3, 3, 2, 1), 0, 0, 1, 1)),
		"5×5":                         withGroups(40, convShape(2, 13, 14, 40, 40, 5, 5, 1, 2)),
		"5×5, stride 2":               withGroups(16, padded(convShape(2, 14, 14, 16, 16, 5, 5, 2, 2), 1, 1, 2, 2)),
		"7×7":                         withGroups(48, convShape(2, 14, 7, 48, 48, 7, 7, 1, 3)),
		"7×7, stride 2":               withGroups(16, convShape(2, 21, 22, 16, 16, 7, 7, 2, 3)),
		"several bands":               withGroups(96, convShape(1, 27, 57, 96, 96, 3, 3, 1, 1)),
		"several bands, stride":       withGroups(128, convShape(1, 61, 37, 128, 128, 5, 5, 2, 2)),
		"several bands, valid":        withGroups(64, convShape(1, 50, 57, 64, 64, 5, 3, 1, 0)),
		"padding beyond windows":      withGroups(8, convShape(2, 5, 4, 8, 8, 2, 2, 1, 4)),
		"several filters":             withGroups(12, convShape(1, 40, 41, 12, 48, 3, 3, 1, 1)),
		"a wide kernel":               withGroups(16, convShape(1, 12, 33, 16, 16, 3, 17, 1, 8)),
		"a stride of three":           withGroups(16, convShape(2, 17, 16, 16, 16, 2, 2, 3, 1)),
		"rows of one pixel":           withGroups(16, convShape(2, 17, 1, 16, 16, 3, 1, 1, 0)),
		"many images":                 withGroups(16, convShape(37, 4, 4, 16, 16, 3, 3, 1, 1)),
		"pixels a power of two apart": withGroups(512, convShape(1, 7, 6, 512, 512, 3, 3, 2, 1)),
		"several filters, likewise":   withGroups(128, convShape(1, 5, 6, 128, 512, 5, 5, 1, 2)),
		"groups of channels":          withGroups(4, convShape(3, 10, 9, 64, 64, 3, 3, 1, 1)),
	} {
		t.Run(name, func(t *testing.T) { check(t, conv(s), 1) })
	}
}

func TestDepthwiseOperationGradient(t *testing.T) {
	for _, s := range []ConvShape{
		withGroups(3, convShape(2, 4, 5, 3, 3, 3, 2, 2, 1)),
		withGroups(3, padded(convShape(2, 5, 4, 3, 6, 3, 3, 1, 0), 0, 1, 2, 0)),
		withGroups(2, convShape(2, 4, 5, 4, 6, 3, 2, 1, 1)),
	} {
		checkGradient(t, conv(s))
	}
}

// A block of a grouped convolution equals the kernels one by one. With the statistics of the
// batch, the gradient of a filter of one tap is zero but for rounding, so there are more.
func TestGroupedBlock(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		s := drawBlockShape(t)
		s.Conv = drawGroupedShape(t)
		if s.Norm == BatchStatistics {
			s.Conv.Height, s.Conv.Width = s.Conv.Height+4, s.Conv.Width+4
			s.Conv.KernelHeight, s.Conv.KernelWidth = max(s.Conv.KernelHeight, 2), max(s.Conv.KernelWidth, 2)
		}
		s.PoolSize, s.PoolStride, s.PoolPadding = 0, 0, 0
		if height, width := s.Conv.Output(); rapid.Bool().Draw(t, "pooled") {
			s.PoolSize = rapid.IntRange(1, min(3, height, width)).Draw(t, "pool size")
			s.PoolStride = rapid.IntRange(1, 3).Draw(t, "pool stride")
			s.PoolPadding = rapid.IntRange(0, s.PoolSize/2).Draw(t, "pool padding")
		}
		return block(s, rapid.Bool().Draw(t, "shared slope"))
	})
}

// Bands of the gradient consist of whole pooling windows.
func TestDepthwiseBlockInBands(t *testing.T) {
	for _, c := range []struct {
		norm         Norm
		size, stride int // of the pool
	}{{BatchStatistics, 2, 2}, {BatchStatistics, 0, 0}, {NoNorm, 3, 2}} {
		if testing.Short() && c.size == 0 {
			break
		}
		t.Run(fmt.Sprintf("norm %d, pool %d", c.norm, c.size), func(t *testing.T) {
			check(t, block(BlockShape{
				Conv: withGroups(128, convShape(1, 25, 43, 128, 128, 3, 3, 1, 1)), Norm: c.norm, Epsilon: 1e-3,
				Activation: Tanh, PoolSize: c.size, PoolStride: c.stride,
			}, false), 1)
		})
	}
}

func TestGroupedBlockInEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawBlockShape(t)
		s.Conv, s.PoolSize, s.PoolStride, s.PoolPadding = drawGroupedShape(t), 0, 0, 0
		checkEvaluation(t, s)
	})
}

// Two channels of 1×3 pixels with their own filters: differences and sums of neighbors.
func TestDepthwiseByHand(t *testing.T) {
	c := NewConv[float32](withGroups(2, padded(convShape(1, 1, 3, 2, 2, 1, 2, 1, 0), 0, 0, 0, 1)))
	y := make([]float32, 6)
	c.Forward(y, []float32{1, 10, 2, 20, 4, 40}, []float32{-1, 1, 1, 1}, []float32{0.5, 0})
	near(t, "the result", y, []float32{1.5, 30, 2.5, 60, -3.5, 40}, 0)
}

func TestGroupsValidate(t *testing.T) {
	valid := withGroups(3, convShape(1, 4, 4, 6, 9, 3, 3, 1, 1))
	if err := valid.Validate(); err != nil {
		t.Errorf("a valid shape: %v", err)
	}
	for want, s := range map[string]ConvShape{
		"groups is -1, it must be at least 0":                                                           withGroups(-1, valid),
		"6 channels and 9 filters in 2 groups: both must be divisible by the number of groups":          withGroups(2, valid),
		"6 channels and 9 filters in 4 groups: both must be divisible by the number of groups":          withGroups(4, valid),
		"groups is 2000, it must be at most 1024 or the number of channels, 4000":                       withGroups(2000, convShape(1, 4, 4, 4000, 2000, 3, 3, 1, 1)),
		"2000 channels and 1000 filters in 2000 groups: both must be divisible by the number of groups": withGroups(2000, convShape(1, 4, 4, 2000, 1000, 3, 3, 1, 1)),
	} {
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
