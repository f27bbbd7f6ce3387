package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
)

// The command writes a model that other commands use, prints both models' measures, and what needs
// float32 refuses the model.
func TestQuantize(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 3, 6)
	saveModel(t, "model.safetensors", nil)
	stdout, stderr := tool(t, "quantize", "model.safetensors", "--data", "photos", "--images", "8", "--out", "int8.safetensors")
	for _, text := range []string{"size of the weights ", "cosine of both embeddings ", "3 classes ", "\nrecall@1 ", "\nMAP@R ", "\nverification, AUC "} {
		if !strings.Contains(stdout, text) {
			t.Errorf("found the output\n%sexpected %q in it", stdout, text)
		}
	}
	if !strings.Contains(stderr, "from 8 images; 10 others measured") || !strings.Contains(stderr, "wrote int8.safetensors") {
		t.Errorf("found the messages\n%s", stderr)
	}
	model, err := likeness.Load("int8.safetensors")
	if err != nil || model.Quantized == nil {
		t.Fatalf("found %v (%v), expected a quantized model", model, err)
	}
	stdout, _ = tool(t, "quantize", "model.safetensors", "--data", "photos", "--images", "8", "--out", "again.safetensors", "--json")
	var found quantizeResult
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	if found.Images != 8 || found.Measured != 10 || found.Classes != 3 || len(found.Measures) != 3 || found.Skipped == nil || found.Cosine < 0.9 || found.QuantizedBytes < 1 {
		t.Errorf("found %+v", found)
	}
	if read(t, "int8.safetensors") != read(t, "again.safetensors") {
		t.Error("the same command wrote two different models")
	}

	tool(t, "compare", "photos/bar0/0.png", "photos/bar1/0.png", "--model", "int8.safetensors")
	tool(t, "search", "photos/bar0/0.png", "--in", "photos", "--model", "int8.safetensors", "--force")
	tool(t, "enroll", "--folder", "photos", "--gallery", "g.gallery", "--model", "int8.safetensors")
	toolFails(t, failure, []string{"g.gallery"}, "enroll", "--folder", "photos", "--gallery", "g.gallery", "--model", "model.safetensors")
	const advice = "the model is quantized: give the model in float32"
	bars(t, "many", 6, 3)
	for _, args := range [][]string{
		{"adapt", "--data", "many", "--model", "int8.safetensors", "--out", "a.safetensors"},
		{"quantize", "int8.safetensors", "--data", "photos", "--out", "a.safetensors"},
		{"export", "--model", "int8.safetensors", "--onnx", "a.onnx"},
		{"train", "--data", "many", "--from", "int8.safetensors", "--out", "run"},
	} {
		toolFails(t, failure, []string{advice}, args...)
	}
}

// Mistakes are one line that names the flag or the file, and no model is written.
func TestQuantizeRefuses(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 2, 2)
	bars(t, "one", 1, 1)
	bars(t, "broken", 1, 4)
	write(t, filepath.Join("broken", "bar0", "bad.png"), "no image")
	saveModel(t, "model.safetensors", nil)
	for _, test := range []struct {
		texts []string
		args  []string
	}{
		{[]string{"found 1 images, expected at least 2"}, []string{"--data", "one", "--out", "a.safetensors"}},
		{[]string{"--data", "missing"}, []string{"--data", "missing", "--out", "a.safetensors"}},
		{[]string{"--out", "found no folder"}, []string{"--data", "photos", "--out", filepath.Join("no", "a.safetensors")}},
		{[]string{"--out: model.safetensors is the model in float32"}, []string{"--data", "photos", "--out", "model.safetensors"}},
		{[]string{"--images: found 0, expected at least 1"}, []string{"--data", "photos", "--out", "a.safetensors", "--images", "0"}},
		{[]string{"bad.png"}, []string{"--data", "broken", "--out", "a.safetensors"}},
	} {
		toolFails(t, failure, test.texts, append([]string{"quantize", "model.safetensors"}, test.args...)...)
	}
	if _, err := os.Stat("a.safetensors"); err == nil {
		t.Error("a model was written")
	}
	stdout, stderr := tool(t, "quantize", "model.safetensors", "--data", "broken", "--out", "a.safetensors", "--skip-broken")
	if strings.Contains(stdout, "recall") || !strings.Contains(stderr, "bad.png") || !strings.Contains(stderr, "the accuracy was not measured") {
		t.Errorf("found the output\n%s\nand the messages\n%s", stdout, stderr)
	}
}
