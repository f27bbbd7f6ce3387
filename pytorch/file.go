package pytorch

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness"
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

// check says whether there are a file and a model.
func (f *File) check(model *likeness.Model) error {
	switch {
	case f == nil:
		return errors.New("found a nil file, expected one of Open")
	case model == nil || model.Weights == nil:
		return errors.Errorf("%s: found no model, expected one of likeness.New or likeness.Load", f.path)
	}
	return nil
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

// elements are a tensor's as float32. One that is NaN or infinite, or is as
// float32, is an error: no network works with it.
func elements(t *safetensors.Tensor) ([]float32, error) {
	var narrow []float32
	switch data := t.Data.(type) {
	case []float32:
		narrow = data
	case []float64:
		narrow = make([]float32, len(data))
		for i, v := range data {
			narrow[i] = float32(v)
		}
	default:
		return nil, errors.Errorf("found elements of type %T, expected floating point", t.Data)
	}
	for i, v := range narrow {
		if v-v != 0 {
			return nil, errors.Errorf("value %d is %v, expected a number that is finite as float32", i, v)
		}
	}
	return narrow, nil
}

// show writes a shape as errors have it: (64, 3, 5, 5).
func show(shape []int) string { return fmt.Sprint(tensor.Shape(shape)) }
