package likeness_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	imagepng "image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// update writes the fixture of the current format if there is none: go test . -run
// TestEveryFormatIsRead -update
var update = flag.Bool("update", false, "write the model file of the present format to testdata/formats")

// fixture is what a model file of testdata/formats must say, kept beside it.
type fixture struct {
	Backbone      string // TOML
	Head          string
	Preprocessing imaging.Preprocessing
	Threshold     float64
	Checksum      string // of the identity, by which galleries know their model
	Embedding     []float32
	Distance      float64
}

// fixtureModel is small and has what a model file can hold: a convolution with
// batch norm's statistics, a learned head, a crop, a threshold.
func fixtureModel(t *testing.T) *likeness.Model {
	t.Helper()
	size := imaging.Size{Height: 8, Width: 8, Channels: 1}
	network := backbone.Network{Name: "tiny", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		graph.Flatten{}, graph.Linear{Units: 3},
	}}
	preprocessing := imaging.Preprocessing{
		Size: size, Invert: true, Crop: &imaging.Crop{Margin: 1.15, MinSide: 0.25}, Mean: []float64{0.25}, StdDev: []float64{0.5},
	}
	model, err := likeness.New(network, heads.WeightedL1{}, preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	gradcheck.Perturb(model.Weights, "fixture")
	threshold := 0.75
	model.Threshold = &threshold
	return model
}

// bar is a black bar on white paper.
func bar(upright bool) image.Image {
	img := image.NewGray(image.Rect(0, 0, 16, 16))
	for y := range 16 {
		for x := range 16 {
			along, across := x, y
			if upright {
				along, across = y, x
			}
			img.SetGray(x, y, color.Gray{Y: 255})
			if along >= 3 && along < 12 && across >= 6 && across < 9 {
				img.SetGray(x, y, color.Gray{Y: uint8(10 * along)})
			}
		}
	}
	return img
}

// describe is what a model says of itself.
func describe(t *testing.T, model *likeness.Model) fixture {
	t.Helper()
	text, err := model.Backbone.(backbone.Network).TOML()
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := model.Embed(bar(true))
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := model.Compare(bar(true), bar(false))
	if err != nil {
		t.Fatal(err)
	}
	return fixture{text, model.Head.Name(), model.Preprocessing, *model.Threshold, identityOf(t, model).Checksum, embeddings[0], comparison.Distance}
}

// A file of every format that there ever was is read, and is the model that was
// written. A fixture is written once, by the program whose format it is, and
// never again.
func TestEveryFormatIsRead(t *testing.T) {
	newest, err := strconv.Atoi(strings.TrimPrefix(likeness.Format, "likeness/"))
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= newest; version++ {
		path := filepath.Join("testdata", "formats", fmt.Sprintf("model-%d.safetensors", version))
		answers := strings.TrimSuffix(path, ".safetensors") + ".json"
		if *update && version == newest {
			writeFixture(t, path, answers)
		}
		model, err := likeness.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		var want fixture
		if err := json.Unmarshal([]byte(read(t, answers)), &want); err != nil {
			t.Fatal(err)
		}
		near := cmp.Comparer(func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 })
		nearly := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-5 })
		if diff := cmp.Diff(want, describe(t, model), near, nearly); diff != "" {
			t.Errorf("%s (-want +found):\n%s", path, diff)
		}
	}
}

func writeFixture(t *testing.T, path, answers string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		t.Fatalf("%s is there already: a fixture is never written again", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	model := fixtureModel(t)
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(describe(t, model), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answers, append(text, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
}

// A file of another kind that is given as a model is named, and the error says what
// to give instead.
func TestLoadNamesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	var png bytes.Buffer
	if err := imagepng.Encode(&png, picture(1)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"photo.png":        {png.Bytes(), "a PNG image"},
		"empty":            {nil, "an empty file"},
		"notes.txt":        {[]byte("notes"), "a text file"},
		"page.safetensors": {[]byte("<!DOCTYPE html><p>Not found</p>"), "an HTML page"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, test.content, 0o666); err != nil {
			t.Fatal(err)
		}
		checkOther(t, path, test.want)
		if _, err := likeness.Read(test.content, path); err == nil || !strings.Contains(err.Error(), "found "+test.want) {
			t.Errorf("Read: found %v", err)
		}
	}
	checkOther(t, dir, "a directory")
}

func checkOther(t *testing.T, path, want string) {
	t.Helper()
	_, err := likeness.Load(path)
	for _, part := range []string{path, "found " + want, "expected a safetensors file", "not a model file", "Model.Save", "likeness train"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: found %v, expected %q", path, err, part)
		}
	}
}

// A model in half precision: the file has a format of its own, is as small as it can be,
// keeps batch norm, and is written again byte for byte; the model stays the same model.
func TestHalfPrecision(t *testing.T) {
	network := backbone.Network{Name: "half", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, BatchNorm: true, Activation: "relu"}, graph.Flatten{}, graph.Linear{Units: 5},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	variance := model.Weights.Get("norm1.running_var").Value.Float32s()
	variance[0] = 1.0001 // no half-precision number
	full := saved(t, model)
	model.HalfPrecision = true
	if err := model.Save(filepath.Join(t.TempDir(), "m.safetensors")); err == nil || !strings.Contains(err.Error(), "half-precision number") {
		t.Errorf("weights that are not rounded: found error %v", err)
	}
	if err := model.RoundToHalf(); err != nil {
		t.Fatal(err)
	}
	first := saved(t, model)
	loaded, err := likeness.Load(first)
	if err != nil {
		t.Fatal(err)
	}
	second := saved(t, loaded)
	one, other := read(t, first), read(t, second)
	if one != other || !strings.Contains(one, likeness.HalfFormat) {
		t.Error("the file is not written again as it was, in its format")
	}
	if whole := len(read(t, full)); len(one) >= whole {
		t.Errorf("found %d bytes, expected fewer than %d", len(one), whole)
	}
	if !loaded.HalfPrecision || loaded.Weights.Get("norm1.running_var").Value.Float32s()[0] != 1.0001 {
		t.Error("batch norm was rounded, or the type was lost")
	}
	deviation, tolerance, err := loaded.ProbeDeviation()
	if err != nil || deviation > tolerance/100 {
		t.Errorf("the probe deviates by %v (%v), expected that of the rounded weights", deviation, err)
	}
	identity, err := loaded.Identity()
	if err != nil {
		t.Fatal(err)
	}
	loaded.HalfPrecision = false
	if same, err := loaded.Identity(); err != nil || same != identity {
		t.Errorf("found the identity %v in single precision (%v), expected %v", same, err, identity)
	}
	model.Weights.Get("linear1.weight").Value.Float32s()[3] = 70000
	if err := model.RoundToHalf(); err == nil || !strings.Contains(err.Error(), `weight "linear1.weight": value 3 is 70000, expected a magnitude of at most 65504`) {
		t.Errorf("a large weight: found error %v", err)
	}
}
