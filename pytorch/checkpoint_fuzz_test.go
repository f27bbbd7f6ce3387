package pytorch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
)

// maxAllocation is the number of bytes that may be allocated for each byte of a file. An
// opcode of one byte makes a dictionary of 32 bytes and entries in the stack and the memo,
// of 16 bytes each, whose slices are copied as they grow.
const maxAllocation = 200

// lateAllocations is the number of bytes of earlier executions, on other threads, that may
// be counted during one.
const lateAllocations = 2 << 20

// readAll reads a file and all elements of its tensors, except those that strides of 0
// repeat.
func readAll(t *testing.T, file []byte) {
	testutil.LimitAllocations(t, maxAllocation*len(file)+lateAllocations, func() {
		tensors, err := tensorsIn(bytes.NewReader(file), int64(len(file)), "file")
		if err != nil {
			if len(tensors) > 0 {
				t.Errorf("found tensors and the error %v", err)
			}
			return
		}
		left := len(file)
		for i := range tensors {
			count := 1
			for _, size := range tensors[i].Shape {
				if count *= size; count > left {
					break
				}
			}
			if count > left {
				continue
			}
			left -= count
			if values, err := elements(&tensors[i]); err == nil && len(values) != count {
				t.Errorf("%s: found %d elements, expected %d", tensors[i].Name, len(values), count)
			}
		}
	})
}

// Whatever a file has, Open gives an error or tensors whose elements can be read, in memory
// that is proportional to the file.
func FuzzCheckpoint(f *testing.F) {
	for _, name := range []string{"zip.pth", "legacy.pth", "protocol4.pth", "training.pth"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	tensor := dictionary{{"a", floats("0", 4, 0, tuple{2, 2}, tuple{1, 2})}}
	f.Add(zipCheckpoint(f, tensor, float32Bytes(1, 2, 3, 4)))
	f.Add(zipCheckpoint(f, dictionary{{"epoch", 1}, {"state_dict", tensor}}, float32Bytes(1, 2, 3, 4)))
	f.Add(legacyCheckpoint(dictionary{
		{"a", legacyFloats("7", 4, nil, 0, tuple{2, 2}, tuple{1, 2})}, {"b", legacyFloats("7", 4, tuple{"8", 1, 2}, 1, tuple{1}, tuple{1})},
	}, sequence{"7"}, float32Bytes(1, 2, 3, 4)))
	f.Add(encode(named("os system")))
	var small bytes.Buffer
	if err := safetensors.Write(&small, safetensors.File{Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		readAll(t, file)
	})
}

// The same of any pickle in a sound archive, with two storages.
func FuzzPickle(f *testing.F) {
	for _, root := range []any{
		dictionary{{"a", floats("0", 2, 0, tuple{2}, tuple{1})}, {"b", floats("1", 1, 0, tuple{3}, tuple{0})}},
		dictionary{{"module.a", called{named("torch._utils _rebuild_parameter"), tuple{floats("0", 2, 1, tuple{}, tuple{}), true, nil}}}},
		dictionary{{"model", called{named("collections OrderedDict"), tuple{sequence{sequence{"a", floats("0", 2, 0, tuple{1, 2}, tuple{9, 1})}}}}}},
		called{named("os system"), tuple{"true"}},
		tuple{1, 0.5, "a", hugeInteger("123456789"), true, nil, sequence{}, named("torch float32")},
		opcodes("\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01sh\x00X\x01\x00\x00\x00bh\x00s}b"),
		opcodes("(K\x01M\x01\x00J\xff\xff\xff\xffU\x01aC\x01bB\x01\x00\x00\x00ct\x85\x860"),
	} {
		f.Add(encode(root), float32Bytes(1, 2), float32Bytes(3))
	}
	f.Fuzz(func(t *testing.T, pickle, first, second []byte) {
		readAll(t, zipOf(t, stored{name: "x/data.pkl", content: pickle}, stored{name: "x/data/0", content: first}, stored{name: "x/data/1", content: second}))
	})
}
