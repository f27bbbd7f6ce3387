package pytorch_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/pytorch"
)

// The weights of Sequential(Conv2d(1, 2, 1), ReLU(), Flatten(), Linear(8, 1)),
// as PyTorch saves them, become those of the same network here.
func Example() {
	path := filepath.Join(os.TempDir(), "example.safetensors")
	defer os.Remove(path)
	err := safetensors.WriteFile(path, safetensors.File{Tensors: []safetensors.Tensor{
		{Name: "0.weight", Shape: []int{2, 1, 1, 1}, Data: []float32{1, -1}},
		{Name: "0.bias", Shape: []int{2}, Data: []float32{0, 1}},
		{Name: "3.weight", Shape: []int{1, 8}, Data: []float32{1, 2, 3, 4, 10, 20, 30, 40}},
		{Name: "3.bias", Shape: []int{1}, Data: []float32{0.5}},
	}})
	if err != nil {
		log.Fatal(err)
	}

	network := backbone.Network{Name: "tiny", Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Blocks: []graph.Block{
		graph.Conv{Filters: 2, Kernel: 1, Activation: "relu"}, graph.Flatten{}, graph.Linear{Units: 1},
	}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		log.Fatal(err)
	}
	file, err := pytorch.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	mapping, err := file.Derive(model)
	if err != nil {
		log.Fatal(err)
	}
	if err := file.Fill(model, mapping); err != nil {
		log.Fatal(err)
	}
	embeddings, err := model.EmbedPixels([][]uint8{{255, 0, 0, 255}}) // 1, 0, 0, 1
	fmt.Print(mapping.TOML())
	fmt.Println(embeddings, err) // 1 + 4 of the first map, 20 + 30 of the second, and the bias
	// Output:
	// [weights]
	// conv1 = "0"
	// linear1 = "3"
	// [[55.5]] <nil>
}

// The weights of ResNet-18 were trained on normalized images of 224×224 pixels.
func ExamplePreprocessing() {
	p, _ := pytorch.Preprocessing("resnet18")
	fmt.Println(p.Size, p.Mean, p.StdDev)
	// Output: 224x224x3 [0.485 0.456 0.406] [0.229 0.224 0.225]
}
