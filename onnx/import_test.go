package onnx_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
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
	"github.com/likeness-go/likeness/onnx"
	"github.com/pkg/errors"
	"google.golang.org/protobuf/encoding/protowire"
)

// content is the file of a model.
func content(t testing.TB, written *onnx.Model) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := written.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// expectSameImport writes the model's network, reads it again and compares the embeddings of
// a few images of noise, the preprocessing, the head and the threshold.
func expectSameImport(t *testing.T, model *likeness.Model) {
	t.Helper()
	written, err := onnx.Network(model)
	if err != nil {
		t.Fatal(err)
	}
	imported, err := onnx.Read(content(t, written), "again.onnx", onnx.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again := imported.Model
	if diff := cmp.Diff(model.Preprocessing, again.Preprocessing); diff != "" {
		t.Errorf("preprocessing (-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(model.Threshold, again.Threshold); diff != "" {
		t.Errorf("threshold (-written +read):\n%s", diff)
	}
	if found, want := again.Head.Name(), model.Head.Name(); found != want {
		t.Errorf("found the head %s, want %s", found, want)
	}
	if imported.Classifier != "" {
		t.Errorf("found the classifier %q in an embedding network", imported.Classifier)
	}
	noise := random.New(1, "pixels")
	pixels := [][]uint8{make([]uint8, model.Preprocessing.Size.Len()), make([]uint8, model.Preprocessing.Size.Len())}
	for _, image := range pixels {
		for i := range image {
			image[i] = uint8(noise.IntN(256))
		}
	}
	want, err := model.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	found, err := again.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	expectNear(t, slices.Concat(found...), slices.Concat(want...), 1e-6)
}

// expectNear compares embeddings, relative to the largest element.
func expectNear(t *testing.T, found, want []float32, tolerance float64) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("found %d numbers, want %d", len(found), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range found {
		if !(math.Abs(float64(v)-float64(want[i])) <= tolerance*largest) {
			t.Fatalf("element %d is %v, want %v, all within %v of the largest, %v", i, v, want[i], tolerance, largest)
		}
	}
}

// fixtures are files that PyTorch's exporters wrote, see testdata/exports.py, with the
// embeddings that ONNX Runtime computes.
func fixtures(t *testing.T) map[string][]float32 {
	t.Helper()
	text, err := os.ReadFile("testdata/values.json")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string][]float32
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// fixturePixels are the two images of the fixtures.
func fixturePixels() [][]uint8 {
	images := make([][]uint8, 2)
	for i := range 2 * 32 * 32 * 3 {
		images[i/(32*32*3)] = append(images[i/(32*32*3)], uint8((i*i*7+i*13)%251))
	}
	return images
}

// Networks of residual, inverted residual and ConvNeXt blocks, as PyTorch's exporters write
// them, embed as in ONNX Runtime.
func TestExportsOfPyTorch(t *testing.T) {
	for name, want := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			imported, err := onnx.Import("testdata/"+name+".onnx", onnx.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			network := imported.Model.Backbone.(backbone.Network)
			if network.Name != name {
				t.Errorf("found the name %q", network.Name)
			}
			text, err := network.TOML()
			if err != nil {
				t.Fatal(err)
			}
			t.Log(text)
			found, err := imported.Model.EmbedPixels(fixturePixels())
			if err != nil {
				t.Fatal(err)
			}
			expectNear(t, slices.Concat(found...), want, 1e-5)
			if isClassifier := strings.HasPrefix(name, "resnet"); isClassifier != (imported.Classifier != "") || isClassifier && imported.Classes != 5 {
				t.Errorf("found the classifier %q of %d classes", imported.Classifier, imported.Classes)
			}
		})
	}
}

