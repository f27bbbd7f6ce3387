package kernel_test

import (
	"fmt"

	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// A kernel is made once for a shape and then called with arrays.
func ExampleConv() {
	shape := kernel.ConvShape{Batch: 1, Height: 3, Width: 3, Channels: 1, Filters: 1, KernelHeight: 2, KernelWidth: 2, Stride: 1}
	height, width := shape.Output()
	conv := kernel.NewConv[float32](shape)

	image := []float32{
		1, 2, 3,
		4, 5, 6,
		7, 8, 9,
	}
	weight := []float32{
		1, 0,
		0, -1,
	}
	result := make([]float32, height*width)
	conv.Forward(result, image, weight, nil)
	fmt.Println(result)

	gradient := make([]float32, len(weight))
	conv.Backward(nil, gradient, nil, image, weight, []float32{1, 0, 0, 0})
	fmt.Println(gradient)
	// Output:
	// [-4 -4 -4 -4]
	// [1 2 4 5]
}

// A block is convolution, batch norm, activation and max pool in one.
func ExampleBlock() {
	shape := kernel.BlockShape{
		Conv:       kernel.ConvShape{Batch: 1, Height: 2, Width: 4, Channels: 1, Filters: 1, KernelHeight: 1, KernelWidth: 1, Stride: 1},
		Activation: kernel.ReLU,
		PoolSize:   2, PoolStride: 2,
	}
	block := kernel.NewBlock[float32](shape)
	weights := kernel.BlockWeights[float32]{Weight: []float32{2}, Bias: []float32{-1}}
	image := []float32{
		1, 2, -3, -4,
		3, 4, -5, -6,
	}
	result := make([]float32, 2)
	block.Forward(result, image, weights)
	fmt.Println(result)
	// Output: [7 0]
}

func ExampleAllDistances() {
	rows := []float64{
		0, 0,
		3, 4,
	}
	distances := make([]float64, 4)
	kernel.AllDistances(kernel.Euclidean, distances, rows, nil, 2, 2)
	fmt.Println(distances)
	// Output: [0 5 5 0]
}
