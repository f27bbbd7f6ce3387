package quantize_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/quantize"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

var size = imaging.Size{Height: 16, Width: 16, Channels: 1}

func model(t *testing.T) *likeness.Model {
	t.Helper()
	m, err := likeness.New(backbone.Conv4(size, 8, true), heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The report is that of other images than those of the ranges, the differences are those of the
// measures, and equal seeds give equal models for any number of threads.
func TestFolder(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	folder := t.TempDir()
	if err := drawClasses(folder, 3, 8); err != nil {
		t.Fatal(err)
	}
	before := model(t)
	threshold := 0.01
	before.Threshold = &threshold
	var files []string
	for _, threads := range []int{1, 3} {
		parallel.SetThreads(threads)
		last := 0
		made, r, err := quantize.Folder(context.Background(), before, folder, quantize.Options{Measured: 10, Seed: 5, OnProgress: func(done, total int) {
			if done < last || done > total || total != 3*12+2*10 {
				t.Errorf("found %d of %d done after %d", done, total, last)
			}
			last = done
		}})
		if err != nil {
			t.Fatal(err)
		}
		if last != 56 {
			t.Errorf("the last progress is %d, expected all 56", last)
		}
		if r.Images != 12 || r.Measured != 10 || r.Accuracy == nil || r.Accuracy.Classes != 3 || len(r.Skipped) != 0 {
			t.Errorf("found %+v, expected half of 24 images and 10 others of 3 classes", r)
		}
		a := r.Accuracy
		for name, values := range map[string][3]float64{
			"recall@1": {a.Before.RecallAt1.Value, a.After.RecallAt1.Value, a.Difference.RecallAt1.Value},
			"MAP@R":    {a.Before.MAPAtR.Value, a.After.MAPAtR.Value, a.Difference.MAPAtR.Value},
			"AUC":      {a.Before.AUC.Value, a.After.AUC.Value, a.Difference.AUC.Value},
		} {
			if math.Abs(values[1]-values[0]-values[2]) > 1e-12 || values[0] <= 0 {
				t.Errorf("%s: found %v, expected the difference last", name, values)
			}
		}
		if r.SmallestCosine > r.Cosine || r.SmallestCosine < 0.95 || r.Cosine > 1 {
			t.Errorf("found the cosines %v and %v", r.Cosine, r.SmallestCosine)
		}
		if made.Threshold == nil || math.Abs(*made.Threshold-threshold) > 0.005 {
			t.Errorf("found the threshold %v, expected about %v", made.Threshold, threshold)
		}
		if bytes := int64(4 * (before.Weights.Count() + 2*4*8)); r.Bytes != bytes || r.QuantizedBytes >= r.Bytes {
			t.Errorf("found %d bytes before and %d after, expected %d and fewer", r.Bytes, r.QuantizedBytes, bytes)
		}
		path := filepath.Join(t.TempDir(), "m.safetensors")
		if err := made.Save(path); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(content))
	}
	if files[0] != files[1] {
		t.Error("the file depends on the number of threads")
	}
}

// Without classes there is no accuracy, and broken files are skipped if that is asked for.
func TestFolderWithoutClasses(t *testing.T) {
	folder := t.TempDir()
	if err := drawClasses(folder, 1, 8); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := os.WriteFile(filepath.Join(folder, "class0", "broken"+string(rune('0'+i))+".png"), []byte("\x89PNG\r\n\x1a\nbroken"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := quantize.Folder(context.Background(), model(t), folder, quantize.Options{}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("found error %v, expected one that names a broken file", err)
	}
	_, r, err := quantize.Folder(context.Background(), model(t), folder, quantize.Options{SkipBroken: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Accuracy != nil || len(r.Skipped) != 4 || r.Images+r.Measured != 8 {
		t.Errorf("found %+v, expected 8 images in all, 4 skipped and no accuracy", r)
	}
}

func TestRefuses(t *testing.T) {
	folder := t.TempDir()
	if err := drawClasses(folder, 2, 4); err != nil {
		t.Fatal(err)
	}
	one := t.TempDir()
	if err := drawClasses(one, 1, 1); err != nil {
		t.Fatal(err)
	}
	good := model(t)
	q, _, err := quantize.Folder(context.Background(), good, folder, quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	network := good.Backbone.(backbone.Network)
	network.Blocks = append([]graph.Block{graph.LayerNorm{}}, network.Blocks...)
	normed, err := likeness.New(network, good.Head, good.Preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	for _, test := range []struct {
		ctx    context.Context
		model  *likeness.Model
		folder string
		o      quantize.Options
		want   string
	}{
		{nil, good, folder, quantize.Options{}, "found no context"},
		{ended, good, folder, quantize.Options{}, "context canceled"},
		{context.Background(), nil, folder, quantize.Options{}, "the model is nil"},
		{context.Background(), q, folder, quantize.Options{}, "the model is quantized: give the model in float32"},
		{context.Background(), normed, folder, quantize.Options{}, "block layernorm1: a layer norm"},
		{context.Background(), good, one, quantize.Options{}, "found 1 images, expected at least 2"},
		{context.Background(), good, filepath.Join(one, "none"), quantize.Options{}, "none"},
		{context.Background(), good, folder, quantize.Options{Images: -1}, "found -1 images for the ranges"},
	} {
		if _, _, err := quantize.Folder(test.ctx, test.model, test.folder, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected %q", err, test.want)
		}
	}
	if _, _, err := quantize.Folder(context.Background(), q, folder, quantize.Options{}); !errors.Is(err, likeness.ErrQuantized) {
		t.Errorf("found error %v, expected ErrQuantized", err)
	}
	broken := t.TempDir()
	for _, name := range []string{"a.png", "b.png"} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte("\x89PNG\r\n\x1a\nbroken"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := quantize.Folder(context.Background(), good, broken, quantize.Options{SkipBroken: true}); !errors.Is(err, retrieval.ErrBroken) {
		t.Errorf("found error %v, expected ErrBroken", err)
	}
}
