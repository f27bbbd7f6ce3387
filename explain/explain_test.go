package explain_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

var size = imaging.Size{Height: 24, Width: 20, Channels: 3}

// trunk makes a feature map of 6 × 5 places with 5 channels.
var trunk = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1}}, Activation: "relu"},
	graph.Conv{Filters: 5, Kernel: 3, Stride: 2, SamePadding: true},
}

// tails are what may follow the feature map.
var tails = map[string][]graph.Block{
	"average":                  {graph.GlobalAveragePool{}},
	"average, linear":          {graph.GlobalAveragePool{}, graph.Linear{Units: 7}},
	"average, linear, no bias": {graph.GlobalAveragePool{}, graph.Linear{Units: 3, NoBias: true}},
	"average, many": {
		graph.GlobalAveragePool{}, graph.Dropout{Rate: 0.5}, graph.Linear{Units: 6}, graph.BatchNorm{}, graph.Activate{}, graph.Linear{Units: 4}, graph.Scale{},
		graph.Residual{Body: []graph.Block{graph.Linear{Units: 2, NoBias: true}, graph.Linear{Units: 4}}, Shortcut: []graph.Block{graph.Linear{Units: 4}}},
		graph.Residual{Body: []graph.Block{graph.Linear{Units: 4}}},
	},
	"average, normalize":   {graph.GlobalAveragePool{}, graph.Linear{Units: 6}, graph.Normalize{}, graph.Linear{Units: 4}, graph.Normalize{}},
	"average, layer norm":  {graph.GlobalAveragePool{}, graph.LayerNorm{}, graph.Linear{Units: 4}},
	"generalized mean":     {graph.GeM{}},
	"generalized mean, 5":  {graph.GeM{Exponent: 5, Epsilon: 0.01}, graph.Linear{Units: 4}},
	"flatten":              {graph.Flatten{}},
	"flatten, linear":      {graph.Flatten{}, graph.Linear{Units: 8}},
	"flatten, many linear": {graph.Flatten{}, graph.Linear{Units: 8}, graph.BatchNorm{Epsilon: 0.1}, graph.Linear{Units: 5}, graph.Normalize{}},
}

// newModel is a model of the trunk and a tail whose weights are all random.
func newModel(t *testing.T, tail ...graph.Block) *likeness.Model {
	t.Helper()
	network := backbone.Network{Name: "tested", Size: size, Blocks: slices.Concat(trunk, tail)}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size, Mean: []float64{0.4, 0.5, 0.6}, StdDev: []float64{0.2, 0.3, 0.2}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := random.New(3)
	for _, weight := range model.Weights.All() {
		if strings.HasPrefix(weight.Name, "gem") {
			continue // the exponent
		}
		values := weight.Value.Float32s()
		for i := range values {
			values[i] = float32(r.NormFloat64()) * 0.4
			if strings.HasSuffix(weight.Name, "running_var") || strings.HasPrefix(weight.Name, "norm") {
				values[i] = 0.5 + float32(r.Float64())
			}
		}
	}
	return model
}

// picture is an image of random colors in blocks.
func picture(seed uint64, width, height int) *image.NRGBA {
	r := random.New(seed)
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := 0; y < height; y += 4 {
		for x := 0; x < width; x += 4 {
			c := color.NRGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
			for i := range 16 {
				img.SetNRGBA(x+i%4, y+i/4, c)
			}
		}
	}
	return img
}

