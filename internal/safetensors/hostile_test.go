package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// lay puts a header and data together into a file.
func lay(header string, data int) []byte {
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(content, header...), make([]byte, data)...)
}

func TestReadRefuses(t *testing.T) {
	const fine = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	for _, test := range []struct {
		name, header string
		data         int
		want         string
	}{
		{"no header", ``, 0, "does not begin with {"},
		{"an array", `[]`, 0, "does not begin with {"},
		{"a space before", ` {}`, 0, "does not begin with {"},
		{"not UTF-8", "{\"\xff\":1}", 0, "not UTF-8"},
		{"cut off", `{"a":{"dtype":"F32"`, 0, "EOF"},
		{"more after", `{} {}`, 0, "continues after"},
		{"zeroes after", "{}\x00", 0, "continues after"},
		{"a name twice", fine[:len(fine)-1] + `,"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8, `"a" comes twice`},
		{"a field twice", `{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `"dtype" comes twice`},
		{"a tensor that is a number", `{"a":7}`, 0, "found 7 where an object belongs"},
		{"an unknown field", `{"a":{"type":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `field "type"`},
		{"another capital", `{"a":{"DType":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `field "DType"`},
		{"no dtype", `{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8, "no dtype"},
		{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8, "no shape"},
		{"a null shape", `{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4, "no shape"},
		{"no offsets", `{"a":{"dtype":"F32","shape":[2]}}`, 8, "data_offsets"},
		{"three offsets", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, 8, "data_offsets"},
		{"a fraction", `{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, 8, "2.5"},
		{"a negative size", `{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}`, 8, "shape [-1 -2]"},
		{"an overflow to zero", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "too large"},
		{"an overflow of the bytes", `{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0, "too large"},
		{"an overflow before a zero", `{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0, "too large"},
		{"more than any integer", `{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8, "99999999999999999999"},
		{"a shape too large", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "takes 12 bytes"},
		{"a shape too small", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8, "takes 4 bytes"},
		{"offsets turned round", `{"a":{"dtype":"F32","shape":[0],"data_offsets":[8,0]}}`, 8, "data_offsets are [8 0]"},
		{"negative offsets", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8, "data_offsets are [-8 0]"},
		{"beyond the end", fine, 7, "take 8 bytes, but 7 follow"},
		{"far beyond the end", `{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`, 8, "but 8 follow"},
		{"bytes left over", fine, 9, "take 8 bytes, but 9 follow"},
		{"no tensors, but data", `{}`, 1, "take 0 bytes, but 1 follow"},
		{"an overlap", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, "overlap"},
		{"the same bytes twice", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, "overlap"},
		{"a hole", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}`, 20, "hole"},
		{"a hole in front", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, "hole"},
		{"metadata of numbers", `{"__metadata__":{"epoch":7}}`, 0, "number"},
		{"null metadata", `{"__metadata__":{"epoch":null}}`, 0, "null"},
		{"metadata twice", `{"__metadata__":{"a":"1","a":"2"}}`, 0, `"a" comes twice`},
	} {
		_, err := decode(lay(test.header, test.data))
		if !errors.Is(err, safetensors.ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want ErrMalformed that says %q", test.name, err, test.want)
		}
	}
}

func TestReadRefusesTheHeadersLength(t *testing.T) {
	for _, length := range []uint64{3, 1 << 20, 100_000_001, 1 << 63, 1<<64 - 1} {
		content := append(binary.LittleEndian.AppendUint64(nil, length), "{}"...)
		if _, err := decode(content); !errors.Is(err, safetensors.ErrMalformed) {
			t.Errorf("length %d: got error %v, want ErrMalformed", length, err)
		}
	}
	for size := range 8 {
		if _, err := decode(make([]byte, size)); !errors.Is(err, safetensors.ErrMalformed) {
			t.Errorf("a file of %d bytes: got error %v, want ErrMalformed", size, err)
		}
	}
}

// A dtype that the format has but this package does not is no malformed file.
func TestReadNamesAnUnsupportedType(t *testing.T) {
	_, err := decode(lay(`{"a":{"dtype":"U16","shape":[4],"data_offsets":[0,8]}}`, 8))
	if err == nil || errors.Is(err, safetensors.ErrMalformed) || !strings.Contains(err.Error(), `tensor "a": dtype "U16"`) {
		t.Errorf("got error %v", err)
	}
}

func TestReadAllowsWhatTheFormatAllows(t *testing.T) {
	header := `{ "b" : {"shape":[],"data_offsets":[8,12],"dtype":"F32"},` +
		`"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "__metadata__":{}, ` +
		`"none":{"dtype":"F32","shape":[5,0],"data_offsets":[8,8]}}     `
	got, err := decode(lay(header, 12))
	if err != nil {
		t.Fatal(err)
	}
	want := safetensors.File{Metadata: map[string]string{}, Tensors: []safetensors.Tensor{
		{Name: "a", Shape: []int{2}, Data: []float32{0, 0}},
		{Name: "b", Shape: []int{}, Data: []float32{0}},
		{Name: "none", Shape: []int{5, 0}, Data: []float32{}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However a file is damaged, Read returns; and what it accepts can be written.
func TestReadSurvivesDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := encode(t, drawFile(t))
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			content[rapid.IntRange(0, len(content)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		file, err := decode(content[:rapid.IntRange(0, len(content)).Draw(t, "length")])
		if err == nil {
			encode(t, file)
		}
	})
}

// Whatever the bytes, Read takes no more memory than there are bytes for, and what
// it accepts comes through Write and Read as it was.
func FuzzRead(f *testing.F) {
	f.Add(lay(`{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}`, 8))
	f.Add(lay(`{"__metadata__":{"a":"b"},"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}  `, 8))
	f.Add(lay(`{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`, 8))
	f.Add(lay(`{"a":{"dtype":"I64","shape":[0,4611686018427387904],"data_offsets":[0,0]},"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}`, 2))
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<63))
	f.Fuzz(func(t *testing.T, content []byte) {
		var file safetensors.File
		var err error
		testutil.LimitAllocations(t, 64*len(content), func() { file, err = decode(content) })
		if err != nil {
			return
		}
		written := encode(t, file)
		again, err := decode(written)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, encode(t, again)) { // of bytes, as a NaN is not equal to itself
			t.Errorf("read %+v, and after writing %+v", file, again)
		}
	})
}

// A file of another kind is named, whatever a header's length would be there.
func TestReadNamesOtherFiles(t *testing.T) {
	padding := strings.Repeat("\x01\x02", 50)
	for content, want := range map[string]string{
		"": "an empty file",
		"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + padding:                              "a PNG image",
		"\xff\xd8\xff\xe0\x00\x10JFIF" + padding:                                       "a JPEG image",
		"GIF89a" + padding:                                                             "a GIF image",
		"RIFF\x24\x00\x00\x00WEBPVP8 " + padding:                                       "a WebP image",
		"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00" + padding: "a BMP image",
		"II*\x00\x08\x00\x00\x00" + padding:                                            "a TIFF image",
		"PK\x03\x04\x14\x00\x00\x00\x08\x00" + padding:                                 "a ZIP archive",
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + padding:                           "a gzip archive",
		"\x80\x02}q\x00(X" + padding:                                                   "a Python pickle",
		"\x08\x07\x12\x07pytorch:" + padding:                                           "an ONNX model",
		"\x08\x08\x3a\x80\x01\x0a" + padding:                                           "an ONNX model",
		"<!DOCTYPE html><html><body>404</body></html>":                                 "an HTML page",
		"\n<HTML>":                      "an HTML page",
		"<?xml version=\"1.0\"?>":       "an XML document",
		"learning rate, loss\n0.1, 2\n": "a text file",
		"{\"a\": 1, \"b\": {\"c\": 2}}": "a text file",
		"Grüße":                         "a text file",
		"a":                             "a text file",
		"version https://git-lfs.github.com/spec/v1\noid sha256:00\n": "a pointer of Git LFS",
		strings.Repeat("\x00", 16) + "\xed\xda\x0c\xed" + padding:     "a bbolt database",
		"\xfe\xdc\xba\x98\x76\x54\x32\x10\x01" + padding:              "a file of an unknown kind, whose first bytes are fe dc ba 98 76 54 32 10 01",
	} {
		_, err := decode([]byte(content))
		if !errors.Is(err, safetensors.ErrOther) || !errors.Is(err, safetensors.ErrMalformed) || !strings.Contains(err.Error(), "found "+want) {
			t.Errorf("%.20q: found %v, expected ErrOther that says %q", content, err, want)
		}
	}
	if _, err := safetensors.ReadFile(t.TempDir()); !errors.Is(err, safetensors.ErrOther) || !strings.Contains(err.Error(), "found a directory") {
		t.Errorf("a directory: found %v", err)
	}
	// A safetensors file that was cut off is none of another kind.
	whole := lay(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	for length := 9; length < len(whole); length++ {
		if _, err := decode(whole[:length]); errors.Is(err, safetensors.ErrOther) || !errors.Is(err, safetensors.ErrMalformed) {
			t.Errorf("%d bytes of it: found %v", length, err)
		}
	}
}
