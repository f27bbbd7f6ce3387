package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

func encode(t rapid.TB, file safetensors.File) []byte {
	t.Helper()
	var content bytes.Buffer
	if err := safetensors.Write(&content, file); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func decode(content []byte) (safetensors.File, error) {
	return safetensors.Read(bytes.NewReader(content), int64(len(content)), "the file")
}

// The bytes are what the reference implementation (Python's safetensors 0.8.0,
// numpy.save) writes for these tensors and this metadata.
func TestWriteEqualsTheReference(t *testing.T) {
	got := encode(t, safetensors.File{
		Metadata: map[string]string{"note": `a < b & "c" é`},
		Tensors: []safetensors.Tensor{
			{Name: "b", Shape: []int{2, 3}, Data: []float32{0, 1, 2, 3, 4, 5}},
			{Name: "a", Shape: []int{1}, Data: []float32{1.5}},
			{Name: "z", Shape: []int{2}, Data: []float64{2.5, 3.5}},
			{Name: "count", Shape: nil, Data: []int64{7}},
			{Name: "empty", Shape: []int{0, 4}, Data: []float32{}},
		},
	})
	want := "\x48\x01\x00\x00\x00\x00\x00\x00" +
		`{"__metadata__":{"note":"a < b & \"c\" é"},` +
		`"count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"z":{"dtype":"F64","shape":[2],"data_offsets":[8,24]},` +
		`"a":{"dtype":"F32","shape":[1],"data_offsets":[24,28]},` +
		`"b":{"dtype":"F32","shape":[2,3],"data_offsets":[28,52]},` +
		`"empty":{"dtype":"F32","shape":[0,4],"data_offsets":[52,52]}}` + " " +
		"\x07\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x04@\x00\x00\x00\x00\x00\x00\x0c@" +
		"\x00\x00\xc0?" +
		"\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// drawFile makes up any file that can be written.
func drawFile(t *rapid.T) safetensors.File {
	var file safetensors.File
	if metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata"); len(metadata) > 0 {
		file.Metadata = metadata
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.String(), 0, 6, rapid.ID[string]).Draw(t, "names") {
		shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
		elements := 1
		for _, size := range shape {
			elements *= size
		}
		var data any
		half := false
		switch rapid.IntRange(0, 6).Draw(t, "type") {
		case 0:
			data = rapid.SliceOfN(rapid.Float32(), elements, elements).Draw(t, "data")
		case 1:
			data = rapid.SliceOfN(rapid.Float64(), elements, elements).Draw(t, "data")
		case 2:
			data = rapid.SliceOfN(rapid.Int64(), elements, elements).Draw(t, "data")
		case 3:
			half = true
			data = rapid.SliceOfN(rapid.Map(rapid.Float32(), safetensors.Half), elements, elements).Draw(t, "data")
		case 4:
			data = rapid.SliceOfN(rapid.Int32(), elements, elements).Draw(t, "data")
		case 5:
			data = rapid.SliceOfN(rapid.Int8(), elements, elements).Draw(t, "data")
		case 6:
			data = rapid.SliceOfN(rapid.Uint8(), elements, elements).Draw(t, "data")
		}
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: name, Shape: shape, Data: data, Half: half})
	}
	return file
}

func byName(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) }

func TestReadInvertsWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFile(t)
		got, err := decode(encode(t, want))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want.Tensors, byName)
		if want.Tensors == nil {
			want.Tensors = []safetensors.Tensor{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneContentIsOneFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := drawFile(t)
		shuffled := file
		shuffled.Tensors = rapid.Permutation(file.Tensors).Draw(t, "order")
		content := encode(t, file)
		if !bytes.Equal(content, encode(t, shuffled)) {
			t.Error("the order of the tensors changed the bytes")
		}
		if dataBegins := 8 + int(content[0]) + int(content[1])<<8 + int(content[2])<<16; dataBegins%8 != 0 {
			t.Errorf("the data begins at byte %d, want a multiple of 8", dataBegins)
		}
	})
}

func TestLargeTensorsGoThroughInChunks(t *testing.T) {
	data := make([]float64, 100_001)
	for i := range data {
		data[i] = math.Sqrt(float64(i))
	}
	want := safetensors.Tensor{Name: "large", Shape: []int{100_001}, Data: data}
	path := filepath.Join(t.TempDir(), "large.safetensors")
	if err := safetensors.WriteFile(path, safetensors.File{Tensors: []safetensors.Tensor{want}}); err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, found := file.Tensor("large")
	if diff := cmp.Diff(want, got); diff != "" || !found {
		t.Error(found, diff)
	}
	if _, found := file.Tensor("small"); found {
		t.Error("found a tensor that is not there")
	}
}

