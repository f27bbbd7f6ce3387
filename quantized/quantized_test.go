package quantized_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/quantized"
)

// small images are not square.
var small = imaging.Size{Height: 12, Width: 10, Channels: 3}

// networks have every block and every activation.
func networks() map[string][]graph.Block {
	g := func(blocks ...graph.Block) []graph.Block { return blocks }
	conv := graph.Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, NoBias: true, Activation: "relu"}
	plain := conv
	plain.Activation = ""
	image := func(blocks ...graph.Block) []graph.Block {
		return append(append([]graph.Block{graph.Conv{Filters: 8, Kernel: 3, Activation: "relu"}}, blocks...), graph.GlobalAveragePool{})
	}
	vector := func(blocks ...graph.Block) []graph.Block {
		return append([]graph.Block{conv, graph.GlobalAveragePool{}, graph.Linear{Units: 9}}, blocks...)
	}
	all := map[string][]graph.Block{
		"conv4":            append(backbone.Conv4(small, 8, true).Blocks[:2:2], graph.Flatten{}),
		"flatten":          g(conv, graph.MaxPool{Size: 3, Stride: 2, Padding: 1}, graph.Flatten{}, graph.Linear{Units: 5}),
		"linear only":      g(graph.Flatten{}, graph.Linear{Units: 7, Activation: "relu"}, graph.Linear{Units: 6}),
		"same padding":     image(graph.Conv{Filters: 8, Kernel: 5, Stride: 2, SamePadding: true, Activation: "relu6"}),
		"depthwise":        image(graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Groups: 8, BatchNorm: true, Activation: "relu6"}, graph.Conv{Filters: 6, Kernel: 1}),
		"groups":           image(graph.Conv{Filters: 6, Kernel: 3, Groups: 2}),
		"residual":         image(graph.Residual{Body: g(conv, plain), Activation: "relu", Pool: 2}),
		"pool first":       image(graph.Residual{Body: g(graph.MaxPool{Size: 1}, plain), Activation: "relu"}, graph.MaxPool{Size: 2, Stride: 1, Padding: 1}),
		"pool before add":  image(graph.Residual{Body: g(graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Pool: 2}), Shortcut: g(graph.AveragePool{Size: 2})}),
		"separable":        image(graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Groups: 8, Activation: "relu"}, graph.Conv{Filters: 6, Kernel: 1, Activation: "silu"}),
		"residual, silu":   image(graph.Residual{Body: g(conv, plain), Activation: "silu"}),
		"residual, prelu":  image(graph.Residual{Body: g(conv, plain), Activation: "prelu"}),
		"residual, pooled": image(graph.Residual{Body: g(graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Activation: "relu"}), Shortcut: g(graph.Conv{Filters: 8, Kernel: 1}), Activation: ""}),
		"inverted":         image(graph.Residual{Body: g(graph.Conv{Filters: 16, Kernel: 1, Activation: "relu6"}, graph.Conv{Filters: 16, Kernel: 3, Padding: 1, Groups: 16, Activation: "relu6"}, graph.Conv{Filters: 8, Kernel: 1, BatchNorm: true, NoBias: true})}),
		"average pool":     image(graph.AveragePool{Size: 2}),
		"hadsell's pool":   image(graph.AveragePool{Size: 3, Trainable: true}),
		"batch norm":       image(graph.MaxPool{Size: 2}, graph.BatchNorm{}),
		"conv, batch norm": image(graph.Conv{Filters: 5, Kernel: 3}, graph.BatchNorm{}, graph.Activate{Function: "relu"}),
		"scale":            image(graph.Scale{}),
		"gem":              append(image()[:1], graph.GeM{}),
		"gem, linear":      append(image()[:1], graph.GeM{}, graph.Linear{Units: 5}),
		"squeeze":          image(graph.SqueezeExcite{Channels: 3}),
		"squeeze, silu":    image(graph.SqueezeExcite{Channels: 3, Activation: "silu", Gate: "hardsigmoid"}),
		"normalize":        append(image(), graph.Normalize{}),
		"normalize bytes":  g(conv, graph.MaxPool{Size: 2}, graph.Flatten{}, graph.Normalize{}, graph.Linear{Units: 6}),
		"whitening":        vector(graph.Linear{Units: 9}),
		"two layers":       vector(graph.Residual{Body: g(graph.Linear{Units: 4, NoBias: true, Activation: "relu"}, graph.Linear{Units: 9, NoBias: true})}),
		"dropout":          vector(graph.Dropout{Rate: 0.5}, graph.BatchNorm{}, graph.Activate{Function: "tanh"}, graph.BatchNorm{}),
		"activation":       image(graph.Activate{Function: "silu"}, graph.Activate{Function: "prelu"}),
		"vector residual":  vector(graph.Residual{Body: g(graph.Linear{Units: 9}), Activation: "tanh"}, graph.BatchNorm{}, graph.Activate{Function: "sigmoid"}),
	}
	for _, f := range []string{"relu", "relu6", "prelu", "sigmoid", "tanh", "silu", "gelu", "hardsigmoid", "hardswish"} {
		all["conv, "+f] = image(graph.Conv{Filters: 7, Kernel: 3, Stride: 2, Activation: f, Pool: 2})
		all["linear, "+f] = vector(graph.Linear{Units: 8, Activation: f}, graph.Linear{Units: 5})
		all["activate, "+f] = vector(graph.Activate{Function: f})
	}
	return all
}

