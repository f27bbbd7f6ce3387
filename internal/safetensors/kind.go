package safetensors

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/likeness-go/likeness/internal/filekind"
	"github.com/pkg/errors"
)

// ErrOther marks a file of another format, such as an image. It is an ErrMalformed, too.
var ErrOther = errors.New("not a safetensors file")

// other is the error of a file of another format.
type other struct{ kind string }

func (o other) Error() string { return fmt.Sprintf("found %s, expected a safetensors file", o.kind) }

func (o other) Is(target error) bool { return target == ErrOther || target == ErrMalformed }

// KindONNX is the name that KindOf gives to ONNX files.
const KindONNX = "an ONNX model"

// KindLength is the number of bytes of a file that KindOf examines.
const KindLength = 1 << 10

// hints follow the names of formats that users most likely give instead of a model.
var hints = map[string]string{
	"a ZIP archive":        ", as PyTorch's .pt and .pth files are",
	"a Python pickle":      ", as older PyTorch files are",
	"a bbolt database":     ", as a gallery is",
	"a pointer of Git LFS": " instead of the file: run git lfs pull",
}

// KindOf names the format of a file with these first bytes. It is empty if the format is
// unknown, or may be safetensors, whose header begins with { after 8 bytes of its
// length.
func KindOf(start []byte) string {
	if len(start) == 0 {
		return "an empty file"
	}
	if len(start) > 8 && start[8] == '{' && bytes.ContainsAny(start[:8], "\x00") {
		return ""
	}
	if kind := filekind.Of(start); kind != "" {
		return kind + hints[kind]
	}
	if isONNX(start) {
		return KindONNX
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\ufeff")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "an HTML page, perhaps an error message of a server"
	case bytes.HasPrefix(text, []byte("<?xml")):
		return "an XML document"
	case isText(start):
		return "a text file"
	case bytes.HasPrefix(start, []byte("BM")) && len(start) >= 18 && start[14] < 128 && start[15] == 0 && start[16] == 0:
		return "a BMP image"
	}
	return ""
}

// isONNX reports whether a protocol buffer begins like a ModelProto: with the version of
// its format, field 1, and then the name of its producer, field 2, or its graph, field
// 7.
func isONNX(start []byte) bool {
	return len(start) > 3 && start[0] == 0x08 && start[1] > 0 && start[1] < 32 && (start[2] == 0x12 || start[2] == 0x3a)
}

// isText reports whether the bytes are UTF-8, except for an incomplete character at the
// end, without control characters other than white space.
func isText(start []byte) bool {
	for len(start) > 0 {
		r, size := utf8.DecodeRune(start)
		switch {
		case r == utf8.RuneError && size == 1:
			return !utf8.FullRune(start)
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f':
			return false
		}
		start = start[size:]
	}
	return true
}