func explained(t *testing.T, model *likeness.Model, a, b image.Image) *explain.Explanation {
	t.Helper()
	explainer, err := explain.New(model)
	if err != nil {
		t.Fatal(err)
	}
	explanation, err := explainer.Explain(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := explainer.Close(); err != nil {
		t.Fatal(err)
	}
	return explanation
}

// The maps and the bias add up to the similarity, which is that of the model.
func TestPartsAddUp(t *testing.T) {
	for name, tail := range tails {
		model := newModel(t, tail...)
		a, b := picture(1, 40, 48), picture(2, 20, 24)
		found := explained(t, model, a, b)
		comparison, err := model.Compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 - comparison.Distance; math.Abs(found.Similarity-want) > 1e-5 {
			t.Errorf("%s: found the similarity %v, expected %v", name, found.Similarity, want)
		}
		for which, m := range map[string]explain.Map{"a": found.A, "b": found.B} {
			if sum := m.Sum() + found.Bias; math.Abs(sum-found.Similarity) > 1e-12 {
				t.Errorf("%s, %s: the parts add up to %v, expected %v", name, which, sum, found.Similarity)
			}
			if m.Height != 6 || m.Width != 5 || len(m.Values) != 30 || slices.Max(m.Values) == slices.Min(m.Values) {
				t.Errorf("%s, %s: found %d × %d places with the values %v", name, which, m.Height, m.Width, m.Values)
			}
		}
		hasBias := !slices.Contains([]string{"average", "average, linear, no bias", "generalized mean", "flatten"}, name)
		if hasBias != (math.Abs(found.Bias) > 1e-3) || !hasBias && found.Bias != 0 {
			t.Errorf("%s: found the bias %v", name, found.Bias)
		}
	}
}

// oracle finds maps by loops over pairs of places, from the embeddings of feature maps of which
// all places but one are zero. It is for tails that are linear in the feature map.
type oracle struct {
	program      *graph.Program // images to features
	tail         *graph.Program // features to embeddings
	shape        tensor.Shape
	preprocessor imaging.Preprocessing
}

func newOracle(t *testing.T, model *likeness.Model) *oracle {
	t.Helper()
	weights := model.Weights.Convert(graph.Float64)
	blocks := model.Backbone.(backbone.Network).Blocks
	o := &oracle{preprocessor: model.Preprocessing}
	var err error
	o.program, err = graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		features := b.Sequence(blocks[:len(trunk)], b.Input("images", 1, size.Height, size.Width, size.Channels))
		o.shape = features.Shape().Clone()
		return graph.Outputs{"features": features}
	})
	if err != nil {
		t.Fatal(err)
	}
	o.tail, err = graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": b.SequenceFrom(len(trunk), blocks, b.Input("features", o.shape...))}
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *oracle) run(t *testing.T, program *graph.Program, input string, values []float64, output string) []float64 {
	t.Helper()
	if err := program.Set(input, values); err != nil {
		t.Fatal(err)
	}
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	found, err := program.Get(output)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (o *oracle) features(t *testing.T, img image.Image) []float64 {
	t.Helper()
	pixels, err := o.preprocessor.Prepare(img)
	if err != nil {
		t.Fatal(err)
	}
	normalized := make([]float32, len(pixels))
	o.preprocessor.Normalize(normalized, pixels)
	values := make([]float64, len(pixels))
	for i, v := range normalized {
		values[i] = float64(v)
	}
	return o.run(t, o.program, "images", values, "features")
}

// parts are the embedding, and that of each place without the biases.
func (o *oracle) parts(t *testing.T, features []float64) (embedding []float64, places [][]float64) {
	t.Helper()
	embedding = o.run(t, o.tail, "features", features, "embeddings")
	biases := o.run(t, o.tail, "features", make([]float64, len(features)), "embeddings")
	channels := o.shape[3]
	for place := range len(features) / channels {
		alone := make([]float64, len(features))
		copy(alone[place*channels:], features[place*channels:(place+1)*channels])
		part := o.run(t, o.tail, "features", alone, "embeddings")
		for i := range part {
			part[i] -= biases[i]
		}
		places = append(places, part)
	}
	return embedding, places
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// pairs adds up the products of the parts of all pairs of places.
func pairs(x, y []float64, partsX, partsY [][]float64) (a, b []float64) {
	a, b = make([]float64, len(partsX)), make([]float64, len(partsY))
	norms := math.Sqrt(dot(x, x)) * math.Sqrt(dot(y, y))
	for p := range partsX {
		for q := range partsY {
			product := dot(partsX[p], partsY[q]) / norms
			a[p] += product
			b[q] += product
		}
	}
	return a, b
}

func largestDifference(x, y []float64) float64 {
	largest := 0.0
	for i := range x {
		largest = max(largest, math.Abs(x[i]-y[i]))
	}
	return largest
}

// The maps are those of loops over pairs of places, in float64 to 1e-10.
func TestMapsAreSumsOverPairs(t *testing.T) {
	for name, tail := range tails {
		if strings.Contains(name, "norm") || strings.Contains(name, "mean") || name == "flatten, many linear" {
			continue // not linear in the feature map
		}
		model := newModel(t, tail...)
		o := newOracle(t, model)
		a, b := picture(1, 40, 48), picture(2, 20, 24)
		x, partsX := o.parts(t, o.features(t, a))
		y, partsY := o.parts(t, o.features(t, b))
		wantA, wantB := pairs(x, y, partsX, partsY)
		double := &likeness.Model{Backbone: model.Backbone, Head: model.Head, Preprocessing: model.Preprocessing, Weights: model.Weights.Convert(graph.Float64)}
		for _, test := range []struct {
			name      string
			model     *likeness.Model
			tolerance float64
		}{{"float32", model, 1e-5}, {"float64", double, 1e-10}} {
			found := explained(t, test.model, a, b)
			if d := max(largestDifference(found.A.Values, wantA), largestDifference(found.B.Values, wantB)); d > test.tolerance {
				t.Errorf("%s, %s: the maps differ by %v, expected at most %v", name, test.name, d, test.tolerance)
			}
			if want := dot(x, y) / math.Sqrt(dot(x, x)*dot(y, y)); math.Abs(found.Similarity-want) > test.tolerance {
				t.Errorf("%s, %s: found the similarity %v, expected %v", name, test.name, found.Similarity, want)
			}
		}
	}
}

// The shares of generalized-mean pooling, and the divisors of layer norm and of normalize, worked
// out for each place.
func TestPartsThatAreNotLinear(t *testing.T) {
	const epsilon = 1e-6
	for name, test := range map[string]struct {
		tail  []graph.Block
		parts func(weights *graph.Weights, features []float64) (embedding []float64, places [][]float64)
	}{
		"generalized mean": {[]graph.Block{graph.GeM{}}, func(_ *graph.Weights, features []float64) ([]float64, [][]float64) {
			sums, embedding, places := make([]float64, 5), make([]float64, 5), make([][]float64, 30)
			for i, v := range features {
				sums[i%5] += math.Pow(max(v, epsilon), 3)
			}
			for c := range sums {
				embedding[c] = math.Cbrt(sums[c] / 30)
			}
			for i, v := range features {
				places[i/5] = append(places[i/5], embedding[i%5]*math.Pow(max(v, epsilon), 3)/sums[i%5])
			}
			return embedding, places
		}},
		"layer norm, normalize": {[]graph.Block{graph.GlobalAveragePool{}, graph.LayerNorm{}, graph.Normalize{}}, func(weights *graph.Weights, features []float64) ([]float64, [][]float64) {
			pooled, embedding, places := make([]float64, 5), make([]float64, 5), make([][]float64, 30)
			for i, v := range features {
				pooled[i%5] += v / 30
			}
			mean, variance := 0.0, 0.0
			for _, v := range pooled {
				mean += v / 5
			}
			for _, v := range pooled {
				variance += (v - mean) * (v - mean) / 5
			}
			gain, shift := weights.Get("layernorm1.weight").Value.Float32s(), weights.Get("layernorm1.bias").Value.Float32s()
			deviation := math.Sqrt(variance + epsilon)
			for c, v := range pooled {
				embedding[c] = float64(gain[c])*(v-mean)/deviation + float64(shift[c])
			}
			norm := math.Sqrt(dot(embedding, embedding))
			for place := range places {
				own := features[place*5 : place*5+5]
				ownMean := (own[0] + own[1] + own[2] + own[3] + own[4]) / 5
				for c, v := range own {
					places[place] = append(places[place], float64(gain[c])*(v-ownMean)/30/deviation/norm)
				}
			}
			for c := range embedding {
				embedding[c] /= norm
			}
			return embedding, places
		}},
	} {
		model := newModel(t, test.tail...)
		o := newOracle(t, model)
		a, b := picture(1, 40, 48), picture(2, 20, 24)
		x, partsX := test.parts(model.Weights, o.features(t, a))
		y, partsY := test.parts(model.Weights, o.features(t, b))
		wantA, wantB := pairs(x, y, partsX, partsY)
		found := explained(t, model, a, b)
		if d := max(largestDifference(found.A.Values, wantA), largestDifference(found.B.Values, wantB)); d > 1e-5 {
			t.Errorf("%s: the maps differ by %v, expected at most 1e-5", name, d)
		}
	}
}

// stripes is a network by hand: its two channels are how strongly 4 × 4 pixels have vertical and
// horizontal stripes.
func stripes(t *testing.T, preprocessing imaging.Preprocessing, tail ...graph.Block) *likeness.Model {
	t.Helper()
	network := backbone.Network{Name: "stripes", Size: preprocessing.Size, Blocks: append([]graph.Block{
		graph.Conv{Filters: 2, Kernel: 4, Stride: 4, NoBias: true, Activation: "relu"},
	}, tail...)}
	model, err := likeness.New(network, heads.Cosine{}, preprocessing, 1)
	if err != nil {
		t.Fatal(err)
	}
	weight := model.Weights.Get("conv1.weight").Value.Float32s() // (filters, 1, 4, 4)
	for i := range 16 {
		weight[i] = float32(1 - 2*(i%2))
		weight[16+i] = float32(1 - 2*(i/4%2))
	}
	model.Weights.Changed()
	return model
}

// striped is a gray image with squares of vertical and of horizontal stripes of one pixel.
func striped(width, height, side int, vertical, horizontal image.Point) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = 128
	}
	for y := range side {
		for x := range side {
			img.SetGray(vertical.X+x, vertical.Y+y, color.Gray{Y: uint8(255 * (1 - x%2))})
			img.SetGray(horizontal.X+x, horizontal.Y+y, color.Gray{Y: uint8(255 * (1 - y%2))})
		}
	}
	return img
}

