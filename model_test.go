package likeness_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

var size = imaging.Size{Height: 16, Width: 16, Channels: 1}

func newModel(t testing.TB, head heads.Head) *likeness.Model {
	t.Helper()
	preprocessing := imaging.Preprocessing{Size: size, Mean: []float64{0.2}, StdDev: []float64{0.5}}
	model, err := likeness.New(backbone.Conv4(size, 8, true), head, preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// picture is a gray image of noise.
func picture(seed uint64) image.Image {
	img := image.NewGray(image.Rect(0, 0, 20, 18))
	r := random.New(seed, "picture")
	for i := range img.Pix {
		img.Pix[i] = uint8(r.IntN(256))
	}
	return img
}

func pictures(n int) []image.Image {
	images := make([]image.Image, n)
	for i := range images {
		images[i] = picture(uint64(i))
	}
	return images
}

// An embedding does not depend on which other images are embedded with it, nor on
// the batch size that their number leads to: bit for bit where convolutions are
// direct. Winograd's algorithms are not taken for all batch sizes, and round.
func TestEmbedEachByItself(t *testing.T) {
	t.Run("by any algorithm", func(t *testing.T) { checkEmbedEach(t, cmpopts.EquateApprox(0, 1e-5)) })
	graph.SetWinograd(false)
	defer graph.SetWinograd(true)
	t.Run("directly", func(t *testing.T) { checkEmbedEach(t) })
}

func checkEmbedEach(t *testing.T, alike ...cmp.Option) {
	model := newModel(t, heads.L2{})
	images := pictures(70)
	together, err := model.Embed(images...)
	if err != nil {
		t.Fatal(err)
	}
	among, err := model.Embed(append([]image.Image{images[69], images[68]}, images[:62]...)...)
	if err != nil {
		t.Fatal(err)
	}
	for i, embedding := range among[2:] {
		if diff := cmp.Diff(together[i], embedding); diff != "" {
			t.Errorf("image %d (-together +among others):\n%s", i, diff)
		}
	}
	for _, i := range []int{0, 5, 63, 64, 69} {
		alone, err := model.Embed(images[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(together[i], alone[0], alike...); diff != "" {
			t.Errorf("image %d (-together +alone):\n%s", i, diff)
		}
	}
	if none, err := model.Embed(); err != nil || len(none) != 0 {
		t.Errorf("no images: found %v, %v", none, err)
	}
}

// A model that is saved and loaded is the same function and the same file.
func TestSaveAndLoad(t *testing.T) {
	for _, name := range heads.Names {
		head, err := heads.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		model := newModel(t, head)
		threshold := 0.75
		model.Threshold = &threshold
		first, second := filepath.Join(t.TempDir(), "a.safetensors"), filepath.Join(t.TempDir(), "b.safetensors")
		if err := model.Save(first); err != nil {
			t.Fatal(err)
		}
		loaded, err := likeness.Load(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.Save(second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read(t, first), read(t, second)); diff != "" {
			t.Errorf("%s: the file of the loaded model differs", name)
		}
		want, err := model.Compare(picture(1), picture(2))
		if err != nil {
			t.Fatal(err)
		}
		got, err := loaded.Compare(picture(1), picture(2))
		if err != nil || got != want {
			t.Errorf("%s: found %+v (%v), want %+v", name, got, err, want)
		}
		if !got.Calibrated || got.Threshold != 0.75 || got.Same != (got.Distance <= 0.75) {
			t.Errorf("%s: found %+v", name, got)
		}
	}
}

// The metric for evaluation is the head's own distance.
func TestMetricIsTheHead(t *testing.T) {
	for _, name := range heads.Names {
		head, err := heads.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		model := newModel(t, head)
		metric, err := model.Metric()
		if err != nil {
			t.Fatal(err)
		}
		embeddings, err := model.Embed(picture(1), picture(2))
		if err != nil {
			t.Fatal(err)
		}
		var found [1]float64
		if err := metric.Paired(found[:], embeddings[0], embeddings[1], len(embeddings[0])); err != nil {
			t.Fatal(err)
		}
		comparison, err := model.Compare(picture(1), picture(2))
		if err != nil {
			t.Fatal(err)
		}
		if d := found[0] - comparison.Distance; d > 1e-6 || d < -1e-6 {
			t.Errorf("%s: the metric gives %v, the head %v", name, found[0], comparison.Distance)
		}
	}
}

// ownBackbone is a backbone as a user may write it.
type ownBackbone struct{}

func (ownBackbone) Input() imaging.Size { return size }
func (ownBackbone) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	return b.Sequence([]graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}, images)
}

func TestOwnBackbone(t *testing.T) {
	model, err := likeness.New(ownBackbone{}, heads.L1{}, imaging.Preprocessing{Size: size}, 2)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "own.safetensors")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := likeness.Load(path); err == nil || !strings.Contains(err.Error(), "LoadWith") {
		t.Errorf("Load: found error %v, want one that names LoadWith", err)
	}
	loaded, err := likeness.LoadWith(path, ownBackbone{})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := model.Embed(picture(1))
	got, err := loaded.Embed(picture(1))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// What is wrong is said with the file and the field.
func TestErrors(t *testing.T) {
	model := newModel(t, heads.L2{})
	if _, err := model.Embed(image.NewGray(image.Rectangle{})); err == nil || !strings.Contains(err.Error(), "image 0 has no pixels") {
		t.Errorf("empty image: found error %v", err)
	}
	if _, err := model.Embed(picture(1), nil); err == nil || !strings.Contains(err.Error(), "image 1 has no pixels") {
		t.Errorf("nil image: found error %v", err)
	}
	if _, err := model.Embed(image.NewUniform(color.Black)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("endless image: found error %v", err)
	}
	if _, err := model.EmbedPixels([][]uint8{make([]uint8, 5)}); err == nil || !strings.Contains(err.Error(), "expected 256 for 16x16x1") {
		t.Errorf("wrong size: found error %v", err)
	}
	if _, err := likeness.Load("missing.safetensors"); err == nil || !strings.Contains(err.Error(), "missing.safetensors") {
		t.Errorf("no file: found error %v", err)
	}
	_, err := likeness.New(backbone.Koch(), heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err == nil || !strings.Contains(err.Error(), "takes images of 105x105x1, the preprocessing makes 16x16x1") {
		t.Errorf("sizes: found error %v", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Files are compared as their images are, and the error of one that cannot be read names it.
func TestCompareFiles(t *testing.T) {
	folder := t.TempDir()
	var files []string
	for i := range 2 {
		path := filepath.Join(folder, string(rune('a'+i))+".png")
		var file bytes.Buffer
		if err := png.Encode(&file, picture(uint64(i))); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	model := newModel(t, heads.L2{})
	want, err := model.Compare(picture(0), picture(1))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := model.CompareFiles(files[0], files[1]); err != nil || found != want || want.Distance == 0 || want.Calibrated {
		t.Errorf("found %+v, %v, expected %+v", found, err, want)
	}
	threshold := math.NaN()
	model.Threshold = &threshold
	if c, err := model.CompareFiles(files[0], files[1]); err == nil || !strings.Contains(err.Error(), "field Threshold: found NaN") {
		t.Errorf("found %+v, %v", c, err)
	}
	absent := filepath.Join(folder, "absent.png")
	for _, pair := range [][2]string{{absent, files[0]}, {files[0], absent}} {
		if c, err := model.CompareFiles(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), absent) {
			t.Errorf("found %+v, %v, expected an error that names the file", c, err)
		}
	}
}
