package kernel

import "testing"

// The rounding error of the transform is no larger than that of long sums: results equal
// those of a direct convolution up to the default tolerances, in both precisions.
func TestFourier(t *testing.T) {
	for name, s := range map[string]ConvShape{
		"even period":      convShape(2, 10, 10, 8, 16, 7, 7, 1, 0),
		"odd period":       convShape(2, 9, 7, 15, 10, 5, 5, 1, 0),
		"oblong kernel":    convShape(2, 12, 9, 16, 16, 7, 3, 1, 0),
		"padded":           convShape(2, 8, 9, 16, 16, 5, 5, 1, 2),
		"widely padded":    convShape(2, 5, 6, 16, 16, 4, 4, 1, 3),
		"padded below":     padded(convShape(2, 8, 9, 16, 16, 5, 5, 1, 0), 0, 1, 3, 0),
		"padded above":     padded(convShape(2, 12, 7, 16, 16, 5, 3, 1, 0), 4, 2, 0, 1),
		"many channels":    convShape(1, 4, 3, 100, 60, 3, 2, 1, 1),
		"groups of images": convShape(fourierImages+2, 4, 3, 8, 9, 3, 3, 1, 1),
		"one row":          convShape(3, 1, 12, 16, 16, 1, 5, 1, 0),
		"two columns":      convShape(3, 9, 2, 16, 16, 5, 1, 1, 0),
		"one result":       convShape(3, 5, 4, 16, 16, 5, 4, 1, 0),
	} {
		if testing.Short() && name != "groups of images" && name != "widely padded" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := conv(s)
			c.single, c.double = convOperationOf(byFourier[float32](t, s)), convOperationOf(byFourier[float64](t, s))
			check(t, c, 1)
		})
	}
}

// byFourier returns a layer that uses the transform, whether that pays or not.
func byFourier[T Float](t *testing.T, s ConvShape) *Conv[T] {
	t.Helper()
	c := NewConv[T](s)
	if !fourierApplies(s) {
		t.Fatal("the transform does not apply")
	}
	c.winograd, c.fourier = nil, newFourier(c.engine, s)
	return c
}

func TestFourierGradient(t *testing.T) {
	s := convShape(2, 6, 5, 3, 2, 3, 4, 1, 1)
	c := conv(s)
	c.double = convOperationOf(byFourier[float64](t, s))
	checkGradient(t, c)
}

// A block stores the results that the gradient of batch normalization needs, and computes
// them again otherwise.
func TestFourierBlock(t *testing.T) {
	for name, norm := range map[string]Norm{"no norm": NoNorm, "batch norm": BatchStatistics, "given statistics": GivenStatistics} {
		t.Run(name, func(t *testing.T) {
			s := BlockShape{
				Conv: convShape(fourierImages+1, 5, 6, 4, 5, 3, 3, 1, 0),
				Norm: norm, Epsilon: 1e-3, Activation: ReLU, PoolSize: 2, PoolStride: 2,
			}
			k := block(s, false)
			k.single = operationOf(newBlock(s, byFourier[float32](t, s.Conv)))
			k.double = operationOf(newBlock(s, byFourier[float64](t, s.Conv)))
			check(t, k, 1)
		})
	}
}

// The transform is used for large kernels and many images, channels and filters.
func TestFourierPays(t *testing.T) {
	defer SetFourier(!noFourier.Load())
	koch := convShape(64, 48, 48, 64, 128, 7, 7, 1, 0)
	few, strided, small, large := koch, koch, koch, koch
	few.Batch, strided.Stride = fewImages, 2
	small.KernelHeight, small.KernelWidth = 2, 2
	large.Height, large.Width = 480, 480
	for name, c := range map[string]struct {
		shape ConvShape
		on    bool
		want  bool
	}{
		"the second layer of Koch's network": {koch, true, true},
		"a few images":                       {few, true, false},
		"with a stride":                      {strided, true, false},
		"a small kernel":                     {small, true, false},
		"spectra beyond memory":              {large, true, false},
		"when it is off":                     {koch, false, false},
	} {
		SetFourier(c.on)
		if got := NewConv[float32](c.shape).fourier != nil; got != c.want {
			t.Errorf("%s: used is %t, want %t", name, got, c.want)
		}
	}
}
