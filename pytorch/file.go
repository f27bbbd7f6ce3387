package pytorch

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// File is the tensors of a safetensors file.
type File struct {
	path    string
	tensors []safetensors.Tensor // sorted by name
}

// Open reads the safetensors file at path, of float32, float64, float16,
// bfloat16 or int64.
func Open(path string) (*File, error) {
	file, err := safetensors.ReadFile(path)
	if err != nil {
		return nil, errors.Wrap(err, "read weights")
	}
	return &File{path: path, tensors: file.Tensors}, nil
}

// counter is what PyTorch's batch norm keeps beside its weights: the number of
// batches seen, which nothing here depends on.
const counter = "num_batches_tracked"

func isCounter(name string) bool { return name == counter || strings.HasSuffix(name, "."+counter) }

// names are those of the tensors, but for counters.
func (f *File) names() []string {
	var names []string
	for _, t := range f.tensors {
		if !isCounter(t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

// find gives the tensor of a name, or nil.
func (f *File) find(name string) *safetensors.Tensor {
	for i := range f.tensors {
		if f.tensors[i].Name == name {
			return &f.tensors[i]
		}
	}
	return nil
}

// elements are a tensor's as float32.
func elements(t *safetensors.Tensor) ([]float32, error) {
	switch data := t.Data.(type) {
	case []float32:
		return data, nil
	case []float64:
		narrow := make([]float32, len(data))
		for i, v := range data {
			narrow[i] = float32(v)
		}
		return narrow, nil
	}
	return nil, errors.Errorf("found elements of type %T, expected floating point", t.Data)
}

// show writes a shape as errors have it: (64, 3, 5, 5).
func show(shape []int) string { return fmt.Sprint(tensor.Shape(shape)) }
