package quantized_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/quantized"
	"github.com/pkg/errors"
)

// digest is that of the embeddings of all networks of the tests. All processors compute it, with
// LIKENESS_INSTRUCTIONS=portable, avx2 and avx512.
const digest = "af6358143d91667a62d1ae901c729018"

// fixed is a network in integers whose numbers come from no arithmetic in floating point, so that
// embeddings of equal bits are not owed to an equal calibration.
func fixed(t testing.TB, blocks []graph.Block) *quantized.Network {
	t.Helper()
	network, _, n := quantize(t, "fixed", blocks)
	parameters := n.Parameters()
	for i, p := range parameters {
		state := uint32(7 * (i + 1))
		next := func(n int) int {
			state = state*1664525 + 1013904223
			return int(state>>8) % n
		}
		switch data := p.Data.(type) {
		case []int8:
			fill := make([]int8, len(data))
			for j := range fill {
				fill[j] = int8(next(255) - 127)
			}
			parameters[i].Data = fill
		case []uint8:
			fill := make([]uint8, len(data))
			for j := range fill {
				fill[j] = uint8(next(256))
			}
			parameters[i].Data = fill
		case []int32:
			fill := make([]int32, len(data))
			for j := range fill {
				fill[j] = int32(next(2000) - 1000)
			}
			switch {
			case strings.HasSuffix(p.Name, ".limits") && data[2] <= 255:
				copy(fill, []int32{int32(next(200)), 0, 255})
			case strings.HasSuffix(p.Name, ".limits") && data[2] <= 4095:
				copy(fill, []int32{int32(next(4000)), 0, 4095})
			case strings.HasSuffix(p.Name, ".limits"):
				copy(fill, []int32{int32(next(60000)), 0, 65535})
			case strings.HasSuffix(p.Name, ".shift"):
				fill[0] = 12
			case strings.HasSuffix(p.Name, ".power"), strings.HasSuffix(p.Name, ".root"), strings.HasSuffix(p.Name, ".table"):
				for j := range fill {
					fill[j] = int32(next(256))
				}
			}
			parameters[i].Data = fill
		case []int64:
			fill := make([]int64, len(data))
			for j := range fill {
				fill[j] = int64(next(200000) - 100000)
			}
			parameters[i].Data = fill
		case []float32:
			fill := make([]float32, len(data))
			for j := range fill {
				fill[j] = float32(1+next(4096)) / (1 << 22)
				if strings.HasSuffix(p.Name, ".addend") || len(data) < 3 && !strings.Contains(p.Name, "conv") {
					fill[j] = float32(1+next(4096)) / (1 << 12)
				}
			}
			parameters[i].Data = fill
		case []float64:
			fill := make([]float64, len(data))
			for j := range fill {
				fill[j] = float64(1+next(4096)) / (1 << 20)
			}
			parameters[i].Data = fill
		}
	}
	n, err := quantized.New(network, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Embeddings are the same bits on every processor, for any number of threads, any batch and any division into
// parts.
func TestDigest(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	hash := sha256.New()
	images := make([][]uint8, 5)
	for i := range images {
		images[i] = make([]uint8, small.Len())
		for j := range images[i] {
			images[i][j] = uint8((i+3)*j*j + 31*j)
		}
	}
	all, parts := networks(), 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n := fixed(t, all[name])
		var first [][]float32
		for _, threads := range []int{1, 2, 3} {
			parallel.SetThreads(threads)
			if threads == 2 {
				parts = max(parts, quantized.Divide(n))
			}
			together, err := n.Embed(images)
			if err != nil {
				t.Fatal(err)
			}
			one, err := n.Embed(images[2:3])
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = together
			}
			if !cmp.Equal(together, first) || !cmp.Equal(one[0], first[2]) {
				t.Errorf("%s: the embeddings depend on the number of threads, on the other images or on the division into parts", name)
			}
		}
		for _, row := range first {
			if err := binary.Write(hash, binary.LittleEndian, row); err != nil {
				t.Fatal(err)
			}
		}
	}
	if parts < 3 {
		t.Errorf("the networks have at most %d parts, expected one of at least 3", parts)
	}
	if found := fmt.Sprintf("%x", hash.Sum(nil)[:16]); found != digest {
		t.Errorf("found the digest %s, expected %s: the arithmetic is another one", found, digest)
	}
}

