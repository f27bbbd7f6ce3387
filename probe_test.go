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
		{func(m map[string]string) { m["likeness.format"] = "likeness/9" }, `field likeness.format: found "likeness/9", expected "likeness/2", "likeness/3", "likeness/4" or "likeness/1"`},
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
		{Size: imaging.Size{Height: 16, Width: 16, Channels: 1}, Invert: true, Crop: &imaging.Crop{Margin: 1.15, MinSide: 0.3}},
		{Size: imaging.Size{Height: 16, Width: 24, Channels: 3}, Crop: &imaging.Crop{Margin: 1.15, MinSide: 0.3}},
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
		"zero":      {func(m *likeness.Model) { m.Preprocessing.StdDev[0] = 0 }, "deviation is [0]"},
		"deviation": {func(m *likeness.Model) { m.Preprocessing.StdDev[0] = 1e-300 }, "the embedding of the probe picture"},
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

// changed is the file of a model whose content was changed by whoever could seal
// it again.
func changed(t *testing.T, model *likeness.Model, change func(file *safetensors.File)) string {
	t.Helper()
	path := saved(t, model)
	file, err := safetensors.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(&file)
	delete(file.Metadata, safetensors.ChecksumKey)
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(path, file); err != nil {
		t.Fatal(err)
	}
	return path
}

// A weight or a threshold that is not a number is refused by every way of loading,
// with the file, the weight and the index.
func TestLoadRefusesWhatIsNotFinite(t *testing.T) {
	set := func(name string, index int, value float64) func(*safetensors.File) {
		return func(f *safetensors.File) {
			tensor, found := f.Tensor(name)
			if !found {
				t.Fatalf("there is no weight %s", name)
			}
			tensor.Data.([]float32)[index] = float32(value)
		}
	}
	for want, change := range map[string]func(*safetensors.File){
		`weight "linear1.weight": value 5 is NaN, expected a finite number`:      set("linear1.weight", 5, math.NaN()),
		`weight "conv1.weight": value 0 is +Inf, expected a finite number`:       set("conv1.weight", 0, math.Inf(1)),
		`weight "norm1.running_mean": value 3 is -Inf, expected a finite number`: set("norm1.running_mean", 3, math.Inf(-1)),
		`weight "head.weight": value 1 is NaN, expected a finite number`:         set("head.weight", 1, math.NaN()),
		`field likeness.threshold: found "NaN", expected a number`:               func(f *safetensors.File) { f.Metadata["likeness.threshold"] = "NaN" },
		`weight "linear1.bias": found elements of type []float64, expected []float32`: func(f *safetensors.File) {
			for i := range f.Tensors {
				if f.Tensors[i].Name == "linear1.bias" {
					f.Tensors[i].Data = make([]float64, 3)
				}
			}
		},
	} {
		path := changed(t, fixtureModel(t), change)
		content := []byte(read(t, path))
		for way, load := range map[string]func() (*likeness.Model, error){
			"Load":     func() (*likeness.Model, error) { return likeness.Load(path) },
			"LoadWith": func() (*likeness.Model, error) { return likeness.LoadWith(path, fixtureModel(t).Backbone) },
			"Read":     func() (*likeness.Model, error) { return likeness.Read(content, path) },
		} {
			if m, err := load(); err == nil || m != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: found %v, %v, expected %q and the file", way, m, err, want)
			}
		}
	}
}

// A comparison that comes to no number is an error, not a distance.
func TestCompareRefusesWhatIsNotFinite(t *testing.T) {
	for name, test := range map[string]struct {
		head  heads.Head
		spoil func(*likeness.Model)
		want  string
	}{
		"a weight":   {heads.L2{}, func(m *likeness.Model) { m.Weights.Get("conv1.weight").Value.Float32s()[0] = float32(math.NaN()) }, "the embedding of image 0: value"},
		"a factor":   {heads.WeightedL1{}, func(m *likeness.Model) { m.Weights.Get("head.weight").Value.Float32s()[0] = float32(math.NaN()) }, "the head weighted-l1 finds the distance NaN"},
		"a distance": {infinitely{}, func(*likeness.Model) {}, "the head own:infinitely finds the distance +Inf"},
	} {
		model := newModel(t, test.head)
		threshold := 1.0
		model.Threshold = &threshold
		test.spoil(model)
		if c, err := model.Compare(picture(1), picture(2)); err == nil || !strings.Contains(err.Error(), test.want) || c != (likeness.Comparison{}) {
			t.Errorf("%s: found %+v, %v, expected %q", name, c, err, test.want)
		}
	}
}

