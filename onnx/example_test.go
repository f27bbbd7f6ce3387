package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"

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
