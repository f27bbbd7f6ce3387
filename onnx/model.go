package onnx

import (
	"io"
	"math"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Model is what one ONNX file holds. Equal models are equal files, byte for
// byte.
type Model struct {
	Inputs  []Value
	Outputs []Value

	content message
}

// Value is an input or an output of a model, of float32.
type Value struct {
	Name  string
	Shape []string // numbers, or "batch" for what each run may choose
	Doc   string   // what it must be, or is
}

// String is such as "embeddings (batch, 64)".
func (v Value) String() string { return v.Name + " (" + strings.Join(v.Shape, ", ") + ")" }

// batch is the extent that each run may choose.
const batch = "batch"

// WriteFile writes the model to one file, whole or not at all. It is an error
// where the model takes more than the 2 GiB that a protocol buffer may.
func (m *Model) WriteFile(path string) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := m.WriteTo(w)
		return err
	})
}

// WriteTo writes the model as WriteFile does, and returns the number of bytes.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	if m == nil || len(m.content.pieces) == 0 {
		return 0, errors.New("onnx: the model is empty, expected one of Network or Head")
	}
	if m.content.size > math.MaxInt32 {
		return 0, errors.Errorf("onnx: the model takes %d bytes, a protocol buffer holds at most %d", m.content.size, math.MaxInt32)
	}
	var written int64
	for _, piece := range m.content.pieces {
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, errors.Wrap(err, "onnx: write model")
		}
	}
	return written, nil
}