// What two images have in common lights up in both, at its place in each, and what only one has
// does not.
func TestCommonPatchLightsUp(t *testing.T) {
	gray := imaging.Size{Height: 32, Width: 32, Channels: 1}
	none := image.Pt(-100, -100) // outside
	for name, pooling := range map[string]graph.Block{"average": graph.GlobalAveragePool{}, "generalized mean": graph.GeM{}} {
		model := stripes(t, imaging.Preprocessing{Size: gray}, pooling)
		found := explained(t, model, striped(32, 32, 8, image.Pt(4, 20), image.Pt(20, 0)), striped(32, 32, 8, image.Pt(16, 8), none))
		inside := func(m explain.Map, left, top float64) (sum float64) {
			for i, v := range m.Values {
				if x, y := m.X[i%m.Width], m.Y[i/m.Width]; x > left && x < left+8 && y > top && y < top+8 {
					sum += v
				}
			}
			return sum
		}
		if found.Similarity < 0.5 || found.Bias != 0 {
			t.Errorf("%s: found the similarity %v and the bias %v", name, found.Similarity, found.Bias)
		}
		for what, share := range map[string]float64{"a": inside(found.A, 4, 20), "b": inside(found.B, 16, 8)} {
			if share < 0.999*found.Similarity {
				t.Errorf("%s, %s: the common patch has %v, expected nearly all of %v", name, what, share, found.Similarity)
			}
		}
		if other := inside(found.A, 20, 0); math.Abs(other) > 1e-3 {
			t.Errorf("%s: the other patch has %v, expected 0", name, other)
		}
	}
}

