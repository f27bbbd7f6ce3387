package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/likeness-go/likeness/internal/safetensors"
)

func Example() {
	var content bytes.Buffer
	err := safetensors.Write(&content, safetensors.File{
		Metadata: map[string]string{"backbone": "conv4"},
		Tensors: []safetensors.Tensor{
			{Name: "output.weight", Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, 6}},
			{Name: "output.bias", Shape: []int{2}, Data: []float32{7, 8}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	file, err := safetensors.Read(bytes.NewReader(content.Bytes()), int64(content.Len()), "digits.safetensors")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Metadata["backbone"])
	for _, tensor := range file.Tensors {
		fmt.Println(tensor.Name, tensor.Shape, tensor.Data)
	}
	// Output:
	// conv4
	// output.bias [2] [7 8]
	// output.weight [2 3] [1 2 3 4 5 6]
}
