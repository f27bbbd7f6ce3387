package integer_test

import (
	"fmt"

	"github.com/likeness-go/likeness/internal/integer"
)

// A 1×1 convolution of an image with two pixels of two channels, and ReLU.
func ExampleNewConv() {
	shape := integer.ConvShape{Input: integer.Shape{Height: 1, Width: 2, Channels: 2}, Filters: 1, KernelHeight: 1, KernelWidth: 1, Stride: 1}
	weights := integer.Weights{Values: []int8{100, -50}, Zero: 10}
	// Byte 0 of the result is zero, and the bound: negative sums are zero.
	result := integer.Requantize{Scale: []float32{0.01}, Zero: 0, Low: 0, High: 255}
	conv, err := integer.NewConv(shape, weights, result)
	if err != nil {
		fmt.Println(err)
		return
	}
	y := make([]uint8, 2)
	conv.Forward(y, []uint8{110, 30, 10, 30}, nil, 1)
	fmt.Println(y) // 100·1 − 20·0.5 and 0·1 − 20·0.5
	// Output: [90 0]
}