// The maps are in the coordinates of the images as Decode returns them: after the resizing of the
// shorter side, the center crop, and the EXIF orientation.
func TestMapsAreInTheCoordinatesOfTheImage(t *testing.T) {
	gray := imaging.Size{Height: 32, Width: 32, Channels: 1}
	for name, test := range map[string]struct {
		preprocessing imaging.Preprocessing
		width, height int
		patch         image.Point
	}{
		"as it is":           {imaging.Preprocessing{Size: gray}, 32, 32, image.Pt(4, 20)},
		"center, wide":       {imaging.Preprocessing{Size: gray, ShorterSide: 40}, 80, 40, image.Pt(40, 16)},
		"center, tall":       {imaging.Preprocessing{Size: gray, ShorterSide: 32}, 32, 96, image.Pt(12, 44)},
		"foreground, shrunk": {imaging.Preprocessing{Size: gray, Crop: &imaging.Crop{Margin: 4}}, 64, 64, image.Pt(20, 44)},
	} {
		img := striped(test.width, test.height, 8, test.patch, image.Pt(-100, -100))
		if test.preprocessing.Crop != nil {
			for i, v := range img.Pix { // only stripes are foreground: at 20 to 27 and 44 to 51
				if v == 128 {
					img.Pix[i] = 0
				}
			}
		}
		var file bytes.Buffer
		file.Write(testutil.PNGWithEXIF(testutil.PNG(leftTurned(img)), testutil.EXIF(binary.LittleEndian, 6), false))
		decoded, err := test.preprocessing.Decode(&file, name)
		if err != nil {
			t.Fatal(err)
		}
		model := stripes(t, test.preprocessing, graph.GlobalAveragePool{})
		found := explained(t, model, decoded, img)
		if diff := cmp.Diff(found.A, found.B); diff != "" {
			t.Errorf("%s: an image with an orientation has another map (-oriented +upright):\n%s", name, diff)
		}
		best := slices.Index(found.A.Values, slices.Max(found.A.Values))
		x, y := found.A.X[best%found.A.Width], found.A.Y[best/found.A.Width]
		if x < float64(test.patch.X) || x > float64(test.patch.X)+8 || y < float64(test.patch.Y) || y > float64(test.patch.Y)+8 {
			t.Errorf("%s: the largest value is at (%v, %v), expected within 8 pixels after %v", name, x, y, test.patch)
		}
		if at := found.A.At(x, y); at != found.A.Values[best] {
			t.Errorf("%s: At(%v, %v) is %v, expected %v", name, x, y, at, found.A.Values[best])
		}
	}
}

