package safetensors

import (
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Write writes f in the format's canonical form: metadata sorted by key,
// tensors by element size, largest first, and then by name, so that each is
// aligned. Before it writes anything, it returns an error for two tensors of one name,
// names and metadata that are not UTF-8, and data whose length differs from its shape.
func Write(w io.Writer, f File) error {
	for key, value := range f.Metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return errors.Errorf("metadata %q: %.40q: not UTF-8", key, value)
		}
	}
	tensors := slices.Clone(f.Tensors)
	entries, err := arrange(tensors)
	if err != nil {
		return err
	}
	header, err := encodeHeader(f.Metadata, entries)
	if err != nil {
		return err
	}

	if err := binary.Write(w, binary.LittleEndian, uint64(len(header))); err != nil {
		return errors.Wrap(err, "header")
	}
	if _, err := w.Write(header); err != nil {
		return errors.Wrap(err, "header")
	}
	for _, tensor := range tensors {
		if err := writeElements(w, tensor); err != nil {
			return errors.Wrapf(err, "tensor %q", tensor.Name)
		}
	}
	return nil
}

// WriteFile writes f to a file atomically.
func WriteFile(path string, f File) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return Write(w, f) })
}

// arrange checks the tensors, sorts them in the order of the file and
// returns the header's entries in the same order.
func arrange(tensors []Tensor) ([]entry, error) {
	dtypes := map[string]string{}
	for _, tensor := range tensors {
		dtype, elements, err := tensor.layout()
		if err != nil {
			return nil, err
		}
		_, twice := dtypes[tensor.Name]
		want, ok := count(tensor.Shape)
		switch {
		case twice:
			return nil, errors.Errorf("tensor %q comes twice", tensor.Name)
		case tensor.Name == metadataName || !utf8.ValidString(tensor.Name):
			return nil, errors.Errorf("tensor %q: the format does not allow this name", tensor.Name)
		case !ok || want != int64(elements):
			return nil, errors.Errorf("tensor %q has %d elements, but shape %v", tensor.Name, elements, tensor.Shape)
		}
		dtypes[tensor.Name] = dtype
	}

	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(
			cmp.Compare(dtypeOrder[dtypes[a.Name]], dtypeOrder[dtypes[b.Name]]),
			cmp.Compare(a.Name, b.Name))
	})
	entries := make([]entry, len(tensors))
	var end int64
	for i, tensor := range tensors {
		dtype := dtypes[tensor.Name]
		shape := make([]int64, len(tensor.Shape)) // never nil: a scalar's shape is []
		for axis, size := range tensor.Shape {
			shape[axis] = int64(size)
		}
		elements, _ := count(tensor.Shape)
		begin := end
		end += elements * elementSize[dtype]
		entries[i] = entry{name: tensor.Name, DType: dtype, Shape: shape, Offsets: []int64{begin, end}}
	}
	return entries, nil
}

// dtypeOrder is the reference implementation's order of the dtypes in a file.
var dtypeOrder = map[string]int{"I64": 0, "F64": 1, "F32": 2, "I32": 3, "F16": 4, "I8": 5, "U8": 6}

func writeElements(w io.Writer, tensor Tensor) error {
	switch data := tensor.Data.(type) {
	case []float32:
		if tensor.Half {
			return writeHalf(w, data)
		}
		return writeChunks(w, data)
	case []float64:
		return writeChunks(w, data)
	case []int64:
		return writeChunks(w, data)
	case []int32:
		return writeChunks(w, data)
	case []int8:
		return writeChunks(w, data)
	case []uint8:
		return writeChunks(w, data)
	}
	return nil // arrange accepts no other types
}

// chunk is the number of elements that are converted at a time, so that a large tensor is
// not in memory twice.
const chunk = 1 << 14

func writeHalf(w io.Writer, data []float32) error {
	buffer := make([]uint16, 0, min(len(data), chunk))
	for part := range slices.Chunk(data, chunk) {
		buffer = buffer[:0]
		for _, v := range part {
			bits := toFloat16(v)
			if fromFloat16(bits) != v {
				return errors.Errorf("found %v, expected a half-precision number", v)
			}
			buffer = append(buffer, bits)
		}
		if err := writeChunks(w, buffer); err != nil {
			return err
		}
	}
	return nil
}

// number is the types of elements in a file.
type number interface {
	float32 | float64 | int64 | int32 | int8 | uint8 | uint16
}

func writeChunks[T number](w io.Writer, data []T) error {
	var buffer []byte
	for part := range slices.Chunk(data, chunk) {
		var err error
		if buffer, err = binary.Append(buffer[:0], binary.LittleEndian, part); err != nil {
			return errors.WithStack(err)
		}
		if _, err := w.Write(buffer); err != nil {
			return errors.WithStack(err)
		}
	}
	return nil
}
