package backbone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

var gray28 = imaging.Size{Height: 28, Width: 28, Channels: 1}

// Features and parameters worked out by hand from the layers.
func TestMeasure(t *testing.T) {
	tests := []struct {
		network backbone.Network
		want    backbone.Shape
	}{
		// 15·36+15, 2·15, 30·15·81+30, 30·2+2.
		{backbone.Hadsell(2), backbone.Shape{Features: 2, Parameters: 555 + 30 + 36_480 + 62}},
		// The paper's count is 38,951,745 with the 4,097 of its head.
		{backbone.Koch(), backbone.Shape{Features: 4096, Parameters: 38_947_648}},
		// 32·25+32, 64·32·9+64, 128·64·9+128.
		{backbone.HofferMNIST(), backbone.Shape{Features: 128, Parameters: 832 + 18_496 + 73_856}},
		// 64·3·25+64, 128·64·9+128, 256·128·9+256, 128·256·4+128.
		{backbone.HofferCIFAR(), backbone.Shape{Features: 128, Parameters: 4_864 + 73_856 + 295_168 + 131_200}},
		// 64·9+64, 3·(64·64·9+64).
		{backbone.Conv4(gray28, 64, false), backbone.Shape{Features: 64, Parameters: 640 + 3*36_928}},
		// The same with 2·64 for batch norm in place of 64 biases.
		{backbone.Conv4(gray28, 64, true), backbone.Shape{Features: 64, Parameters: 704 + 3*36_992}},
		// 32·9+2·32, 64·32·9+2·64, 2·(64·64·9+2·64), 128·64·9+2·128, 2·(128·128·9+2·128).
		{backbone.Conv7(gray28, 32), backbone.Shape{Features: 1152, Parameters: 352 + 18_560 + 2*36_992 + 73_984 + 2*147_712}},
		// 16·25+2·16, 32·16·25+2·32, 512·64+64.
		{backbone.LeNet(gray28, 32, 64), backbone.Shape{Features: 64, Parameters: 432 + 12_864 + 32_832}},
		// 32·25+32, 64·32·25+64, 1024·256+256, 256·256+256, 256·2+2, and 32+64+256+256 slopes.
		{backbone.Digits(gray28), backbone.Shape{Features: 2, Parameters: 832 + 51_264 + 262_400 + 65_792 + 514 + 608}},
		// conv 32·9+64; widening to f from c: 9cf+9f²+cf+6f; plain: 18f²+4f.
		{backbone.Residual(gray28, 32), backbone.Shape{Features: 1152, Parameters: 352 +
			(9*32*64 + 9*64*64 + 32*64 + 6*64) + (18*64*64 + 4*64) +
			(9*64*128 + 9*128*128 + 64*128 + 6*128) + (18*128*128 + 4*128)}},
	}
	for _, test := range tests {
		got, err := backbone.ShapeOf(test.network)
		if err != nil {
			t.Error(err)
		} else if got != test.want {
			t.Errorf("%s: found %+v, want %+v", test.network.Name, got, test.want)
		}
	}
}

// Depthwise convolutions stay depthwise, with as many filters for each channel, and the
// others keep as many groups as they can.
func TestNarrowGroups(t *testing.T) {
	network := backbone.Network{Name: "mobile", Size: imaging.Size{Height: 9, Width: 9, Channels: 3}, Blocks: []graph.Block{
		graph.Conv{Filters: 6, Kernel: 3, Groups: 3, SamePadding: true},
		graph.Conv{Filters: 32, Kernel: 3, Padding: 1},
		graph.Residual{
			Body: []graph.Block{
				graph.Conv{Filters: 96, Kernel: 1},
				graph.Conv{Filters: 192, Kernel: 3, Groups: 96, Padding: 1},
				graph.Conv{Filters: 64, Kernel: 1, Groups: 8},
			},
			Shortcut: []graph.Block{graph.Conv{Filters: 64, Kernel: 1}},
		},
		graph.Conv{Filters: 64, Kernel: 3, Groups: 64},
		graph.GlobalAveragePool{},
	}}
	var found []string
	var list func(blocks []graph.Block)
	list = func(blocks []graph.Block) {
		for _, block := range blocks {
			switch b := block.(type) {
			case graph.Conv:
				found = append(found, fmt.Sprint(b.Filters, "/", b.Groups))
			case graph.Residual:
				list(b.Body)
				list(b.Shortcut)
			}
		}
	}
	for divisor, want := range map[int][]string{
		1:  {"6/3", "32/0", "96/0", "192/96", "64/8", "64/0", "64/64"},
		8:  {"6/3", "4/0", "12/0", "24/12", "8/8", "8/0", "8/8"},
		32: {"6/3", "2/0", "3/0", "6/3", "2/2", "2/0", "2/2"},
	} {
		narrow := network.Narrow(divisor)
		found = nil
		list(narrow.Blocks)
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("divided by %d: filters and groups (-want +found):\n%s", divisor, diff)
		}
		if _, err := backbone.ShapeOf(narrow); err != nil {
			t.Errorf("divided by %d: %v", divisor, err)
		}
	}
}