// leftTurned is an image as a camera stores it with orientation 6: turned a quarter to the left.
func leftTurned(img *image.Gray) *image.Gray {
	width, height := img.Rect.Dx(), img.Rect.Dy()
	turned := image.NewGray(image.Rect(0, 0, height, width))
	for y := range height {
		for x := range width {
			turned.SetGray(y, width-1-x, img.GrayAt(x, y))
		}
	}
	return turned
}

// The centers of places without padding are the centers of the pixels that they depend on, which
// are found by changing one pixel at a time; with padding the places are centered on the input.
func TestCentersOfPlaces(t *testing.T) {
	conv := func(kernel, stride, padding, pool int) graph.Conv {
		return graph.Conv{Filters: 1, Kernel: kernel, Stride: stride, Padding: padding, Pool: pool, NoBias: true}
	}
	line := imaging.Size{Height: 41, Width: 53, Channels: 1}
	for name, blocks := range map[string][]graph.Block{
		"convolutions":  {conv(5, 1, 0, 2), conv(3, 2, 0, 0)},
		"pools":         {conv(4, 1, 0, 0), graph.AveragePool{Size: 3, Stride: 2}, graph.MaxPool{Size: 2}},
		"residual":      {graph.Residual{Body: []graph.Block{conv(6, 2, 0, 0)}, Shortcut: []graph.Block{conv(6, 2, 0, 0)}, Pool: 2}},
		"one by a pool": {conv(1, 1, 0, 4)},
	} {
		weights := graph.NewWeights(graph.Float64, 1)
		var width int
		program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			features := b.Sequence(blocks, b.Input("images", 1, line.Height, line.Width, 1))
			width = features.Shape()[2]
			return graph.Outputs{"features": features}
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, weight := range weights.All() {
			for i := range weight.Value.Float64s() {
				weight.Value.Float64s()[i] = 1
			}
		}
		first, last := make([]int, width), make([]int, width)
		for j := range first {
			first[j], last[j] = line.Width, -1
		}
		pixels := make([]float64, line.Len())
		for x := range line.Width {
			clear(pixels)
			for y := range line.Height {
				pixels[y*line.Width+x] = 1
			}
			if err := program.Set("images", pixels); err != nil {
				t.Fatal(err)
			}
			if err := program.Run(); err != nil {
				t.Fatal(err)
			}
			features, err := program.Get("features")
			if err != nil {
				t.Fatal(err)
			}
			for j, v := range features[:width] {
				if v != 0 {
					first[j], last[j] = min(first[j], x), max(last[j], x)
				}
			}
		}
		found := explainedBlocks(t, line, blocks)
		for j, x := range found.A.X {
			if want := float64(first[j]+last[j]+1) / 2; len(found.A.X) != width || x != want {
				t.Errorf("%s: column %d of %d is at %v, expected %v of %d columns", name, j, len(found.A.X), x, want, width)
			}
		}
	}
	even := imaging.Size{Height: 32, Width: 64, Channels: 1}
	same := graph.Conv{Filters: 1, Kernel: 3, Stride: 2, SamePadding: true}
	for name, blocks := range map[string][]graph.Block{
		"padding":        {conv(3, 2, 1, 0), conv(7, 2, 3, 0), graph.MaxPool{Size: 3, Stride: 2, Padding: 1}},
		"same padding":   {same, same, conv(3, 1, 1, 2)},
		"user's, evenly": {same, ownBlock{}, conv(3, 1, 1, 2), conv(2, 2, 0, 0)},
	} {
		found := explainedBlocks(t, even, blocks)
		if diff := cmp.Diff([]float64{4, 12, 20, 28}, found.A.Y); diff != "" {
			t.Errorf("%s: rows: %s", name, diff)
		}
		if diff := cmp.Diff([]float64{4, 12, 20, 28, 36, 44, 52, 60}, found.A.X); diff != "" {
			t.Errorf("%s: columns: %s", name, diff)
		}
	}
}

