package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
	"github.com/likeness-go/likeness/zoo"
)

// The model that comes with the program is written for ONNX Runtime, with its
// distance in a file of its own.
func Example() {
	folder, err := os.MkdirTemp("", "onnx-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		fmt.Println(err)
		return
	}
	network, err := onnx.Network(model)
	if err != nil {
		fmt.Println(err)
		return
	}
	head, err := onnx.Head(model)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(network.WriteFile(filepath.Join(folder, "network.onnx")), head.WriteFile(filepath.Join(folder, "head.onnx")))
	fmt.Println(network.Inputs[0], "to", network.Outputs[0])
	fmt.Println(head.Inputs[0], "and", head.Inputs[1], "to", head.Outputs[0])
	// Output:
	// <nil> <nil>
	// images (batch, 1, 28, 28) to embeddings (batch, 1152)
	// left (batch, 1152) and right (batch, 1152) to distance (batch)
}

// A network that PyTorch wrote is imported without its classifier, for embeddings and as the
// beginning of a training.
func ExampleImport() {
	whole, err := onnx.Import(filepath.Join("testdata", "resnet-dynamo.onnx"), onnx.ImportOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("classifier of", whole.Classes, "classes after", whole.Classifier)
	imported, err := onnx.Import(filepath.Join("testdata", "resnet-dynamo.onnx"), onnx.ImportOptions{
		Cut:           whole.Classifier,
		Preprocessing: imaging.Preprocessing{Mean: []float64{0.485, 0.456, 0.406}, StdDev: []float64{0.229, 0.224, 0.225}},
		Head:          heads.Cosine{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	shape, err := backbone.ShapeOf(imported.Model.Backbone)
	fmt.Println(imported.Model.Preprocessing.Size, "to", shape.Features, "features", err)
	// Output:
	// classifier of 5 classes after view
	// 32x32x3 to 6 features <nil>
}
