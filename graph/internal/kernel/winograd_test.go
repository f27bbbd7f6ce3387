package kernel

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The rounding error of Winograd's algorithm is larger than that of a direct convolution:
// up to 3e-5 of the largest result. In most of these images tiles reach over the edge.
func TestWinograd(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"whole tiles":   convShape(8, 8, 8, 16, 16, 3, 3, 1, 1),
		"cut tiles":     convShape(4, 14, 11, 32, 48, 3, 3, 1, 1),
		"small images":  convShape(33, 3, 3, 16, 16, 3, 3, 1, 1),
		"no padding":    convShape(5, 13, 9, 16, 32, 3, 3, 1, 0),
		"wide padding":  convShape(5, 9, 10, 16, 16, 3, 3, 1, 2),
		"many channels": convShape(9, 7, 7, 80, 96, 3, 3, 1, 1),
		"a 4×4 kernel":  convShape(4, 12, 13, 16, 32, 4, 4, 1, 0),
		"four pieces":   convShape(3, 15, 17, 16, 16, 7, 7, 1, 0),
		"5×5, padded":   convShape(3, 14, 14, 16, 32, 5, 5, 1, 2),
		"two sides":     padded(convShape(4, 14, 11, 16, 32, 3, 3, 1, 0), 0, 0, 1, 1),
		"4×4, same":     padded(convShape(4, 14, 13, 16, 32, 4, 4, 1, 0), 1, 1, 2, 2),
		"very wide":     padded(convShape(5, 9, 10, 16, 16, 3, 3, 1, 0), 1, 0, 4, 3),
	} {
		if testing.Short() && name != "cut tiles" && name != "four pieces" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := conv(s)
			c.tolerance = 3e-5
			if NewConv[float64](s).winograd != nil {
				t.Error("float64 uses Winograd's algorithm, expected a direct convolution")
			}
			check(t, c, 1)
		})
	}
}

// Products that only unused results need are left out, and what is in memory in their place has no effect.
func TestWinogradLeavesOut(t *testing.T) {
	for _, c := range []struct {
		height, width, count int // products of an image
	}{{8, 8, 4 * 36}, {7, 7, 36 + 30 + 30 + 25}, {8, 7, 2 * (36 + 30)}, {5, 8, 2 * (36 + 30)}, {3, 3, 25}} {
		m := winograd{height: c.height, width: c.width, piece: 3, pieces: 1}
		all, count := m.tilesOf(5), 0
		var space, before []int32
		for value := range tileValues {
			needed := all.needed(&space, value)
			if count += len(needed); all.sameNeeded(value) && !slices.Equal(needed, before) {
				t.Errorf("%d×%d: value %d needs tiles %v, that before it %v", c.height, c.width, value, needed, before)
			}
			before = slices.Clone(needed)
		}
		if count != 5*c.count {
			t.Errorf("%d×%d: found %d products of 5 images, want %d", c.height, c.width, count, 5*c.count)
		}
	}
	defer Retain()() // the memory
	s := convShape(8, 7, 11, 16, 32, 3, 3, 1, 1)
	k, weight, nan := NewConv[float32](s), written(s.weights()), slices.Repeat([]float32{float32(math.NaN())}, s.inputs())
	x, dy := written(s.inputs()), written(s.outputs())
	run := func(x, dy []float32) (all [][]float32) {
		all = [][]float32{make([]float32, s.outputs()), make([]float32, s.inputs()), make([]float32, s.weights())}
		k.Forward(all[0], x, weight, nil)
		k.Backward(all[1], all[2], nil, x, weight, dy)
		return all
	}
	expected := run(x, dy)
	run(nan, slices.Repeat(nan[:1], s.outputs()))
	for i, found := range run(x, dy) {
		sameBits(t, "an array", found, expected[i])
	}
}

