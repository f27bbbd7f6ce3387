package safetensors

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/pkg/errors"
)

// Read reads the size bytes of r as a safetensors file. F16 and BF16 tensors
// are converted to []float32, which represents all their values. Element types other
// than these, F32, F64 and I64 are errors, and so are incomplete tensors and bytes
// outside of all tensors. Errors begin with name.
func Read(r io.ReaderAt, size int64, name string) (File, error) {
	file, err := read(r, size)
	return file, errors.Wrap(err, name)
}

// ReadFile reads the safetensors file at path.
func ReadFile(path string) (File, error) {
	// Opening a pipe would wait for its other end.
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return File{}, errors.WithStack(err)
	case info.IsDir():
		return File{}, errors.Wrap(other{"a directory"}, path)
	case !info.Mode().IsRegular():
		return File{}, errors.Wrap(other{"no regular file"}, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return File{}, errors.WithStack(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return File{}, errors.WithStack(err)
	}
	return Read(file, info.Size(), path)
}

func read(r io.ReaderAt, size int64) (File, error) {
	start := make([]byte, min(max(size, 0), longestStart))
	if _, err := r.ReadAt(start, 0); err != nil && !(errors.Is(err, io.EOF) && len(start) == int(size)) {
		return File{}, errors.Wrap(err, "header")
	}
	if kind := kindOf(start); kind != "" {
		return File{}, other{kind}
	}
	if size < 8 {
		return File{}, errors.Wrapf(ErrMalformed, "it has %d bytes, want at least the 8 of the header's length", size)
	}
	content := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16)
	var length uint64
	if err := binary.Read(content, binary.LittleEndian, &length); err != nil {
		return File{}, errors.Wrap(err, "header")
	}
	if length > longestHeader && len(start) > 8 && start[8] != '{' {
		return File{}, other{fmt.Sprintf("a file of an unknown kind, whose first bytes are % x", start[:9])}
	}
	if length > longestHeader || int64(length) > size-8 {
		return File{}, errors.Wrapf(ErrMalformed, "the header's length is %d bytes, but the file has %d and the format allows %d",
			length, size, longestHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(content, header); err != nil {
		return File{}, errors.Wrap(err, "header")
	}
	metadata, entries, err := decodeHeader(header)
	if err != nil {
		return File{}, err
	}
	var end int64
	if len(entries) > 0 {
		end = entries[len(entries)-1].Offsets[1]
	}
	if found := size - 8 - int64(length); end != found {
		return File{}, errors.Wrapf(ErrMalformed, "the tensors take %d bytes, but %d follow the header", end, found)
	}

	f := File{Metadata: metadata, Tensors: make([]Tensor, len(entries))}
	for i, e := range entries {
		if f.Tensors[i], err = readTensor(content, e); err != nil {
			return File{}, errors.Wrapf(err, "tensor %q", e.name)
		}
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return f, nil
}

func readTensor(r io.Reader, e entry) (Tensor, error) {
	tensor := Tensor{Name: e.name, Shape: make([]int, len(e.Shape))}
	for axis, size := range e.Shape {
		tensor.Shape[axis] = int(size)
	}
	elements := int((e.Offsets[1] - e.Offsets[0]) / elementSize[e.DType])
	var err error
	switch e.DType {
	case "F16":
		tensor.Half = true
		tensor.Data, err = readWidened(r, elements, fromFloat16)
	case "BF16":
		tensor.Data, err = readWidened(r, elements, fromBfloat16)
	case "F32":
		tensor.Data, err = readElements[float32](r, elements)
	case "F64":
		tensor.Data, err = readElements[float64](r, elements)
	case "I64":
		tensor.Data, err = readElements[int64](r, elements)
	}
	return tensor, err
}

func readElements[T float32 | float64 | int64 | uint16](r io.Reader, elements int) ([]T, error) {
	data := make([]T, elements)
	buffer := make([]byte, min(elements, chunk)*binary.Size(T(0)))
	for part := range slices.Chunk(data, chunk) {
		bytes := buffer[:binary.Size(part)]
		if _, err := io.ReadFull(r, bytes); err != nil {
			return nil, errors.WithStack(err)
		}
		if _, err := binary.Decode(bytes, binary.LittleEndian, part); err != nil {
			return nil, errors.WithStack(err)
		}
	}
	return data, nil
}

func readWidened(r io.Reader, elements int, widen func(uint16) float32) ([]float32, error) {
	narrow, err := readElements[uint16](r, elements)
	if err != nil {
		return nil, err
	}
	data := make([]float32, elements)
	for i, bits := range narrow {
		data[i] = widen(bits)
	}
	return data, nil
}

// fromBfloat16 reads the upper half of a float32.
func fromBfloat16(bits uint16) float32 { return math.Float32frombits(uint32(bits) << 16) }

// fromFloat16 reads an IEEE 754 binary16: 1 bit of sign, 5 of exponent (biased
// by 15), 10 of fraction.
func fromFloat16(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, int(bits>>10&31), uint32(bits&1023)
	switch exponent {
	case 0: // zero, or a subnormal: no leading one
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 31: // infinity, or not a number
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	default:
		return math.Float32frombits(sign | uint32(exponent-15+127)<<23 | fraction<<13)
	}
}

// Half returns the half-precision number (IEEE 754 binary16) nearest to v; of two equally
// near ones that with an even last bit. It is infinite from 65,520.
func Half(v float32) float32 { return fromFloat16(toFloat16(v)) }

func toFloat16(v float32) uint16 {
	const most = 0x7c00 // infinity
	bits := math.Float32bits(v)
	sign, exponent, fraction := uint16(bits>>31)<<15, int(bits>>23&255)-127+15, bits&(1<<23-1)
	switch {
	case bits&0x7fffffff > 0x7f800000:
		return sign | most | 1<<9 // not a number
	case exponent >= 31:
		return sign | most
	case exponent < -10:
		return sign // less than half of the smallest subnormal
	case exponent <= 0: // subnormal: the leading one becomes explicit
		return sign | roundedShift(fraction|1<<23, 14-exponent)
	}
	return sign | roundedShift(uint32(exponent)<<23|fraction, 13) // may carry into the exponent
}

// roundedShift is bits/2ⁿ rounded to nearest, ties to even.
func roundedShift(bits uint32, n int) uint16 {
	half := uint32(1) << (n - 1)
	shifted, rest := bits>>n, bits&(1<<n-1)
	if rest > half || rest == half && shifted&1 == 1 {
		shifted++
	}
	return uint16(shifted)
}