// A network that is written as TOML and read again is the same network.
func TestTOMLRoundTrip(t *testing.T) {
	for _, name := range backbone.Names {
		network, err := backbone.Named(name, backbone.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := network.TOML()
		if err != nil {
			t.Fatal(err)
		}
		back, err := backbone.Parse(text, name+".toml")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(network, back); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

// every is a network with each kind of block and each of its keys.
func every() backbone.Network {
	return backbone.Network{Name: "every", Size: imaging.Size{Height: 12, Width: 12, Channels: 3}, Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Stride: 2, Padding: 1, NoBias: true, BatchNorm: true, Activation: "silu", Epsilon: 1e-3, Momentum: 0.01,
			Weight: graph.Normal(0, 0.1)},
		graph.MaxPool{Size: 3, Stride: 2, Padding: 1},
		graph.Conv{Filters: 8, Kernel: 1, Activation: "hardswish", Pool: 1, Bias: graph.Constant(1)},
		graph.BatchNorm{Epsilon: 1e-3, Momentum: 0.2},
		graph.SqueezeExcite{Channels: 4, Activation: "silu", Gate: "hardsigmoid"},
		graph.Residual{
			Body: []graph.Block{
				graph.Conv{Filters: 16, Kernel: 1}, graph.LayerNorm{Epsilon: 1e-5}, graph.Activate{Function: "gelu"},
				graph.Conv{Filters: 8, Kernel: 1}, graph.Scale{Initial: 1e-6},
			},
			Shortcut: []graph.Block{graph.Activate{Function: "relu6"}}, Activation: "prelu", Drop: 0.2,
		},
		graph.AveragePool{Size: 1, Stride: 1, Trainable: true},
		graph.GeM{Exponent: 2.5, Epsilon: 1e-4},
		graph.Dropout{Rate: 0.1},
		graph.Linear{Units: 5, NoBias: true, Activation: "hardsigmoid"},
		graph.Normalize{},
	}}
}

// Every key of a block is written and read again, and the blocks that have defaults are read
// without keys.
func TestTOMLRoundTripOfBlocks(t *testing.T) {
	text, err := every().TOML()
	if err != nil {
		t.Fatal(err)
	}
	back, err := backbone.Parse(text, "every.toml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(every(), back); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	const plain = "name = \"plain\"\ninput = { height = 8, width = 8, channels = 3 }\n" +
		"[[block]]\nkind = \"layernorm\"\n[[block]]\nkind = \"scale\"\n[[block]]\nkind = \"squeezeexcite\"\nchannels = 1\n[[block]]\nkind = \"gem\"\n"
	back, err = backbone.Parse(plain, "plain.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.Block{graph.LayerNorm{}, graph.Scale{}, graph.SqueezeExcite{Channels: 1}, graph.GeM{}}
	if diff := cmp.Diff(want, back.Blocks); diff != "" {
		t.Errorf("(-expected +read):\n%s", diff)
	}
}

// Narrow divides the channels of squeeze-and-excite and the groups of depthwise convolutions
// as it divides filters.
func TestNarrow(t *testing.T) {
	network := every()
	network.Blocks = append([]graph.Block{graph.Conv{Filters: 8, Kernel: 1}, graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Groups: 8}}, network.Blocks...)
	narrow := network.Narrow(3)
	if diff := cmp.Diff(graph.Block(graph.Conv{Filters: 2, Kernel: 3, Padding: 1, Groups: 2}), narrow.Blocks[1]); diff != "" {
		t.Errorf("depthwise (-expected +found):\n%s", diff)
	}
	if diff := cmp.Diff(graph.Block(graph.SqueezeExcite{Channels: 2, Activation: "silu", Gate: "hardsigmoid"}), narrow.Blocks[6]); diff != "" {
		t.Errorf("squeeze-and-excite (-expected +found):\n%s", diff)
	}
	if shape, err := backbone.ShapeOf(every().Narrow(4)); err != nil || shape.Features != 2 {
		t.Errorf("found %+v and error %v, expected two features", shape, err)
	}
}

// Errors of a spec name the file, the block and what is wrong with it.
func TestParseErrors(t *testing.T) {
	const head = "name = \"mine\"\ninput = { height = 8, width = 8, channels = 1 }\n"
	tests := map[string]struct{ text, want string }{
		"syntax":             {head + "[[block]\n", "net.toml: line 4"},
		"unknown key":        {head + "[[block]]\nkind = \"conv\"\nfilter = 3\n", `did you mean "filters"?`},
		"table":              {head + "[[layers]]\nkind = \"conv\"\n", `unknown key "layers". There are block, input, name`},
		"key of a block":     {head + "kind = \"conv\"\n", `unknown key "kind"`},
		"unknown kind":       {head + "[[block]]\nkind = \"convolution\"\n", `block 1: unknown kind "convolution"`},
		"key of another":     {head + "[[block]]\nkind = \"flatten\"\nfilters = 3\n", `block 1: found key "filters", which a flatten block does not have`},
		"no blocks":          {head, "found no [[block]]"},
		"no input":           {"[[block]]\nkind = \"flatten\"\n", "input: size 0x0x0"},
		"kernel too large":   {head + "[[block]]\nkind = \"conv\"\nfilters = 2\nkernel = 9\n", "conv1: "},
		"no activation":      {head + "[[block]]\nkind = \"conv\"\nfilters = 2\nkernel = 3\nactivation = \"rely\"\n", `conv1: found activation "rely"`},
		"images at the end":  {head + "[[block]]\nkind = \"maxpool\"\nsize = 2\n", "expected (batch, features)"},
		"linear on an image": {head + "[[block]]\nkind = \"linear\"\nunits = 2\n", "put a flatten block before"},
		"negative epsilon":   {head + "[[block]]\nkind = \"batchnorm\"\nepsilon = -1.0\n", "batchnorm1: found an epsilon of -1"},
		"key of batch norm":  {head + "[[block]]\nkind = \"layernorm\"\nmomentum = 0.1\n", `found key "momentum", which a layernorm block does not have`},
		"nested":             {head + "[[block]]\nkind = \"residual\"\n[[block.body]]\nkind = \"conw\"\n", `body: block 1: unknown kind "conw": did you mean "conv"?`},
	}
	for name, test := range tests {
		_, err := backbone.Parse(test.text, "net.toml")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "net.toml: ") {
			t.Errorf("%s: found error %v, want one of net.toml that says %s", name, err, test.want)
		}
	}
}

// Options that a network does not have, and images it does not take, are
// refused.
func TestNamedErrors(t *testing.T) {
	tests := []struct {
		name    string
		options backbone.Options
		want    string
	}{
		{"conf4", backbone.Options{}, `did you mean "conv4"?`},
		{"koch", backbone.Options{Width: 32}, "koch has no option width"},
		{"conv4", backbone.Options{Features: 2}, "conv4 has no option features"},
		{"koch", backbone.Options{Size: gray28}, "koch takes images of 105x105x1, found 28x28x1"},
		{"conv4", backbone.Options{Size: imaging.Size{Height: 8, Width: 8, Channels: 1}}, "conv4"},
	}
	for _, test := range tests {
		_, err := backbone.Named(test.name, test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %+v: found error %v, want one that says %s", test.name, test.options, err, test.want)
		}
	}
}

// A network's usual options make the network that none make.
func TestUsual(t *testing.T) {
	for _, name := range backbone.Names {
		usual, err := backbone.Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := backbone.Named(name, backbone.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := backbone.Named(name, usual)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-without options +with the usual ones):\n%s", name, diff)
		}
	}
}

// A user-defined block works in a network but cannot be written as TOML.
func TestOwnBlockHasNoTOML(t *testing.T) {
	network := backbone.Network{Name: "mine", Size: gray28, Blocks: []graph.Block{graph.Flatten{}, identity{}}}
	if _, err := backbone.ShapeOf(network); err != nil {
		t.Error(err)
	}
	if _, err := network.TOML(); err == nil || !strings.Contains(err.Error(), "backbone_test.identity") {
		t.Errorf("found error %v, want one that names the type", err)
	}
}

type identity struct{}

func (identity) Kind() string                                                  { return "identity" }
func (identity) Apply(b *graph.Builder, number int, x *graph.Node) *graph.Node { return x }
