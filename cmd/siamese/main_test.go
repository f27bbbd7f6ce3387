package main

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/plot"
)

// A short training prints its epochs and the table, and leaves a model that
// embeds in two dimensions and the map of them.
func TestRun(t *testing.T) {
	model, picture := filepath.Join(t.TempDir(), "siamese.safetensors"), filepath.Join(t.TempDir(), "map.png")
	var printed bytes.Buffer
	arguments := []string{"-limit", "200", "-batch", "16", "-epochs", "2", "-features", "2", "-out", model, "-map", picture}
	if err := train(context.Background(), arguments, &printed); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"epoch  1 of 2: loss ", "epoch  2 of 2: loss ", "MNIST", "trained", "untrained", "pixels",
		"nearest neighbor", "trained on 180 images of 10 classes", "seed 1",
	} {
		if !strings.Contains(printed.String(), text) {
			t.Errorf("want %q in\n%s", text, &printed)
		}
	}

	trained, err := likeness.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := trained.EmbedPixels([][]uint8{make([]uint8, 28*28)})
	if err != nil || len(embeddings[0]) != 2 {
		t.Errorf("found %v, %v; want 2 features", embeddings, err)
	}
	file, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if config, err := png.DecodeConfig(file); err != nil || config.Width != plot.ScatterSide || config.Height != plot.ScatterSide {
		t.Errorf("found a map of %dx%d, %v; want %dx%d", config.Width, config.Height, err, plot.ScatterSide, plot.ScatterSide)
	}
}

// Flags that make no training are refused before it begins.
func TestRunRefuses(t *testing.T) {
	for want, arguments := range map[string][]string{
		"too few classes or images":    {"-limit", "0"},
		"contrastive: found margin -1": {"-limit", "200", "-margin", "-1"},
	} {
		var printed bytes.Buffer
		if err := train(context.Background(), arguments, &printed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found error %v, want one with %q", arguments, err, want)
		}
		if printed.Len() > 0 {
			t.Errorf("%q: printed %s", arguments, &printed)
		}
	}
}