// own is a block of a user's own.
type own struct{}

func (own) Kind() string                                             { return "own" }
func (own) Apply(_ *graph.Builder, _ int, x *graph.Node) *graph.Node { return x }

// What has no integer form is refused with the name of the block and what to do.
func TestRefusesBlocks(t *testing.T) {
	conv := graph.Conv{Filters: 4, Kernel: 3}
	for _, test := range []struct {
		blocks      []graph.Block
		unsupported bool
		want        string
	}{
		{[]graph.Block{conv, graph.Residual{Body: []graph.Block{graph.LayerNorm{}}}, graph.GlobalAveragePool{}}, true, "block residual1: block residual1.layernorm1: a layer norm divides"},
		{[]graph.Block{conv, own{}, graph.GlobalAveragePool{}}, true, "block own1: found a block of type quantized_test.own"},
		{[]graph.Block{conv, graph.SqueezeExcite{Channels: 2, Gate: "prelu"}, graph.GlobalAveragePool{}}, true, `block squeezeexcite1: found the activations "relu" and "prelu"`},
		{[]graph.Block{conv, graph.Activate{Function: "sine"}, graph.GlobalAveragePool{}}, true, `block conv1: found the activation "sine"`},
		{[]graph.Block{conv}, false, "the last block has the shape 10×8×4, expected a vector"},
		{[]graph.Block{conv, graph.Normalize{}}, false, "block normalize1: found an image"},
		{[]graph.Block{conv, graph.Linear{Units: 2}}, false, "block linear1: found an image, expected a vector: put a flatten block before it"},
		{[]graph.Block{graph.Flatten{}, graph.Linear{Units: 2}, conv}, false, "block conv1: found a vector, expected an image"},
		{[]graph.Block{graph.Flatten{}, graph.Linear{Units: 2}, graph.GlobalAveragePool{}}, false, "block globalaveragepool1: found a vector"},
		{[]graph.Block{graph.Flatten{}, graph.Linear{}}, false, "block linear1: found 0 units"},
		{[]graph.Block{nil}, false, "block 1 is nil"},
		{[]graph.Block{graph.Conv{Filters: 4, Kernel: 30}, graph.GlobalAveragePool{}}, false, "block conv1: the kernel 30×30 is larger"},
		{[]graph.Block{graph.MaxPool{Size: 20}, graph.GlobalAveragePool{}}, false, "block maxpool1: the pool window 20×20 is larger"},
		{[]graph.Block{graph.AveragePool{Size: 20}, graph.GlobalAveragePool{}}, false, "block averagepool1: found a window of 20"},
		{[]graph.Block{conv, graph.Residual{Body: []graph.Block{conv}}, graph.GlobalAveragePool{}}, false, "block residual1: the body has the shape 8×6×4 and the shortcut 10×8×4"},
	} {
		network := backbone.Network{Size: small, Blocks: test.blocks}
		_, err := quantized.Quantize(network, graph.NewWeights(graph.Float32, 1), preprocessing, pictures(small, 2, 1), quantized.Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, quantized.ErrUnsupported) != test.unsupported {
			t.Errorf("found error %v, expected %q", err, test.want)
		}
	}
}