// randomWeights fills the weights of a network, also those that training begins with constants.
func randomWeights(t testing.TB, network backbone.Network, seed uint64) *graph.Weights {
	t.Helper()
	weights := graph.NewWeights(graph.Float32, seed)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": network.Embed(b, b.Input("images", 1, network.Size.Height, network.Size.Width, network.Size.Channels))}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range weights.All() {
		if w.Role == graph.Kernel {
			continue
		}
		r := random.New(seed, w.Name)
		for i, v := range w.Value.Float32s() {
			w.Value.Float32s()[i] = float32(math.Abs(float64(v))*(0.7+0.6*r.Float64()) + 0.1*r.NormFloat64()*(1-math.Min(1, math.Abs(float64(v)))))
		}
	}
	return weights
}

func pictures(size imaging.Size, n int, seed uint64) [][]uint8 {
	images := make([][]uint8, n)
	for i := range images {
		r := random.New(seed, "picture", i)
		images[i] = make([]uint8, size.Len())
		level := 40 + 150*r.Float64()
		for j := range images[i] {
			images[i][j] = uint8(min(max(level+50*r.NormFloat64(), 0), 255))
		}
	}
	return images
}

func embedFloat(t testing.TB, network backbone.Network, weights *graph.Weights, p imaging.Preprocessing, images [][]uint8) [][]float32 {
	t.Helper()
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": network.Embed(b, b.Input("images", 1, network.Size.Height, network.Size.Width, network.Size.Channels))}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	var rows [][]float32
	for _, image := range images {
		x := make([]float32, len(image))
		p.Normalize(x, image)
		if err := program.Set("images", x); err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		y, err := program.Float32s("embeddings")
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, y)
	}
	return rows
}

// preprocessing has other numbers for each channel.
var preprocessing = imaging.Preprocessing{Size: small, Mean: []float64{0.5, 0.45, 0.4}, StdDev: []float64{0.25, 0.2, 0.3}}

// quantize makes the network in integers of a network with random weights.
func quantize(t testing.TB, name string, blocks []graph.Block) (backbone.Network, *graph.Weights, *quantized.Network) {
	t.Helper()
	network := backbone.Network{Name: name, Size: small, Blocks: blocks}
	weights := randomWeights(t, network, 3)
	n, err := quantized.Quantize(network, weights, preprocessing, pictures(small, 12, 1), quantized.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return network, weights, n
}

// Embeddings of all kinds of blocks are those of the definitions, exactly, and near those in
// float32; New makes the same network of its parameters.
func TestBlocks(t *testing.T) {
	images := pictures(small, 3, 2)
	for name, blocks := range networks() {
		t.Run(name, func(t *testing.T) {
			network, weights, n := quantize(t, name, blocks)
			found, err := n.Embed(images)
			if err != nil {
				t.Fatal(err)
			}
			if n.Features() != len(found[0]) || n.Size() != small {
				t.Errorf("found %d features of images of %v, expected %d of %v", n.Features(), n.Size(), len(found[0]), small)
			}
			var errors, signal float64
			expected := embedFloat(t, network, weights, preprocessing, images)
			for i, image := range images {
				if want := quantized.Fake(n, image); !slices.Equal(found[i], want) {
					t.Fatalf("image %d: found %v, expected %v", i, found[i], want)
				}
				for j, v := range expected[i] {
					d := float64(found[i][j] - v)
					errors += d * d
					signal += float64(v) * float64(v)
				}
			}
			if relative := math.Sqrt(errors / signal); !(relative < 0.04) {
				t.Errorf("the embeddings deviate from those in float32 by %.4f of their length, expected less than 0.04", relative)
			}
			same, err := quantized.New(network, n.Parameters())
			if err != nil {
				t.Fatal(err)
			}
			if again, err := same.Embed(images); err != nil || !cmp.Equal(again, found) {
				t.Errorf("from its parameters it embeds differently (%v)", err)
			}
		})
	}
}