// Layers with many channels are computed in phases, some images at a time, with the same bits.
func TestWinogradInPhases(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"cut tiles":    convShape(9, 14, 11, 32, 48, 3, 3, 1, 1),
		"small images": convShape(33, 3, 3, 16, 80, 3, 3, 1, 1),
		"four pieces":  convShape(5, 15, 17, 16, 16, 7, 7, 1, 0),
		"two sides":    padded(convShape(6, 14, 11, 16, 32, 3, 3, 1, 0), 0, 0, 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			x, weight, bias, dy := written(s.inputs()), written(s.weights()), written(s.Filters), written(s.outputs())
			run := func() [][]float32 {
				var all [][]float32
				for _, b := range []BlockShape{
					{Conv: s},
					{Conv: s, Norm: BatchStatistics, Epsilon: 1e-5, Activation: ReLU},
					{Conv: s, Activation: ReLU6, Evaluation: true},
					{Conv: s, Activation: SiLU, Evaluation: true},
				} {
					k := NewBlock[float32](b)
					y, dx := make([]float32, s.outputs()), make([]float32, s.inputs())
					w := BlockWeights[float32]{Weight: weight, Bias: bias}
					if b.Norm != NoNorm {
						w.Gain, w.Shift = bias, bias
					}
					if k.Forward(y, x, w); !b.Evaluation {
						k.Backward(dx, BlockWeights[float32]{}, x, w, y, dy)
					}
					all = append(all, y, dx)
				}
				y, dx, k := make([]float32, s.outputs()), make([]float32, s.inputs()), NewConv[float32](s)
				k.Forward(y, x, weight, bias)
				k.Backward(dx, nil, nil, x, weight, dy)
				return append(all, y, dx)
			}
			expected := run()
			defer func(weights, tiles int) { batchWeights, maxBatchTiles = weights, tiles }(batchWeights, maxBatchTiles)
			batchWeights, maxBatchTiles = 1, 100000
			if m := NewConv[float32](s).winograd; m == nil {
				t.Skip("Winograd's algorithm is not implemented for these instructions")
			} else if images := m.phaseImages(s.Batch); images < 1 || images >= s.Batch {
				t.Errorf("found %d of %d images at a time, expected some", images, s.Batch)
			}
			for i, found := range run() {
				if !equalBits(found, expected[i], true) {
					t.Errorf("array %d of a computation in phases differs", i)
				}
			}
			c := conv(s)
			c.tolerance = 3e-5
			check(t, c, 1)

			// In training, weights may be transformed while they are multiplied, some channels at a time.
			defer func(weights, panels, rows int) { fusedWeights, fusedPanels, fusedRows = weights, panels, rows }(fusedWeights, fusedPanels, fusedRows)
			fusedWeights, fusedPanels, fusedRows, maxBatchTiles = 1, 1, 16, 1<<30
			b := BlockShape{Conv: s, Norm: BatchStatistics, Epsilon: 1e-5, Activation: ReLU}
			k := NewBlock[float32](b)
			if k.conv.fuses != (name == "cut tiles" || name == "two sides") { // with pieces of the size of the kernel
				t.Errorf("the weights are transformed while they are multiplied: %t", k.conv.fuses)
			}
			for i, found := range run() {
				near(t, "with weights that are transformed meanwhile", found, expected[i], 3e-5)
			}
			subject := block(b, false)
			x64, dy64 := subject.draw(1)
			checkPromises(t, subject.single, convertAll[float32](x64), convert[float32](dy64))
		})
	}
}

// For many tiles the gradient of the weights uses Winograd's algorithm, too.
func TestWinogradGradient(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"whole tiles":  convShape(130, 8, 8, 16, 16, 3, 3, 1, 1),
		"cut tiles":    convShape(44, 14, 11, 16, 32, 3, 3, 1, 1),
		"two sides":    padded(convShape(130, 8, 9, 16, 16, 3, 3, 1, 0), 2, 0, 0, 1),
		"four pieces":  convShape(44, 15, 17, 16, 16, 7, 7, 1, 0),
		"all at once":  convShape(13, 7, 7, 16, 32, 3, 3, 1, 1),
		"at once, cut": padded(convShape(9, 9, 11, 32, 16, 3, 3, 1, 0), 1, 0, 2, 1),
		"in blocks":    convShape(13, 7, 7, 80, 48, 3, 3, 1, 1),
	} {
		if testing.Short() && name != "cut tiles" && name != "at once, cut" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			inBlocks := name == "in blocks" // the last of which are smaller
			atOnce := inBlocks || strings.Contains(name, "at once")
			if atOnce {
				defer func(channels, side int) { manyChannels, blockSide = channels, side }(manyChannels, blockSide)
				if manyChannels = s.Channels * s.Filters; inBlocks {
					blockSide = 32
				}
			}
			k := NewConv[float32](s)
			if k.initGradient(); k.winograd == nil {
				t.Skip("Winograd's algorithm is not implemented for these instructions")
			}
			if !k.gradient.byTiles {
				t.Error("the gradient of the weights is direct")
			}
			if k.gradient.keeps != atOnce {
				t.Errorf("the tiles of the whole batch are transformed first: %v", k.gradient.keeps)
			}
			c := conv(s)
			c.tolerance = 3e-5
			check(t, c, 1)
		})
	}
}

// Without it, results equal those of a direct convolution up to the default 1e-5.
func TestSetWinograd(t *testing.T) {
	defer SetWinograd(true)
	SetWinograd(false)
	s := convShape(8, 8, 8, 16, 16, 3, 3, 1, 1)
	if NewConv[float32](s).winograd != nil {
		t.Error("Winograd's algorithm is used, expected a direct convolution")
	}
	check(t, conv(s), 1)
}