func TestRefusesArguments(t *testing.T) {
	network := backbone.Network{Size: small, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}}
	weights := randomWeights(t, network, 1)
	images := pictures(small, 2, 1)
	other := preprocessing
	other.Size.Height++
	broken := randomWeights(t, network, 1)
	broken.Get("linear1.weight").Value.Float32s()[3] = float32(math.Inf(1))
	for _, test := range []struct {
		want          string
		weights       *graph.Weights
		preprocessing imaging.Preprocessing
		images        [][]uint8
	}{
		{"found no weights of float32", nil, preprocessing, images},
		{"found no weights of float32", graph.NewWeights(graph.Float64, 1), preprocessing, images},
		{"the network takes images of 12x10x3, the preprocessing makes 13x10x3", weights, other, images},
		{"found no images", weights, preprocessing, nil},
		{"image 1 has 3 values, expected 360", weights, preprocessing, [][]uint8{images[0], {1, 2, 3}}},
		{"in float32, expected finite numbers", broken, preprocessing, images},
		{"preprocessing: size", weights, imaging.Preprocessing{}, images},
	} {
		if _, err := quantized.Quantize(network, test.weights, test.preprocessing, test.images, quantized.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected %q", err, test.want)
		}
	}
	var none *quantized.Network
	for _, n := range []*quantized.Network{none, {}} {
		if _, err := n.Embed(images); err == nil || n.Features() != 0 || n.Parameters() != nil || n.Bytes() != 0 || n.Size() != (imaging.Size{}) {
			t.Error("a network that is nil or zero is not refused")
		}
	}
	n, err := quantized.Quantize(network, weights, preprocessing, images, quantized.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Embed([][]uint8{images[0], nil}); err == nil || !strings.Contains(err.Error(), "image 1 has 0 values") {
		t.Errorf("found error %v", err)
	}
	if rows, err := n.Embed(nil); err != nil || len(rows) != 0 {
		t.Errorf("no images: found %v, %v", rows, err)
	}
}

// everything is a network with every kind of parameter.
func everything() []graph.Block {
	conv := graph.Conv{Filters: 4, Kernel: 3, Padding: 1, Activation: "prelu"}
	linear := conv
	linear.Activation = ""
	return []graph.Block{
		conv, graph.Residual{Body: []graph.Block{conv, linear}, Activation: "silu"}, graph.Residual{Body: []graph.Block{conv}}, graph.SqueezeExcite{Channels: 2},
		graph.BatchNorm{}, graph.Activate{Function: "prelu"}, graph.GeM{}, graph.Linear{Units: 3, Activation: "prelu"}, graph.Linear{Units: 3, Activation: "tanh"},
		graph.Residual{Body: []graph.Block{graph.Linear{Units: 3}}}, graph.Linear{Units: 2},
	}
}