func TestHalfPrecisionIsWidened(t *testing.T) {
	const header = `{"bf16":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},` +
		`"f16":{"dtype":"F16","shape":[9],"data_offsets":[8,26]}}`
	const data = "\x80\x3f\x49\x40\x80\xff\x01\x00" + // BF16: the upper halves of float32s
		"\x00\x3c\x00\xc0\xff\x7b\x00\x04\x01\x00\xff\x03\x00\x80\x00\xfc\x55\x35"
	file, err := decode(append(lay(header, 0), data...))
	if err != nil {
		t.Fatal(err)
	}
	want := []safetensors.Tensor{
		{Name: "bf16", Shape: []int{4}, Data: []float32{1, 3.140625, float32(math.Inf(-1)), 0x1p-133}},
		{Name: "f16", Shape: []int{9}, Half: true, Data: []float32{
			1, -2, 65504, // the largest
			0x1p-14, 0x1p-24, 1023 * 0x1p-24, // the smallest normal, the smallest and the largest subnormal
			float32(math.Copysign(0, -1)), float32(math.Inf(-1)), 0.333251953125}},
	}
	if diff := cmp.Diff(want, file.Tensors); diff != "" {
		t.Error(diff)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := safetensors.Tensor{Name: "a", Shape: []int{1}, Data: []float32{1}}
	for want, file := range map[string]safetensors.File{
		`tensor "a" comes twice`:      {Tensors: []safetensors.Tensor{one, one}},
		`has 1 elements, but shape`:   {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1}}}},
		`but shape [-1 -1]`:           {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{-1, -1}, Data: []float32{1}}}},
		`data is []string`:            {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{1}, Data: []string{"x"}}}},
		`data is <nil>`:               {Tensors: []safetensors.Tensor{{Name: "a"}}},
		`does not allow this name`:    {Tensors: []safetensors.Tensor{{Name: "__metadata__", Data: []float32{1}}}},
		`"\xff": the format does`:     {Tensors: []safetensors.Tensor{{Name: "\xff", Data: []float32{1}}}},
		`metadata "k": "\xff": not U`: {Metadata: map[string]string{"k": "\xff"}},
	} {
		if err := safetensors.Write(io.Discard, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "short.safetensors")
	if _, err := safetensors.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got error %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := safetensors.ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("short: got error %v, want one that begins with %s", err, path)
	}
}

