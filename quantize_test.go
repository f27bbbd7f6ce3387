package likeness_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/quantized"
	"github.com/pkg/errors"
)

// quantizedModel is the quantized form of fixtureModel.
func quantizedModel(t *testing.T) (model, q *likeness.Model) {
	t.Helper()
	model = fixtureModel(t)
	var pixels likeness.Pixels
	for i := range 20 {
		pixels = append(pixels, model.Preprocessing.Pixels(picture(uint64(i))))
	}
	q, err := model.Quantize(pixels, quantized.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model, q
}

// A quantized model has embeddings near those of its model, the same bits in every batch, another
// identity, and a file that is read exactly.
func TestQuantize(t *testing.T) {
	model, q := quantizedModel(t)
	var images [][]uint8
	for i := range 11 { // batches of 8 and 1
		images = append(images, model.Preprocessing.Pixels(picture(uint64(30+i))))
	}
	before, err := model.EmbedPixels(images)
	if err != nil {
		t.Fatal(err)
	}
	after, err := q.EmbedPixels(images)
	if err != nil {
		t.Fatal(err)
	}
	var wrong, length float64
	for i := range before {
		for j, v := range before[i] {
			wrong += float64(after[i][j]-v) * float64(after[i][j]-v)
			length += float64(v) * float64(v)
		}
		one, err := q.EmbedBatches(8, images[i:i+1])
		if err != nil || !slices.Equal(one[0], after[i]) {
			t.Errorf("image %d alone: found %v (%v), expected %v", i, one, err, after[i])
		}
	}
	if wrong > 0.0004*length {
		t.Errorf("found embeddings that deviate by %v of %v squared", wrong, length)
	}
	// The learned head is the same.
	if found, want := q.Weights.All()[0].Value.Float32s(), model.Weights.Get("head.weight").Value.Float32s(); len(q.Weights.All()) != 1 || !slices.Equal(found, want) {
		t.Errorf("found the weights %v of the head, expected %v", found, want)
	}
	if same, err := likeness.Load(saved(t, q)); err != nil {
		t.Fatal(err)
	} else {
		again, err := same.EmbedPixels(images)
		if err != nil || !cmp.Equal(again, after) {
			t.Errorf("the loaded model embeds differently (%v)", err)
		}
		if identityOf(t, same) != identityOf(t, q) || *same.Threshold != *q.Threshold {
			t.Error("the loaded model has another identity or threshold")
		}
		if identityOf(t, same).Checksum == identityOf(t, model).Checksum {
			t.Error("the quantized model has the identity of its model")
		}
		deviation, tolerance, err := same.ProbeDeviation()
		if err != nil || deviation != 0 || tolerance != 0 {
			t.Errorf("found the deviation %v, tolerance %v (%v) of the probe, expected 0 exactly", deviation, tolerance, err)
		}
		if one, other := read(t, saved(t, q)), read(t, saved(t, same)); one != other || !strings.Contains(one, likeness.QuantizedFormat) {
			t.Error("the file is not written again as it was, in its format")
		}
	}
	if _, err := q.Quantize(likeness.Pixels(images), quantized.Options{}); !errors.Is(err, likeness.ErrQuantized) {
		t.Errorf("quantize again: found error %v", err)
	}
	if err := q.RoundToHalf(); !errors.Is(err, likeness.ErrQuantized) {
		t.Errorf("round: found error %v", err)
	}
	if err := q.CheckSave(); err != nil {
		t.Error(err)
	}
}

// As many pairs of the calibration images lie within the threshold as before.
func TestQuantizeThreshold(t *testing.T) {
	model := fixtureModel(t)
	var images likeness.Pixels
	for i := range 20 {
		images = append(images, model.Preprocessing.Pixels(picture(uint64(i))))
	}
	within := func(m *likeness.Model) (n int) {
		rows, err := m.EmbedPixels(images)
		if err != nil {
			t.Fatal(err)
		}
		distance, err := heads.DistanceOf(m.Head, m.Weights)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			for j := range i {
				if distance.Between(rows[i], rows[j]) <= *m.Threshold {
					n++
				}
			}
		}
		return n
	}
	for _, threshold := range []float64{0, 0.02, 0.05, 0.1, 1e9} {
		model.Threshold = &threshold
		q, err := model.Quantize(images, quantized.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before, after := within(model), within(q)
		if before != after {
			t.Errorf("threshold %v: %d pairs lie within it, before %d", threshold, after, before)
		}
		if before == 190 && *q.Threshold != threshold {
			t.Errorf("all pairs lie within %v, the threshold became %v", threshold, *q.Threshold)
		}
	}
	model.Threshold = nil
	if q, err := model.Quantize(images, quantized.Options{}); err != nil || q.Threshold != nil {
		t.Errorf("without a threshold: found %v (%v)", q, err)
	}
}

func TestQuantizeRefuses(t *testing.T) {
	model := fixtureModel(t)
	network := model.Backbone.(backbone.Network)
	network.Blocks = append([]graph.Block{graph.LayerNorm{}}, network.Blocks...)
	normed, err := likeness.New(network, model.Head, model.Preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	images := likeness.Pixels{make([]uint8, 64)}
	for _, test := range []struct {
		model  *likeness.Model
		images likeness.Images
		want   string
	}{
		{nil, images, "quantize: the model is nil"},
		{model, nil, "quantize: found no images"},
		{model, likeness.Pixels{}, "quantize: found no images"},
		{model, likeness.Pixels{{1}}, "found 1 values"},
		{normed, images, "block layernorm1: a layer norm"},
	} {
		if _, err := test.model.Quantize(test.images, quantized.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected %q", err, test.want)
		}
	}
	_, q := quantizedModel(t)
	q.Quantized = new(quantized.Network)
	if _, err := q.EmbedPixels(images); err == nil || !strings.Contains(err.Error(), "field Quantized: found a network without steps") {
		t.Errorf("a network without steps: found error %v", err)
	}
}

// A file whose arrays do not fit its network is refused, although its checksum is right.
func TestLoadRefusesIntegers(t *testing.T) {
	_, q := quantizedModel(t)
	content := read(t, saved(t, q))
	for want, edit := range map[string]func(f *safetensors.File, at func(name string) *safetensors.Tensor){
		`array "conv1.weight" is missing`: func(f *safetensors.File, at func(string) *safetensors.Tensor) {
			at("conv1.weight").Name = "conv2.weight"
		},
		`array "conv1.bias": found the shape [2 2], expected [4]`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) { at("conv1.bias").Shape = []int{2, 2} },
		`array "conv1.bias": found []int64`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) {
			at("conv1.bias").Data = make([]int64, 4)
		},
		`array "output.scale": found half precision`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) {
			at("output.scale").Data, at("output.scale").Half = make([]float32, 3), true
		},
		`block output: scale 0 is 0`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) {
			at("output.scale").Data = make([]float64, 3)
		},
		`weight "head.weight" is missing`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) { at("head.weight").Name = "head.other" },
		`weight "head.weight": found shape`: func(_ *safetensors.File, at func(string) *safetensors.Tensor) {
			at("head.weight").Shape, at("head.weight").Data = []int{4}, make([]float32, 4)
		},
		`field likeness.probe: found a tolerance of 0.1`: func(f *safetensors.File, _ func(string) *safetensors.Tensor) {
			f.Metadata["likeness.probe"] = `{"embedding":[1],"tolerance":0.1}`
		},
		"expected []float32: save a model whose weights are float32": func(f *safetensors.File, _ func(string) *safetensors.Tensor) {
			f.Metadata["likeness.format"] = likeness.Format
			delete(f.Metadata, "likeness.probe")
		},
		"field likeness.format: found \"likeness/5\"": func(f *safetensors.File, _ func(string) *safetensors.Tensor) {
			f.Metadata["likeness.format"] = "likeness/5"
		},
	} {
		file, err := safetensors.Read(strings.NewReader(content), int64(len(content)), "model")
		if err != nil {
			t.Fatal(err)
		}
		edit(&file, func(name string) *safetensors.Tensor {
			return &file.Tensors[slices.IndexFunc(file.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })]
		})
		delete(file.Metadata, safetensors.ChecksumKey)
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		var changed bytes.Buffer
		if err := safetensors.Write(&changed, file); err != nil {
			t.Fatal(err)
		}
		if _, err := likeness.Read(changed.Bytes(), "model"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
}

