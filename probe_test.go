package likeness_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// saved is the file of a model.
func saved(t *testing.T, model *likeness.Model) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A byte of a model's file that has changed is found when it is loaded, wherever
// it lies, and the error names the file.
func TestLoadFindsAChangedByte(t *testing.T) {
	path := saved(t, fixtureModel(t))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sums := 0
	for at := range content {
		damaged := bytes.Clone(content)
		damaged[at] ^= 1 << (at % 8)
		_, err := likeness.Read(damaged, "damaged.safetensors")
		if err == nil || !strings.Contains(err.Error(), "damaged.safetensors") {
			t.Fatalf("byte %d is changed: found error %v", at, err)
		}
		if errors.Is(err, likeness.ErrChecksum) {
			sums++
		}
	}
	if sums < len(content)/2 {
		t.Errorf("the checksum found %d of %d changes, expected most of them", sums, len(content))
	}
}

// Neither another number of the format nor a lost checksum leads past it.
func TestLoadRefusesFormats(t *testing.T) {
	for _, test := range []struct {
		change func(metadata map[string]string)
		want   string
	}{
		{func(m map[string]string) { m["likeness.format"] = "likeness/1" }, "found the checksum"},
		{func(m map[string]string) { delete(m, "likeness.checksum") }, "likeness.checksum is missing"},
		{func(m map[string]string) { m["likeness.threshold"] = "0.76" }, "found the checksum"},
		{func(m map[string]string) { m["likeness.format"] = "likeness/9" }, `field likeness.format: found "likeness/9", expected "likeness/2" or "likeness/1"`},
		{func(m map[string]string) { delete(m, "likeness.format") }, "this is not a likeness model"},
	} {
		path := saved(t, fixtureModel(t))
		file, err := safetensors.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		test.change(file.Metadata)
		if err := safetensors.WriteFile(path, file); err != nil {
			t.Fatal(err)
		}
		if _, err := likeness.Load(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("found %v, expected %q and the file", err, test.want)
		}
	}
}

// The probe of every kind of image is met by the model that stored it, and by no
// other: weights that are changed after loading show, as an operation that is
// wrong would.
func TestProbe(t *testing.T) {
	for _, p := range []imaging.Preprocessing{
		{Size: imaging.Size{Height: 16, Width: 16, Channels: 1}},
		{Size: imaging.Size{Height: 20, Width: 16, Channels: 3}, Invert: true, Mean: []float64{0.1, 0.2, 0.3}},
		{Size: imaging.Size{Height: 16, Width: 16, Channels: 1}, Invert: true, Crop: &imaging.Crop{Margin: 1.15, Least: 0.3}},
		{Size: imaging.Size{Height: 16, Width: 24, Channels: 3}, Crop: &imaging.Crop{Margin: 1.15, Least: 0.3}},
	} {
		t.Run(fmt.Sprint(p.Size, p.Invert, p.Crop != nil), func(t *testing.T) {
			model, err := likeness.New(backbone.Conv4(p.Size, 8, true), heads.L2{}, p, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := model.ProbeDeviation(); !errors.Is(err, likeness.ErrNoProbe) {
				t.Errorf("a model of no file: found %v, expected ErrNoProbe", err)
			}
			loaded, err := likeness.Load(saved(t, model))
			if err != nil {
				t.Fatal(err)
			}
			deviation, tolerance, err := loaded.ProbeDeviation()
			if err != nil || !(deviation < tolerance/10) {
				t.Errorf("found a deviation of %v (%v), expected far less than %v", deviation, err, tolerance)
			}
			for _, weight := range loaded.Weights.All() {
				data := weight.Value.Float32s()
				before := slices.Clone(data)
				for i := range data { // one might be behind a ReLU
					data[i] += 0.5
				}
				changed, _, err := loaded.ProbeDeviation()
				if copy(data, before); err != nil || !(changed > tolerance) {
					t.Errorf("%s changed: found a deviation of %v (%v), expected more than %v", weight.Name, changed, err, tolerance)
				}
			}
		})
	}
}

// Images of one pixel have a probe, too.
func TestProbeOfOnePixel(t *testing.T) {
	size := imaging.Size{Height: 1, Width: 1, Channels: 1}
	network := backbone.Network{Name: "one", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := likeness.Load(saved(t, model))
	if err != nil {
		t.Fatal(err)
	}
	if deviation, tolerance, err := loaded.ProbeDeviation(); err != nil || !(deviation <= tolerance) {
		t.Errorf("found %v (%v), expected at most %v", deviation, err, tolerance)
	}
}

// A model that is no use is not saved, and what was there is left.
func TestSaveRefusesWhatIsNotFinite(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*likeness.Model)
		want  string
	}{
		"weight":    {func(m *likeness.Model) { m.Weights.Get("linear1.weight").Value.Float32s()[5] = float32(math.NaN()) }, `weight "linear1.weight": value 5 is NaN, expected a finite number`},
		"statistic": {func(m *likeness.Model) { m.Weights.Get("norm1.running_var").Value.Float32s()[1] = float32(math.Inf(1)) }, `weight "norm1.running_var": value 1 is +Inf`},
		"threshold": {func(m *likeness.Model) { *m.Threshold = math.NaN() }, "field Threshold: found NaN"},
		"zero":      {func(m *likeness.Model) { m.Preprocessing.Deviation[0] = 0 }, "deviation is [0]"},
		"deviation": {func(m *likeness.Model) { m.Preprocessing.Deviation[0] = 1e-300 }, "the embedding of the probe picture"},
	} {
		path := saved(t, fixtureModel(t))
		before := read(t, path)
		model := fixtureModel(t)
		test.spoil(model)
		if err := model.Save(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: found %v, expected %q and the file", name, err, test.want)
		}
		if read(t, path) != before {
			t.Errorf("%s: the earlier file has changed", name)
		}
	}
}
