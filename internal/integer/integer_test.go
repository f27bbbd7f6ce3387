package integer

import "testing"

// A convolution by hand: one channel, a kernel of 1×2, zero point 10.
func TestConvByHand(t *testing.T) {
	c, err := NewConv(ConvShape{Input: Shape{1, 3, 1}, Filters: 1, KernelHeight: 1, KernelWidth: 2, Stride: 1, Padding: Padding{Right: 1}},
		Weights{Values: []int8{2, -3}, Bias: []int32{4}, Zero: 10},
		Requantize{Scale: []float32{0.5}, Zero: 5, Low: 0, High: 255})
	if err != nil {
		t.Fatal(err)
	}
	y := make([]uint8, 3)
	c.Forward(y, []uint8{12, 10, 40}, nil, 1)
	// Sums: 4+2·2−0 = 8; 4+0−3·30 = −86; 4+2·30−0 (padding) = 64; halves plus 5: 9, −38, 37.
	for i, want := range []uint8{9, 0, 37} {
		if y[i] != want {
			t.Errorf("result %d: found %d, expected %d", i, y[i], want)
		}
	}
}
