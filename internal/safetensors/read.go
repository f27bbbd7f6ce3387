package safetensors

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/pkg/errors"
)

// Read reads the size bytes of r as a safetensors file. F16 and BF16 tensors
// are converted to []float32, which represents all their values. Element types other
// than these, F32, F64, I64, I32, I8 and U8 are errors, and so are incomplete tensors and bytes
// outside of all tensors. Errors begin with name.
func Read(r io.ReaderAt, size int64, name string) (File, error) {
	content, err := read(r, size, false)
	return content.File, errors.Wrap(err, name)
}

// ReadFile reads the safetensors file at path.
func ReadFile(path string) (f File, err error) {
	err = open(path, func(file *os.File, size int64) (err error) {
		f, err = Read(file, size, path)
		return err
	})
	return f, err
}

// ReadSealed is Read, and reports whether the content is, byte for byte, what Write makes of a file
// that Seal sealed. Then Verify returns no error, and need not be called: it takes several times as
// long, because it converts all numbers back to bytes.
func ReadSealed(r io.ReaderAt, size int64, name string) (f File, intact bool, err error) {
	content, err := read(r, size, true)
	return content.File, content.intact, errors.Wrap(err, name)
}

// ReadSealedFile is ReadSealed of the file at path.
func ReadSealedFile(path string) (f File, intact bool, err error) {
	err = open(path, func(file *os.File, size int64) (err error) {
		f, intact, err = ReadSealed(file, size, path)
		return err
	})
	return f, intact, err
}

// ReadMetadata reads no more than the header.
func ReadMetadata(r io.ReaderAt, size int64, name string) (map[string]string, error) {
	_, metadata, _, err := readHeader(r, size)
	return metadata, errors.Wrap(err, name)
}

// open opens a regular file.
func open(path string, use func(file *os.File, size int64) error) error {
	// Opening a pipe would wait for its other end.
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return errors.WithStack(err)
	case info.IsDir():
		return errors.Wrap(other{"a directory"}, path)
	case !info.Mode().IsRegular():
		return errors.Wrap(other{"no regular file"}, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return errors.WithStack(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return errors.WithStack(err)
	}
	return use(file, info.Size())
}

// content is a file that was read.
type content struct {
	File
	intact bool // see ReadSealed
}

// readHeader returns the header, with the entries in the order of their offsets, and what follows.
func readHeader(r io.ReaderAt, size int64) (rest io.Reader, metadata map[string]string, entries []entry, err error) {
	start := make([]byte, min(max(size, 0), KindLength))
	if _, err := r.ReadAt(start, 0); err != nil && !(errors.Is(err, io.EOF) && len(start) == int(size)) {
		return nil, nil, nil, errors.Wrap(err, "header")
	}
	if kind := KindOf(start); kind != "" {
		return nil, nil, nil, other{kind}
	}
	if size < 8 {
		return nil, nil, nil, errors.Wrapf(ErrMalformed, "it has %d bytes, want at least the 8 of the header's length", size)
	}
	content := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16)
	var length uint64
	if err := binary.Read(content, binary.LittleEndian, &length); err != nil {
		return nil, nil, nil, errors.Wrap(err, "header")
	}
	if length > longestHeader && len(start) > 8 && start[8] != '{' {
		return nil, nil, nil, other{fmt.Sprintf("a file of an unknown kind, whose first bytes are % x", start[:9])}
	}
	if length > longestHeader || int64(length) > size-8 {
		return nil, nil, nil, errors.Wrapf(ErrMalformed, "the header's length is %d bytes, but the file has %d and the format allows %d",
			length, size, longestHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(content, header); err != nil {
		return nil, nil, nil, errors.Wrap(err, "header")
	}
	metadata, entries, err = decodeHeader(header)
	if err != nil {
		return nil, nil, nil, err
	}
	var end int64
	if len(entries) > 0 {
		end = entries[len(entries)-1].Offsets[1]
	}
	if found := size - 8 - int64(length); end != found {
		return nil, nil, nil, errors.Wrapf(ErrMalformed, "the tensors take %d bytes, but %d follow the header", end, found)
	}
	return content, metadata, entries, nil
}

// read reads a file, and compares it with its checksum if sealed is set.
func read(r io.ReaderAt, size int64, sealed bool) (content, error) {
	rest, metadata, entries, err := readHeader(r, size)
	if err != nil {
		return content{}, err
	}
	var sum chan string
	if sealed && metadata[ChecksumKey] != "" {
		var tensors int64
		if len(entries) > 0 {
			tensors = entries[len(entries)-1].Offsets[1]
		}
		sum = make(chan string, 1)
		go func() { sum <- sumOf(metadata, entries, io.NewSectionReader(r, size-tensors, tensors)) }()
	}
	f := File{Metadata: metadata, Tensors: make([]Tensor, len(entries))}
	for i, e := range entries {
		if f.Tensors[i], err = readTensor(rest, e); err != nil {
			err = errors.Wrapf(err, "tensor %q", e.name)
			break
		}
	}
	intact := sum != nil && <-sum == metadata[ChecksumKey] // also after an error, because r is read until then
	if err != nil {
		return content{}, err
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return content{f, intact}, nil
}

// sumOf is the checksum of a file with these tensors, if their order and their bytes are those of
// the canonical form. It is empty if they cannot be read.
func sumOf(metadata map[string]string, entries []entry, tensors io.Reader) string {
	metadata = maps.Clone(metadata)
	delete(metadata, ChecksumKey)
	header, err := encodeHeader(metadata, entries)
	if err != nil {
		return ""
	}
	hash := sha256.New()
	hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) // a hash returns no errors
	hash.Write(header)
	if _, err := io.Copy(hash, tensors); err != nil {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
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
		tensor.Data, err = readWidened(r, elements, widenFloat16)
	case "BF16":
		tensor.Data, err = readWidened(r, elements, widenBfloat16)
	case "F32":
		tensor.Data, err = readElements[float32](r, elements)
	case "F64":
		tensor.Data, err = readElements[float64](r, elements)
	case "I64":
		tensor.Data, err = readElements[int64](r, elements)
	case "I32":
		tensor.Data, err = readElements[int32](r, elements)
	case "I8":
		tensor.Data, err = readElements[int8](r, elements)
	case "U8":
		tensor.Data, err = readElements[uint8](r, elements)
	}
	return tensor, err
}

func readElements[T number](r io.Reader, elements int) ([]T, error) {
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

// readWidened reads numbers of 16 bits, which widen converts.
func readWidened(r io.Reader, elements int, widen func(to []float32, from []byte)) ([]float32, error) {
	data := make([]float32, elements)
	buffer := make([]byte, 2*min(elements, chunk))
	for part := range slices.Chunk(data, chunk) {
		bytes := buffer[:2*len(part)]
		if _, err := io.ReadFull(r, bytes); err != nil {
			return nil, errors.WithStack(err)
		}
		widen(part, bytes)
	}
	return data, nil
}

// widenBfloat16 reads the upper halves of float32.
func widenBfloat16(to []float32, from []byte) {
	for i := range to {
		to[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(from[2*i:])) << 16)
	}
}

func widenFloat16(to []float32, from []byte) {
	for i := range to {
		bits := binary.LittleEndian.Uint16(from[2*i:])
		if exponent := bits & 0x7c00; exponent == 0 || exponent == 0x7c00 {
			to[i] = fromFloat16(bits)
			continue
		}
		to[i] = math.Float32frombits(uint32(bits&0x8000)<<16 | uint32(bits&0x7fff)<<13 + (127-15)<<23)
	}
}

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