// infinitely is a head that finds all images infinitely far apart.
type infinitely struct{ heads.L2 }

func (infinitely) Name() string { return "infinitely" }
func (infinitely) Distance(*graph.Weights) (heads.Distance, error) {
	return heads.FromFunc("infinitely", func(x, y []float32) float64 { return math.Inf(1) })
}

// Whatever fails while the probe is computed is an error of Save, but for a
// backbone without a form in float64, which has no probe.
func TestProbeOfOwnBackbones(t *testing.T) {
	for name, test := range map[string]struct {
		double graph.Function[float64]
		want   string
	}{
		"with both forms":        {scale[float64]{2}, ""},
		"with float32 alone":     {nil, ""},
		"with a form that fails": {panicking{}, "the embedding of the probe picture, in float64"},
	} {
		own := doubled{test.double}
		model, err := likeness.New(own, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		err = model.Save(path)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %v, expected %q", name, err, test.want)
		}
		if err != nil {
			continue
		}
		loaded, err := likeness.LoadWith(path, own)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := loaded.ProbeDeviation(); errors.Is(err, likeness.ErrNoProbe) != (test.double == nil) {
			t.Errorf("%s: found %v", name, err)
		}
	}
	// A backbone that fails in float64 alone is no backbone without a form.
	model, err := likeness.New(singly{}, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save(filepath.Join(t.TempDir(), "model.safetensors")); err == nil || !strings.Contains(err.Error(), "this is float64") {
		t.Errorf("found %v, expected the error of the backbone", err)
	}
}

// doubled is a user-defined backbone with a Function in one or both arithmetics.
type doubled struct{ double graph.Function[float64] }

func (doubled) Input() imaging.Size { return size }
func (d doubled) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	rows := b.Sequence([]graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}, images)
	return b.Apply("doubled", rows.Shape().Clone(), scale[float32]{2}, d.double, rows)
}

type panicking struct{ scale[float64] }

func (panicking) Forward([]float64, ...[]float64) { panic("not done yet") }

// singly is a backbone that fails in float64.
type singly struct{ ownBackbone }

func (s singly) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	if b.Dtype() == graph.Float64 {
		b.Fail("this is float64")
	}
	return s.ownBackbone.Embed(b, images)
}

// Files whose checksum is right and whose fields are not those of a model, as of a program
// that writes them itself, are refused by the field.
func TestLoadRefusesOtherFields(t *testing.T) {
	for key, test := range map[string]struct{ value, want string }{
		"no preprocessing":            {"{", "field likeness.preprocessing"},
		"a probe that is no JSON":     {"{", "field likeness.probe"},
		"a probe of nothing":          {`{"tolerance":0.1}`, "field likeness.probe: found a tolerance of 0.1 and 0 values"},
		"a probe of another length":   {`{"tolerance":0.1,"embedding":[1,2]}`, "probe: found an embedding of "},
		"half precision of the first": {"", "found half precision"},
	} {
		path := saved(t, fixtureModel(t))
		file, err := safetensors.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.value == "":
			file.Metadata["likeness.format"] = likeness.HalfFormat
		case strings.Contains(key, "probe"):
			file.Metadata["likeness.probe"] = test.value
		default:
			file.Metadata["likeness.preprocessing"] = test.value
		}
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		if err := safetensors.WriteFile(path, file); err != nil {
			t.Fatal(err)
		}
		model, err := likeness.Load(path)
		if err == nil {
			_, _, err = model.ProbeDeviation()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, expected one with %q", key, err, test.want)
		}
	}
}