// An array that is missing, twice, unknown, of another shape or type, or has a number outside its range is
// an error that names it.
func TestNewRefuses(t *testing.T) {
	network, _, n := quantize(t, "everything", everything())
	change := func(name string, data any) func([]quantized.Parameter) []quantized.Parameter {
		return func(all []quantized.Parameter) []quantized.Parameter {
			i := slices.IndexFunc(all, func(p quantized.Parameter) bool { return p.Name == name })
			if i < 0 {
				var names []string
				for _, p := range all {
					names = append(names, p.Name)
				}
				t.Fatalf("found no %q among %q", name, names)
			}
			switch data := data.(type) {
			case func(*quantized.Parameter):
				data(&all[i])
			default:
				all[i].Data = data
			}
			return all
		}
	}
	first := func(x any) func(*quantized.Parameter) {
		return func(p *quantized.Parameter) {
			switch data := p.Data.(type) {
			case []int8:
				p.Data = append([]int8{x.(int8)}, data[1:]...)
			case []int32:
				p.Data = append([]int32{int32(x.(int))}, data[1:]...)
			case []int64:
				p.Data = append([]int64{int64(x.(int))}, data[1:]...)
			case []float32:
				p.Data = append([]float32{float32(x.(float64))}, data[1:]...)
			case []float64:
				p.Data = append([]float64{x.(float64)}, data[1:]...)
			}
		}
	}
	for want, edit := range map[string]func([]quantized.Parameter) []quantized.Parameter{
		`array "input.table" is missing`:     func(all []quantized.Parameter) []quantized.Parameter { return all[1:] },
		`array "input.table" is given twice`: func(all []quantized.Parameter) []quantized.Parameter { return append(all, all[0]) },
		`array "more" is not part`: func(all []quantized.Parameter) []quantized.Parameter {
			return append(all, quantized.Parameter{Name: "more"})
		},
		`array "conv1.weight": found the shape [4 27]`:                           change("conv1.weight", func(p *quantized.Parameter) { p.Shape = []int{4, 27} }),
		`array "conv1.weight": found []int32, expected`:                          change("conv1.weight", make([]int32, 108)),
		`array "conv1.weight": found []int8, expected 108`:                       change("conv1.weight", make([]int8, 107)),
		`block conv1: weight 0 is -128`:                                          change("conv1.weight", first(int8(-128))),
		`block conv1: found the zero point 300`:                                  change("conv1.limits", first(300)),
		`block conv1: the scale of channel 0 is NaN`:                             change("conv1.scale", first(math.NaN())),
		`block conv1: the scale of channel 0 is -1`:                              change("conv1.scale", first(-1.0)),
		`block conv1: filter 0: its sums can reach`:                              change("conv1.bias", first(math.MaxInt32)),
		`block conv1: the scale of channel 0 is 1e+06, it must be from 0 to 0.5`: change("conv1.scale", first(1e6)),
		`block conv1: the scale of negative sums`:                                change("conv1.negative", first(math.Inf(1))),
		`block residual1.conv2: the scale of the addend is -1`:                   change("residual1.conv2.addend", first(-1.0)),
		`block residual2: the scale of`:                                          change("residual2.scale", first(math.Inf(1))),
		`block squeezeexcite1: the scale of`:                                     change("squeezeexcite1.scale", first(-2.0)),
		`block squeezeexcite1.reduce: entry 0 of the table is 65536`:             change("squeezeexcite1.reduce.table", first(65536)),
		`block squeezeexcite1.expand: entry 0 of the table is 256`:               change("squeezeexcite1.expand.table", first(256)),
		`block squeezeexcite1.reduce.sums: bias 0 is`:                            change("squeezeexcite1.reduce.sums.bias", first(1<<60)),
		`block squeezeexcite1.mean.words: found the shift 0`:                     change("squeezeexcite1.mean.words.shift", first(0)),
		`block squeezeexcite1.mean.words: found the shift 63`:                    change("squeezeexcite1.mean.words.shift", first(63)),
		`block batchnorm1: the term of channel 0`:                                change("batchnorm1.term", first(math.MaxInt64)),
		`block gem1: power 0 is -1`:                                              change("gem1.power", first(-1)),
		`block gem1: root 0 is 65536`:                                            change("gem1.root", first(65536)),
		`block linear2.linear: found the zero point 4096`:                        change("linear2.linear.limits", first(4096)),
		`block residual3: found the shift -1`:                                    change("residual3.shift", first(-1)),
		`block output: scale 0 is 0`:                                             change("output.scale", first(0.0)),
		`block output: scale 0 is +Inf`:                                          change("output.scale", first(math.Inf(1))),
	} {
		if _, err := quantized.New(network, edit(slices.Clone(n.Parameters()))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
}

// Whatever the numbers are, New refuses them or the network embeds.
func FuzzNew(f *testing.F) {
	network, _, n := quantize(f, "everything", everything())
	image := pictures(small, 1, 1)
	for i := range n.Parameters() {
		f.Add(uint16(i), uint16(0), uint64(math.MaxUint64))
	}
	f.Fuzz(func(t *testing.T, array, at uint16, number uint64) {
		parameters := slices.Clone(n.Parameters())
		p := &parameters[int(array)%len(parameters)]
		i := int(at)
		switch data := p.Data.(type) {
		case []int8:
			data = slices.Clone(data)
			data[i%len(data)] = int8(number)
			p.Data = data
		case []uint8:
			data = slices.Clone(data)
			data[i%len(data)] = uint8(number)
			p.Data = data
		case []int32:
			data = slices.Clone(data)
			data[i%len(data)] = int32(number)
			p.Data = data
		case []int64:
			data = slices.Clone(data)
			data[i%len(data)] = int64(number)
			p.Data = data
		case []float32:
			data = slices.Clone(data)
			data[i%len(data)] = math.Float32frombits(uint32(number))
			p.Data = data
		case []float64:
			data = slices.Clone(data)
			data[i%len(data)] = math.Float64frombits(number)
			p.Data = data
		}
		made, err := quantized.New(network, parameters)
		if err != nil {
			return
		}
		rows, err := made.Embed(image)
		if err != nil || len(rows[0]) != 2 || rows[0][0] != rows[0][0] {
			t.Errorf("found %v, %v", rows, err)
		}
	})
}
