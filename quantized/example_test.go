package quantized_test

import (
	"fmt"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/quantized"
)

func Example() {
	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	network := backbone.Network{Name: "mean", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 2, Kernel: 1, Activation: "relu"}, graph.GlobalAveragePool{},
	}}
	weights := graph.NewWeights(graph.Float32, 1)
	_ = weights.Add("conv1.weight", graph.Kernel, []int{2, 1, 1, 1}, []float64{1, -1})
	_ = weights.Add("conv1.bias", graph.Bias, []int{2}, []float64{0, 1})
	images := [][]uint8{{0, 51, 102, 255}, {255, 255, 255, 255}}
	integers, err := quantized.Quantize(network, weights, imaging.Preprocessing{Size: size}, images, quantized.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	embeddings, err := integers.Embed(images)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", embeddings) // the mean brightness and the mean darkness
	// Output: [[0.400 0.600] [1.000 0.000]]
}
