package pytorch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"
)

// The values that encode writes, in addition to nil, bool, int, float64, string, tuple
// and dict pairs.
type (
	named      string // a global, as "module name"
	called     struct{ function, arguments any }
	id         tuple // a persistent id
	pair       struct{ key, value any }
	dictionary []pair
	sequence   []any // a list
	opcodes    string
)

// encode writes a value as a pickle of protocol 2, as torch.save does by default.
func encode(value any) []byte {
	var b bytes.Buffer
	b.WriteString("\x80\x02")
	write(&b, value)
	b.WriteByte('.')
	return b.Bytes()
}

func write(b *bytes.Buffer, value any) {
	integer := func(op byte, v any) {
		b.WriteByte(op)
		binary.Write(b, binary.LittleEndian, v)
	}
	items := func(values []any) {
		b.WriteByte('(')
		for _, v := range values {
			write(b, v)
		}
	}
	switch v := value.(type) {
	case nil:
		b.WriteByte('N')
	case bool:
		b.WriteByte(map[bool]byte{true: 0x88, false: 0x89}[v])
	case int:
		b.WriteString("\x8a\x08")
		binary.Write(b, binary.LittleEndian, int64(v))
	case float64:
		b.WriteByte('G')
		binary.Write(b, binary.BigEndian, v)
	case string:
		integer('X', uint32(len(v)))
		b.WriteString(v)
	case hugeInteger:
		integer(0x8a, uint8(len(v)))
		b.WriteString(string(v))
	case opcodes:
		b.WriteString(string(v))
	case named:
		b.WriteByte('c')
		b.WriteString(string(bytes.ReplaceAll([]byte(v), []byte(" "), []byte("\n"))) + "\n")
	case called:
		write(b, v.function)
		write(b, v.arguments)
		b.WriteByte('R')
	case id:
		write(b, tuple(v))
		b.WriteByte('Q')
	case tuple:
		items(v)
		b.WriteByte('t')
	case sequence:
		b.WriteByte(']')
		items(v)
		b.WriteByte('e')
	case dictionary:
		b.WriteByte('}')
		var flat []any
		for _, p := range v {
			flat = append(flat, p.key, p.value)
		}
		items(flat)
		b.WriteByte('u')
	default:
		panic("no such value")
	}
}

// floats is a tensor of a storage of float32, which has the elements.
func floats(key string, elements, offset any, shape, strides tuple) called {
	return called{named("torch._utils _rebuild_tensor_v2"), tuple{
		id{"storage", named("torch FloatStorage"), key, "cpu", elements}, offset, shape, strides, false, called{named("collections OrderedDict"), tuple{}},
	}}
}

// legacyFloats is the same in the legacy format; part is nil or (key, offset, elements).
func legacyFloats(key string, elements, part, offset any, shape, strides tuple) called {
	t := floats(key, elements, offset, shape, strides)
	arguments := t.arguments.(tuple)
	arguments[0] = append(arguments[0].(id), part)
	return t
}

// float32Bytes are the bytes of a storage.
func float32Bytes(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// stored is an entry of a zip archive.
type stored struct {
	name    string
	content []byte
	method  uint16
	claimed uint64 // bytes more than the content has
}

// zipOf writes a zip archive.
func zipOf(t testing.TB, entries ...stored) []byte {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	for _, e := range entries {
		var err error
		if e.method == zip.Store {
			size := uint64(len(e.content))
			w, createErr := archive.CreateRaw(&zip.FileHeader{
				Name: e.name, CRC32: crc32.ChecksumIEEE(e.content), CompressedSize64: size + e.claimed, UncompressedSize64: size + e.claimed,
			})
			if err = createErr; err == nil {
				_, err = w.Write(e.content)
			}
		} else {
			w, createErr := archive.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
			if err = createErr; err == nil {
				_, err = w.Write(e.content)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zipCheckpoint is a file of the zip format with an object and storages 0, 1, ….
func zipCheckpoint(t testing.TB, root any, storages ...[]byte) []byte {
	t.Helper()
	entries := []stored{{name: "x/data.pkl", content: encode(root)}, {name: "x/byteorder", content: []byte("little")}}
	for i, content := range storages {
		entries = append(entries, stored{name: "x/data/" + string(rune('0'+i)), content: content})
	}
	return zipOf(t, entries...)
}

// legacyCheckpoint is a file of the legacy format with an object, keys and storages.
func legacyCheckpoint(root any, keys sequence, storages ...[]byte) []byte {
	system := dictionary{{"protocol_version", 1001}, {"little_endian", true}, {"type_sizes", dictionary{{"short", 2}}}}
	var file []byte
	for _, value := range []any{legacyMagic, int(legacyVersion), system, root, keys} {
		file = append(file, encode(value)...)
	}
	for _, content := range storages {
		file = binary.LittleEndian.AppendUint64(file, uint64(len(content)/4))
		file = append(file, content...)
	}
	return file
}