func explainedBlocks(t *testing.T, size imaging.Size, blocks []graph.Block) *explain.Explanation {
	t.Helper()
	network := backbone.Network{Name: "places", Size: size, Blocks: append(slices.Clone(blocks), graph.Flatten{})}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	img := picture(1, size.Width, size.Height)
	return explained(t, model, img, img)
}

// ownBlock is a user-defined block, the identity.
type ownBlock struct{}

func (ownBlock) Kind() string                                             { return "own" }
func (ownBlock) Apply(b *graph.Builder, _ int, x *graph.Node) *graph.Node { return x }

// An explanation is the same, bit for bit, on any number of threads and when several goroutines
// ask.
func TestExplanationsAreDeterministic(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	model := newModel(t, tails["average, many"]...)
	var first *explain.Explanation
	for _, threads := range []int{1, 2, 3} {
		graph.SetThreads(threads)
		explainer, err := explain.New(model)
		if err != nil {
			t.Fatal(err)
		}
		found := make(chan *explain.Explanation)
		for range 3 {
			go func() {
				explanation, err := explainer.Explain(t.Context(), picture(1, 40, 48), picture(2, 20, 24))
				if err != nil {
					t.Error(err)
				}
				found <- explanation
			}()
		}
		for range 3 {
			explanation := <-found
			if first == nil {
				first = explanation
			}
			if diff := cmp.Diff(first, explanation); diff != "" {
				t.Errorf("%d threads: %s", threads, diff)
			}
		}
	}
}

// ownBackbone is a user-defined backbone.
type ownBackbone struct{ backbone.Network }