func sealed(t *testing.T) safetensors.File {
	t.Helper()
	file := safetensors.File{
		Metadata: map[string]string{"backbone": "conv4", "head": "l2 \"é\" <&>"},
		Tensors: []safetensors.Tensor{
			{Name: "a", Shape: []int{2, 2}, Data: []float32{1, -2, 0.5, 0}},
			{Name: "b", Shape: []int{}, Data: []float64{7}},
		},
	}
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whatever bit of a sealed file is changed, reading or verifying it finds that,
// or the file holds what it held: how a number is spelled in its header is not
// part of what it says.
func TestNoBitChangesUnseen(t *testing.T) {
	var content bytes.Buffer
	if err := safetensors.Write(&content, sealed(t)); err != nil {
		t.Fatal(err)
	}
	if file, err := decode(content.Bytes()); err != nil || file.Verify() != nil {
		t.Fatalf("the file itself: %v, %v", err, file.Verify())
	}
	read, verified := 0, 0
	for at := range content.Bytes() {
		for bit := range 8 {
			damaged := bytes.Clone(content.Bytes())
			damaged[at] ^= 1 << bit
			file, err := decode(damaged)
			if err != nil {
				read++
				continue
			}
			if file.Verify() != nil {
				verified++
				continue
			}
			if !bytes.Equal(encode(t, file), content.Bytes()) {
				t.Errorf("bit %d of byte %d is changed, and nobody says so", bit, at)
			}
		}
	}
	if read == 0 || verified == 0 {
		t.Errorf("reading found %d changes and the checksum %d, expected some of each", read, verified)
	}
}

// ReadSealed reports that a sealed file is intact, and no other: neither one of which a bit is
// changed, nor one that is not sealed, nor one whose tensors are in another order.
func TestReadSealed(t *testing.T) {
	file := sealed(t)
	file.Tensors = append(file.Tensors, safetensors.Tensor{Name: "half", Shape: []int{3}, Half: true, Data: []float32{1, -0.5, 0x1p-24}})
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	content := encode(t, file)
	read := func(content []byte) (safetensors.File, bool) {
		file, intact, err := safetensors.ReadSealed(bytes.NewReader(content), int64(len(content)), "sealed")
		return file, intact && err == nil
	}
	found, intact := read(content)
	if !intact || !bytes.Equal(encode(t, found), content) {
		t.Errorf("a sealed file: found intact %v, or another content", intact)
	}
	for at := range content {
		damaged := bytes.Clone(content)
		damaged[at] ^= 4
		if _, intact := read(damaged); intact {
			t.Errorf("byte %d is changed, and the file is called intact", at)
		}
	}
	delete(file.Metadata, safetensors.ChecksumKey)
	if _, intact := read(encode(t, file)); intact {
		t.Error("a file without a checksum is called intact")
	}
	path := filepath.Join(t.TempDir(), "sealed.safetensors")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, intact, err := safetensors.ReadSealedFile(path); err != nil || !intact {
		t.Errorf("a file on disk: found intact %v (%v)", intact, err)
	}
	metadata, err := safetensors.ReadMetadata(bytes.NewReader(content), int64(len(content)), "sealed")
	if diff := cmp.Diff(found.Metadata, metadata); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// Every half-precision number is read as Float16 converts it.
func TestAllHalfPrecisionNumbers(t *testing.T) {
	var data []byte
	for bits := range 1 << 16 {
		data = binary.LittleEndian.AppendUint16(data, uint16(bits))
	}
	file, err := decode(append(lay(`{"f16":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}}`, 0), data...))
	if err != nil {
		t.Fatal(err)
	}
	for bits, v := range file.Tensors[0].Data.([]float32) {
		if math.Float32bits(v) != math.Float32bits(safetensors.Float16(uint16(bits))) {
			t.Fatalf("the bits %04x: found %v, expected %v", bits, v, safetensors.Float16(uint16(bits)))
		}
	}
}

func TestVerifySaysWhatItFound(t *testing.T) {
	file := sealed(t)
	file.Tensors[0].Data.([]float32)[1] = -3
	err := file.Verify()
	if !errors.Is(err, safetensors.ErrChecksum) || !strings.Contains(err.Error(), "expected "+file.Metadata[safetensors.ChecksumKey]) {
		t.Errorf("found %v, expected ErrChecksum with both checksums", err)
	}
	delete(file.Metadata, safetensors.ChecksumKey)
	if err := file.Verify(); !errors.Is(err, safetensors.ErrChecksum) || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("found %v, expected ErrChecksum that it is missing", err)
	}
}

// A seal is of the content: neither of an earlier seal nor of the order of
// tensors, and it leaves the metadata that it was given alone.
func TestSealIsOfTheContent(t *testing.T) {
	first := sealed(t)
	given := first.Metadata
	second := safetensors.File{Metadata: given, Tensors: []safetensors.Tensor{first.Tensors[1], first.Tensors[0]}}
	if err := second.Seal(); err != nil {
		t.Fatal(err)
	}
	if second.Metadata[safetensors.ChecksumKey] != given[safetensors.ChecksumKey] {
		t.Error("two seals of one content differ")
	}
	second.Metadata["backbone"] = "conv7"
	if given["backbone"] != "conv4" || second.Verify() == nil {
		t.Error("the metadata are shared, or not sealed")
	}
}

// Half is the nearest half-precision number, found by comparing with all of them.
func TestHalf(t *testing.T) {
	var all []float64 // the finite ones from zero, in order
	for bits := range 0x7c00 {
		exponent, fraction := bits>>10, float64(bits&1023)
		if exponent == 0 {
			all = append(all, fraction/(1<<24))
		} else {
			all = append(all, math.Ldexp(1+fraction/1024, exponent-15))
		}
	}
	check := func(v float32) {
		i, _ := slices.BinarySearch(all, math.Abs(float64(v)))
		want := math.Inf(1)
		switch {
		case i < len(all) && i > 0 && (math.Abs(float64(v))-all[i-1] < all[i]-math.Abs(float64(v)) || math.Abs(float64(v))-all[i-1] == all[i]-math.Abs(float64(v)) && (i-1)%2 == 0):
			want = all[i-1]
		case i < len(all):
			want = all[i]
		case math.Abs(float64(v)) < 65520:
			want = all[len(all)-1]
		}
		want = math.Copysign(want, float64(v))
		if got := safetensors.Half(v); float64(got) != want || math.Signbit(float64(got)) != math.Signbit(float64(v)) {
			t.Errorf("%v: found %v, expected %v", v, got, want)
		}
	}
	for i, v := range all {
		check(float32(v))
		check(float32(-v))
		if i > 0 {
			check(float32((v + all[i-1]) / 2)) // a tie
			check(math.Nextafter32(float32((v+all[i-1])/2), 0))
			check(math.Nextafter32(float32((v+all[i-1])/2), 1e9))
		}
	}
	for _, v := range []float32{65519.996, 65520, 1e30, float32(math.Inf(1)), 1e-30, math.SmallestNonzeroFloat32} {
		check(v)
		check(-v)
	}
	if got := safetensors.Half(float32(math.NaN())); got == got {
		t.Errorf("NaN: found %v", got)
	}
	if err := safetensors.Write(io.Discard, safetensors.File{Tensors: []safetensors.Tensor{{Name: "x", Shape: []int{1}, Data: []float32{1.0001}, Half: true}}}); err == nil || !strings.Contains(err.Error(), "1.0001, expected a half-precision number") {
		t.Errorf("found error %v, expected one with the number", err)
	}
}