// A network may end at a tensor or a node; the classifier is what the import says.
func TestImportCut(t *testing.T) {
	file, err := os.ReadFile("testdata/resnet-torchscript.onnx")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := onnx.Read(file, "resnet.onnx", onnx.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []string{whole.Classifier, "/GlobalAveragePool", "/GlobalAveragePool_output_0"} {
		imported, err := onnx.Read(file, "resnet.onnx", onnx.ImportOptions{Cut: cut})
		if err != nil {
			t.Fatal(err)
		}
		blocks := imported.Model.Backbone.(backbone.Network).Blocks
		if _, ok := blocks[len(blocks)-1].(graph.GlobalAveragePool); !ok || imported.Classifier != "" {
			t.Errorf("cut at %q: the last block is %#v, the classifier %q", cut, blocks[len(blocks)-1], imported.Classifier)
		}
	}
	expectRefused(t, file, onnx.ImportOptions{Cut: "nowhere"}, `"nowhere"`)
	expectRefused(t, file, onnx.ImportOptions{Cut: "/blocks/blocks.0/Add"}, "expected (batch, features)")
}

// The size is that of the file, or that of the options where the file leaves it open.
func TestImportSize(t *testing.T) {
	const text = "w: 4 3 3 3\nConv x w -> z\nGlobalAveragePool z -> y"
	size := imaging.Size{Height: 7, Width: 6, Channels: 3}
	given := onnx.ImportOptions{Preprocessing: imaging.Preprocessing{Size: size, Mean: []float64{0.1, 0.2, 0.3}, StdDev: []float64{1, 2, 3}}, Head: heads.Cosine{}}
	imported, err := onnx.Read(build(text, 0, 3, 0, 0), "folder/name.onnx", given)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(given.Preprocessing, imported.Model.Preprocessing); diff != "" || imported.Model.Head.Name() != "cosine" {
		t.Errorf("head %s, preprocessing (-want +got):\n%s", imported.Model.Head.Name(), diff)
	}
	if name := imported.Model.Backbone.(backbone.Network).Name; name != "name" {
		t.Errorf("found the name %q", name)
	}
	expectRefused(t, build(text, 0, 3, 0, 0), onnx.ImportOptions{}, "height", "--size")
	expectRefused(t, build(text, 0, 3, 8, 6), given, "height 8", "7x6x3")
	expectRefused(t, build(text, 0, 3, 8), given, "[0 3 8]")
	expectRefused(t, build("w: 4 5 3 3\nConv x w -> z\nGlobalAveragePool z -> y", 0, 5, 8, 8), onnx.ImportOptions{}, `input "x"`, "channels")
	expectRefused(t, build("Relu x -> z\nGlobalAveragePool z -> y", 0, 3, 1<<20, 1<<20), onnx.ImportOptions{}, "pixels")
}

// A file of Network is of one model, which the import gives again; what does not fit to it is
// refused.
func TestImportOfNetwork(t *testing.T) {
	model := threeFeatures(t, heads.Cosine{})
	threshold := 0.25
	model.Threshold = &threshold
	expectSameImport(t, model)
	written, err := onnx.Network(model)
	if err != nil {
		t.Fatal(err)
	}
	file := content(t, written)
	imported, err := onnx.Read(file, "again.onnx", onnx.ImportOptions{Head: heads.L1{}})
	if err != nil {
		t.Fatal(err)
	}
	if imported.Model.Threshold != nil || imported.Model.Head.Name() != "l1" {
		t.Errorf("with another head, found %s and the threshold %v", imported.Model.Head.Name(), imported.Model.Threshold)
	}
	expectRefused(t, file, onnx.ImportOptions{Preprocessing: imaging.Preprocessing{Invert: true}}, "preprocessing", "--invert")
	// The metadata describe the nodes.
	at := bytes.Index(file, []byte(`"mean":[`)) + len(`"mean":[0.`)
	file[at] ^= 1
	expectRefused(t, file, onnx.ImportOptions{}, "preprocessing that the metadata describe")

	model = threeFeatures(t, heads.WeightedL1{})
	if written, err = onnx.Network(model); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, content(t, written), onnx.ImportOptions{}, "weighted-l1", "--head")
	if _, err := onnx.Read(content(t, written), "again.onnx", onnx.ImportOptions{Head: heads.WeightedL1{}}); err != nil {
		t.Error(err)
	}
}

