package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/onnx"
)

// The files are those of the library, and the tool says what they take.
func TestExport(t *testing.T) {
	inFolder(t)
	model := saveModel(t, "model.safetensors", nil)
	_, said := tool(t, "export", "--model", "model.safetensors", "--onnx", "network.onnx", "--head", "head.onnx")
	for _, want := range []string{
		"wrote network.onnx: images (batch, 1, 12, 12) to embeddings (batch, 4)",
		"wrote head.onnx: left (batch, 4) and right (batch, 4) to distance (batch)",
		"float32 from 0, black, to 255",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	for path, write := range map[string]func(*likeness.Model) (*onnx.Model, error){"network.onnx": onnx.Network, "head.onnx": onnx.Head} {
		written, err := write(model)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if _, err := written.WriteTo(&want); err != nil {
			t.Fatal(err)
		}
		if read(t, path) != want.String() {
			t.Errorf("%s is another file than the library writes", path)
		}
	}
}

// The zoo's model is cut to the ink, and who exports it is told.
func TestExportOfTheZoo(t *testing.T) {
	inFolder(t)
	_, said := tool(t, "export", "--onnx", "network.onnx")
	for _, want := range []string{"omniglot of the zoo", "cut to the ink before", "1.15 times"} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	if files, err := filepath.Glob("*.onnx"); err != nil || len(files) != 1 {
		t.Errorf("found the files %v (%v), want network.onnx alone", files, err)
	}
}

func TestExportRefusals(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	for _, test := range []struct {
		code int
		say  []string
		args []string
	}{
		{failure, []string{"onnx", "network.pb", ".onnx"}, []string{"--onnx", "network.pb"}},
		{failure, []string{"head", "model.safetensors", ".onnx"}, []string{"--onnx", "network.onnx", "--head", "model.safetensors"}},
		{failure, []string{"head", "two files"}, []string{"--onnx", "network.onnx", "--head", "./network.onnx"}},
		{failure, []string{filepath.Join("missing", "network.onnx")}, []string{"--onnx", "missing/network.onnx"}},
		{misuse, []string{"--onnx"}, nil},
	} {
		toolFails(t, test.code, test.say, append([]string{"export", "--model", "model.safetensors"}, test.args...)...)
	}
	if _, err := os.Stat("network.onnx"); err == nil {
		t.Error("a refused export leaves a file behind")
	}
}