// The file of a quantized model that an earlier version wrote is the same model on every machine:
// its embeddings are equal, bit for bit.
func TestQuantizedFormatIsRead(t *testing.T) {
	path := filepath.Join("testdata", "formats", "model-4.safetensors")
	answers := strings.TrimSuffix(path, ".safetensors") + ".json"
	if _, err := os.Stat(path); *update && errors.Is(err, os.ErrNotExist) {
		_, q := quantizedModel(t)
		if err := q.Save(path); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(describe(t, q), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(answers, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	model, err := likeness.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var want fixture
	if err := json.Unmarshal([]byte(read(t, answers)), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, describe(t, model)); diff != "" {
		t.Errorf("%s (-want +found):\n%s", path, diff)
	}
	if deviation, _, err := model.ProbeDeviation(); err != nil || deviation != 0 {
		t.Errorf("the probe deviates by %v (%v), expected 0", deviation, err)
	}
}

// Test-time augmentation and a head with a bias work as before.
func TestQuantizedUse(t *testing.T) {
	size := imaging.Size{Height: 8, Width: 8, Channels: 1}
	network := backbone.Network{Name: "tiny", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 4, Kernel: 3, Activation: "relu"}, graph.Flatten{}, graph.Normalize{},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	gradcheck.Perturb(model.Weights, "use")
	if err := model.Weights.Add("head.bias", graph.Bias, []int{1}, []float64{0.5}); err != nil {
		t.Fatal(err)
	}
	images := likeness.Pixels{model.Preprocessing.Pixels(picture(1)), model.Preprocessing.Pixels(picture(2))}
	q, err := model.Quantize(images, quantized.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := likeness.Load(saved(t, q))
	if err != nil {
		t.Fatal(err)
	}
	if bias := loaded.Weights.Get("head.bias"); bias == nil || bias.Value.Float32s()[0] != 0.5 {
		t.Error("the bias of the head is lost")
	}
	before, err := model.EmbedTTA(likeness.TTA{Symmetries: true}, images)
	if err != nil {
		t.Fatal(err)
	}
	after, err := loaded.EmbedTTA(likeness.TTA{Symmetries: true}, images)
	if err != nil {
		t.Fatal(err)
	}
	var cosine float64
	for i := range before[0] {
		cosine += float64(before[0][i]) * float64(after[0][i])
	}
	if cosine < 0.999*8 { // of the concatenation of eight vectors of length 1
		t.Errorf("found the cosine %v of embeddings with and without integers", cosine/8)
	}
	comparison, err := loaded.Compare(picture(1), picture(1))
	if err != nil || comparison.Distance > 1e-6 {
		t.Errorf("found the distance %v of an image from itself (%v)", comparison.Distance, err)
	}
}