// Tensors of every type and in every field of the format are read; others are refused.
func TestImportOfTensors(t *testing.T) {
	values := []float32{1, -2, 0.5, 0}
	typed := func(elementType int64, name string, fields ...func([]byte) []byte) []byte {
		tensor := appendMessage(appendInteger(nil, 2, elementType), 8, []byte(name))
		for _, field := range fields {
			tensor = field(tensor)
		}
		return tensor
	}
	dims := func(extents ...int64) func([]byte) []byte {
		return func(to []byte) []byte {
			for _, extent := range extents {
				to = appendInteger(to, 1, extent)
			}
			return to
		}
	}
	bytesOf := func(number protowire.Number, content []byte) func([]byte) []byte {
		return func(to []byte) []byte { return appendMessage(to, number, content) }
	}
	var floats, doubles, halves, varints []byte
	for i, v := range values {
		floats = binary.LittleEndian.AppendUint32(floats, math.Float32bits(v))
		doubles = binary.LittleEndian.AppendUint64(doubles, math.Float64bits(float64(v)))
		half := []uint16{0x3c00, 0xc000, 0x3800, 0}[i]
		halves = binary.LittleEndian.AppendUint16(halves, half)
		varints = protowire.AppendVarint(varints, uint64(half))
	}
	one := func(to []byte) []byte {
		for _, v := range values {
			to = protowire.AppendFixed32(protowire.AppendTag(to, 4, protowire.Fixed32Type), math.Float32bits(v))
		}
		return to
	}
	file := func(tensor []byte) []byte {
		text := build("ReduceMean x -> p axes=[2,3] keepdims=0\nGemm p w -> y transB=1", 0, 1, 2, 2)
		top := parse(t, text)
		graph := appendMessage(slices.Clone(top[7][0].bytes), 5, tensor)
		return appendMessage(appendMessage(nil, 8, top[8][0].bytes), 7, graph)
	}
	for name, tensor := range map[string][]byte{
		"raw float":        typed(1, "w", dims(4, 1), bytesOf(9, floats)),
		"packed float":     typed(1, "w", dims(4, 1), bytesOf(4, floats)),
		"float one by one": typed(1, "w", dims(4, 1), one),
		"raw double":       typed(11, "w", dims(4, 1), bytesOf(9, doubles)),
		"packed double":    typed(11, "w", dims(4, 1), bytesOf(10, doubles)),
		"raw float16":      typed(10, "w", dims(4, 1), bytesOf(9, halves)),
		"packed float16":   typed(10, "w", dims(4, 1), bytesOf(5, varints)),
	} {
		imported, err := onnx.Read(file(tensor), name, onnx.ImportOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(values, imported.Model.Weights.Get("linear1.weight").Value.Data()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for want, tensor := range map[string][]byte{
		"16 bytes, expected 20":  typed(1, "w", dims(5, 1), bytesOf(9, floats)),
		"external data":          typed(1, "w", dims(4, 1), bytesOf(13, nil)),
		"elements of type int8":  typed(3, "w", dims(4, 1), bytesOf(9, []byte{1, 2, 3, 4})),
		"expected fewer":         typed(1, "w", dims(1<<31-1, 1<<31-1), bytesOf(9, floats)),
		"-4":                     typed(1, "w", dims(-4, 1), bytesOf(9, floats)),
		"9 dimensions":           typed(1, "w", dims(4, 1, 1, 1, 1, 1, 1, 1, 1), bytesOf(9, floats)),
		"expected floating":      typed(7, "w", dims(2, 1), bytesOf(9, floats)),
		"finite":                 typed(1, "w", dims(1, 1), bytesOf(9, []byte{0, 0, 0xc0, 0x7f})),
		"0 elements, expected 4": typed(7, "w", dims(4)),
	} {
		expectRefused(t, file(tensor), onnx.ImportOptions{}, want)
	}
}

// Files that are no ONNX files, or damaged ones.
func TestImportOfOtherFiles(t *testing.T) {
	expectRefused(t, nil, onnx.ImportOptions{}, "no graph")
	expectRefused(t, []byte("\x89PNG\r\n\x1a\n a picture"), onnx.ImportOptions{}, "found a PNG image, expected a network in ONNX format")
	expectRefused(t, []byte("weights of a network, in words\n"), onnx.ImportOptions{}, "found a text file, expected a network in ONNX format")
	file := build("w: 4 3 3 3\nConv x w -> z\nGlobalAveragePool z -> y", 0, 3, 5, 5)
	for length := range file {
		if _, err := onnx.Read(file[:length], "short", onnx.ImportOptions{}); err == nil {
			t.Fatalf("a file of %d of %d bytes: found no error", length, len(file))
		}
	}
	if _, err := onnx.Import("testdata/none.onnx", onnx.ImportOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, want that the file does not exist", err)
	}
}

// The published networks are read as the blocks that they were written from, but for a stride
// of 1, which is the default.
func TestImportGivesTheSameBlocks(t *testing.T) {
	isStride := func(path cmp.Path) bool { return path.Last().String() == ".Stride" }
	strides := cmp.FilterPath(isStride, cmp.Comparer(func(x, y int) bool { return max(x, 1) == max(y, 1) }))
	for _, name := range []string{"resnet18", "resnet50", "mobilenet-v2", "efficientnet-b0", "efficientnet-lite0"} {
		t.Run(name, func(t *testing.T) {
			network, err := backbone.Named(name, backbone.Options{Size: imaging.Size{Height: 33, Width: 40, Channels: 3}})
			if err != nil {
				t.Fatal(err)
			}
			network = network.Narrow(16)
			written, err := onnx.Network(newModel(t, network, heads.L2{}))
			if err != nil {
				t.Fatal(err)
			}
			imported, err := onnx.Read(content(t, written), "again.onnx", onnx.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(network, imported.Model.Backbone, cmpopts.EquateEmpty(), strides); diff != "" {
				t.Errorf("network (-written +read):\n%s", diff)
			}
		})
	}
}