// A model that cannot be explained is refused, and the error says why.
func TestModelsThatCannotBeExplained(t *testing.T) {
	with := func(change func(*likeness.Model), tail ...graph.Block) *likeness.Model {
		model := newModel(t, append([]graph.Block{graph.GlobalAveragePool{}}, tail...)...)
		change(model)
		return model
	}
	same := func(*likeness.Model) {}
	for want, test := range map[string]struct {
		model       *likeness.Model
		unsupported bool
	}{
		"is nil or lacks a part":                    {nil, false},
		"expected one of likeness.New":              {with(func(m *likeness.Model) { m.Weights = nil }), false},
		"preprocessing: size":                       {with(func(m *likeness.Model) { m.Preprocessing.Size.Height = 0 }), false},
		"takes images of 24x20x3":                   {with(func(m *likeness.Model) { m.Preprocessing.Size.Height = 30 }), false},
		"found the head l2, expected cosine":        {with(func(m *likeness.Model) { m.Head = heads.L2{} }), true},
		"found a backbone of type explain_test.own": {with(func(m *likeness.Model) { m.Backbone = ownBackbone{m.Backbone.(backbone.Network)} }), true},
		"block linear2 has the activation relu":     {with(same, graph.Linear{Units: 4}, graph.Linear{Units: 4, Activation: "relu"}), true},
		"block sigmoid1 has the activation sigmoid": {with(same, graph.Activate{Function: "sigmoid"}), true},
		"block residual2.linear1 has the activation relu": { // the first residual block is in the trunk
			with(same, graph.Residual{Body: []graph.Block{graph.Linear{Units: 5, Activation: "relu"}}}), true},
		"block residual2 has the activation relu":                                   {with(same, graph.Residual{Body: []graph.Block{graph.Linear{Units: 5}}, Activation: "relu"}), true},
		"found the block own1, a explain_test.ownBlock, after the last feature map": {with(same, ownBlock{}), true},
	} {
		explainer, err := explain.New(test.model)
		if explainer != nil || err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, explain.ErrUnsupported) != test.unsupported {
			t.Errorf("found %v, %v, expected %q", explainer, err, want)
		}
	}
	tiny := imaging.Size{Height: 4, Width: 4, Channels: 1}
	network := backbone.Network{Name: "whole", Size: tiny, Blocks: []graph.Block{graph.Conv{Filters: 3, Kernel: 4}, graph.Flatten{}}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: tiny}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := explain.New(model); !errors.Is(err, explain.ErrUnsupported) || !strings.Contains(err.Error(), "1 × 1 places") {
		t.Errorf("one place: found %v", err)
	}
}

// Images that cannot be read, embeddings that are not finite, and a context that has ended while
// another pair is explained are errors; the zero vector has the similarity 0.
func TestPairsThatCannotBeExplained(t *testing.T) {
	model := newModel(t, graph.GlobalAveragePool{})
	explainer, err := explain.New(model)
	if err != nil {
		t.Fatal(err)
	}
	img := picture(1, 20, 24)
	if _, err := explainer.Explain(t.Context(), img, nil); err == nil || !strings.Contains(err.Error(), "image 1: has no pixels") {
		t.Errorf("no image: found %v", err)
	}
	if _, err := explainer.ExplainInputs(t.Context(), explain.Input{Pixels: make([]uint8, 3)}, explain.Input{}); err == nil || !strings.Contains(err.Error(), "image 0 has 3 values, expected 1440") {
		t.Errorf("a few pixels: found %v", err)
	}
	weight := model.Weights.Get("conv2.weight").Value.Float32s()
	was := slices.Clone(weight)
	for i := range weight {
		weight[i] = float32(math.Inf(1))
	}
	if _, err := explainer.Explain(t.Context(), img, img); err == nil || !strings.Contains(err.Error(), "the embedding of image 0 has the norm") {
		t.Errorf("infinite weights: found %v", err)
	}
	model.Weights.Changed()
	clear(weight)
	clear(model.Weights.Get("conv2.bias").Value.Float32s())
	found, err := explainer.Explain(t.Context(), img, img)
	if err != nil || found.Similarity != 0 || found.Bias != 0 || found.A.Sum() != 0 || len(found.A.Values) != 30 {
		t.Errorf("the zero vector: found %v, %v", found, err)
	}
	copy(weight, was)
	if err := explainer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := explainer.Explain(t.Context(), img, img); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: found %v", err)
	}
	if _, err := new(explain.Explainer).Explain(context.Background(), img, img); err == nil || !strings.Contains(err.Error(), "expected one of New") {
		t.Errorf("zero: found %v", err)
	}
}
