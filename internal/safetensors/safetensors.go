package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/pkg/errors"
)

// ErrMalformed marks input that is not a safetensors file, or one whose header
// contradicts itself or the file's size.
var ErrMalformed = errors.New("malformed safetensors file")

// File is the content of one safetensors file.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor // in any order; Read sorts them by name
}

// Tensor is one named array.
type Tensor struct {
	Name  string
	Shape []int // empty for a single number
	Data  any   // []float32, []float64, []int64, []int32, []int8 or []uint8, row-major
	// Half is set for a tensor that the file has as F16. Its Data are []float32, which
	// Write refuses unless all are half-precision numbers.
	Half bool
}

// Tensor returns the tensor of that name.
func (f File) Tensor(name string) (tensor Tensor, found bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// layout returns the format's name for the type of the elements in Data, and their
// number.
func (t Tensor) layout() (dtype string, elements int, err error) {
	switch data := t.Data.(type) {
	case []float32:
		if t.Half {
			return "F16", len(data), nil
		}
		return "F32", len(data), nil
	case []float64:
		return "F64", len(data), nil
	case []int64:
		return "I64", len(data), nil
	case []int32:
		return "I32", len(data), nil
	case []int8:
		return "I8", len(data), nil
	case []uint8:
		return "U8", len(data), nil
	default:
		return "", 0, errors.Errorf("tensor %q: data is %T, want []float32, []float64, []int64, []int32, []int8 or []uint8", t.Name, t.Data)
	}
}

// elementSize is the number of bytes an element takes in a file, for the
// dtypes that Read knows.
var elementSize = map[string]int64{"BF16": 2, "F16": 2, "F32": 4, "F64": 8, "I64": 8, "I32": 4, "I8": 1, "U8": 1}

// count multiplies a shape's dimensions; ok is false if one is negative or the
// product does not fit.
func count[T int | int64](shape []T) (elements int64, ok bool) {
	const most = 1<<63 - 1
	elements = 1
	for _, size := range shape {
		if size < 0 || size > 0 && elements > most/int64(size) {
			return 0, false
		}
		elements *= int64(size)
	}
	return elements, true
}

// ChecksumKey is the key of the metadata in which Seal stores the checksum.
const ChecksumKey = "likeness.checksum"

// ErrChecksum marks a file that differs from the one that was sealed.
var ErrChecksum = errors.New("the file is not as it was written: restore a copy of it")

// Checksum is the SHA-256, in hexadecimal, of the file's canonical form without
// the metadata of some keys: of every name, shape, number and text of the file,
// independent of their order in it.
func (f File) Checksum(without ...string) (string, error) {
	f.Metadata = maps.Clone(f.Metadata)
	for _, key := range without {
		delete(f.Metadata, key)
	}
	hash := sha256.New()
	if err := Write(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Seal adds the checksum of the file to its metadata. It detects accidental changes by a
// disk or a transfer, not intentional ones: a changed file can be sealed again.
func (f *File) Seal() error {
	sum, err := f.Checksum(ChecksumKey)
	if err != nil {
		return err
	}
	f.Metadata = maps.Clone(f.Metadata)
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	f.Metadata[ChecksumKey] = sum
	return nil
}

// Verify compares a file with its checksum; a file without one is an ErrChecksum, too.
func (f File) Verify() error {
	stored, sealed := f.Metadata[ChecksumKey]
	if !sealed {
		return errors.Wrapf(ErrChecksum, "field %s is missing", ChecksumKey)
	}
	found, err := f.Checksum(ChecksumKey)
	if err != nil {
		return err
	}
	if found != stored {
		return errors.Wrapf(ErrChecksum, "field %s: found the checksum %s, expected %s", ChecksumKey, found, stored)
	}
	return nil
}
