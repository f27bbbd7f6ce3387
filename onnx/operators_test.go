package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
)

// importedBlocks reads a file of a text and returns its model and blocks.
func importedBlocks(t *testing.T, text string, shape ...int) (*likeness.Model, []graph.Block) {
	t.Helper()
	imported, err := onnx.Read(build(text, shape...), "test.onnx", onnx.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return imported.Model, imported.Model.Backbone.(backbone.Network).Blocks
}

// expectSameAsInterpreter compares the model of a file with what the interpreter of the
// tests computes of the file.
func expectSameAsInterpreter(t *testing.T, model *likeness.Model, file []byte) {
	t.Helper()
	size := model.Preprocessing.Size
	x := newArray(2, size.Channels, size.Height, size.Width)
	pixels := [][]uint8{make([]uint8, size.Len()), make([]uint8, size.Len())}
	for i := range x.data {
		image, channel, pixel := i/size.Len(), i/(size.Height*size.Width)%size.Channels, i%(size.Height*size.Width)
		v := uint8((i*i*7 + i*13) % 251)
		x.data[i] = float64(v) / 255
		pixels[image][pixel*size.Channels+channel] = v
	}
	var want []float32
	for _, v := range decodeFile(t, file).evaluate(t, map[string]array{"x": x})["y"].data {
		want = append(want, float32(v))
	}
	found, err := model.EmbedPixels(pixels)
	if err != nil {
		t.Fatal(err)
	}
	expectNear(t, slices.Concat(found...), want, 1e-5)
}

// Each operator becomes the block that computes the same. Those cases whose operators the
// interpreter of the tests knows are computed, too.
func TestImportOfOperators(t *testing.T) {
	conv := graph.Conv{Filters: 4, Kernel: 3, NoBias: true}
	with := func(change func(*graph.Conv)) graph.Block {
		c := conv
		change(&c)
		return c
	}
	activated := func(function string) []graph.Block {
		return []graph.Block{with(func(c *graph.Conv) { c.Activation = function }), graph.GlobalAveragePool{}}
	}
	const first, last = "w: 4 3 3 3\nConv x w -> c kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0]\n", "\nGlobalAveragePool z -> p\nFlatten p -> y"
	tests := map[string]struct {
		text     string
		want     []graph.Block
		computed bool
	}{
		"a convolution without attributes": {"w: 4 3 3 3\nb: 4\nConv x w b -> z" + last, []graph.Block{with(func(c *graph.Conv) { c.NoBias = false }), graph.GlobalAveragePool{}}, false},
		"groups and padding": {"w: 6 1 3 3\nConv x w -> z group=3 kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,1] dilations=[1,1]" + last,
			[]graph.Block{graph.Conv{Filters: 6, Kernel: 3, Stride: 2, Padding: 1, Groups: 3, NoBias: true}, graph.GlobalAveragePool{}}, true},
		"the padding of SAME": {"w: 4 3 3 3\nConv x w -> z kernel_shape=[3,3] strides=[2,2] pads=[0,0,1,1]" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.Stride, c.SamePadding = 2, true }), graph.GlobalAveragePool{}}, true},
		"SAME by name": {"w: 4 3 3 3\nConv x w -> z kernel_shape=[3,3] strides=[1,1] auto_pad=SAME_UPPER" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.SamePadding = true }), graph.GlobalAveragePool{}}, true},
		"padding at two sides": {"w: 4 3 3 3\nConv x w -> z kernel_shape=[3,3] strides=[2,2] pads=[1,1,0,0]" + last,
			[]graph.Block{graph.Conv{Filters: 4, Kernel: 4, Stride: 2, Padding: 1, NoBias: true}, graph.GlobalAveragePool{}}, true},
		"padding at the top and the right": {"w: 4 3 3 3\nConv x w -> z kernel_shape=[3,3] strides=[1,1] pads=[2,0,0,2]" + last,
			[]graph.Block{graph.Conv{Filters: 4, Kernel: 5, Padding: 2, NoBias: true}, graph.GlobalAveragePool{}}, true},
		"SAME with more at the top": {"w: 4 3 3 3\nConv x w -> z strides=[2,2] auto_pad=SAME_LOWER" + last,
			[]graph.Block{graph.Conv{Filters: 4, Kernel: 4, Stride: 2, Padding: 1, NoBias: true}, graph.GlobalAveragePool{}}, false},
		"zeros before a convolution": {"k = 0 0 1 1 0 0 1 1\nw: 4 3 3 3\nPad x k -> q\nConv q w -> z" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.Padding = 1 }), graph.GlobalAveragePool{}}, false},
		"zeros along two axes": {"k = 0 0 1 1\na = 2 -1\nw: 4 3 3 3\nPad x k - a -> q\nConv q w -> z strides=[2,2]" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.Stride, c.SamePadding = 2, true }), graph.GlobalAveragePool{}}, false},
		"batch norm": {first + "g: 4\nh: 4\nm: 4\nv: 4\nBatchNormalization c g h m v -> z epsilon=0.001 momentum=0.99" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.BatchNorm, c.Epsilon, c.Momentum = true, 0.001, 0.01 }), graph.GlobalAveragePool{}}, true},
		"batch norm before a convolution": {"g: 3\nh: 3\nm: 3\nv: 3\nBatchNormalization x g h m v -> n\nw: 4 3 3 3\nConv n w -> z" + last,
			[]graph.Block{graph.BatchNorm{}, conv, graph.GlobalAveragePool{}}, false},
		"batch norm after an activation": {first + "g: 4\nh: 4\nm: 4\nv: 4\nRelu c -> r\nBatchNormalization r g h m v -> z" + last,
			[]graph.Block{with(func(c *graph.Conv) { c.Activation = "relu" }), graph.BatchNorm{}, graph.GlobalAveragePool{}}, true},
		"relu6":                            {first + "l = 0.0\nh = 6.0\nClip c l h -> z" + last, activated("relu6"), true},
		"relu6 of an old operator set":     {first + "Clip c -> z min=0.0 max=6.0" + last, activated("relu6"), false},
		"relu as a clip":                   {first + "l = 0.0\nClip c l -> z" + last, activated("relu"), true},
		"hard-sigmoid":                     {first + "HardSigmoid c -> z alpha=0.16666667 beta=0.5" + last, activated("hardsigmoid"), true},
		"hard-sigmoid of a clip":           {first + "l = 0.0\nh = 6.0\ns = 3.0\nAdd c s -> a\nClip a l h -> b\nDiv b h -> z" + last, activated("hardsigmoid"), true},
		"hard-swish":                       {first + "HardSwish c -> z" + last, activated("hardswish"), true},
		"hard-swish of a product":          {first + "HardSigmoid c -> s alpha=0.16666667\nMul s c -> z" + last, activated("hardswish"), false},
		"hard-swish of a clip":             {first + "l = 0.0\nh = 6.0\ns = 3.0\nAdd s c -> a\nClip a l h -> b\nMul c b -> d\nDiv d h -> z" + last, activated("hardswish"), true},
		"hard-swish of a hard-sigmoid":     {first + "l = 0.0\nh = 6.0\ns = 3.0\nAdd c s -> a\nClip a l h -> b\nDiv b h -> d\nMul c d -> z" + last, activated("hardswish"), true},
		"silu":                             {first + "Sigmoid c -> s\nMul c s -> z" + last, activated("silu"), true},
		"gelu":                             {first + "Gelu c -> z approximate=none" + last, activated("gelu"), false},
		"gelu by erf":                      {first + "r = 1.4142135\no = 1.0\nh = 0.5\nDiv c r -> a\nErf a -> b\nAdd b o -> d\nMul c d -> e\nMul e h -> z" + last, activated("gelu"), true},
		"gelu by erf, the half first":      {first + "r = 0.70710677\no = 1.0\nh = 0.5\nMul r c -> a\nErf a -> b\nAdd o b -> d\nMul h c -> e\nMul d e -> z" + last, activated("gelu"), true},
		"leaky relu":                       {first + "LeakyRelu c -> z alpha=0.2" + last, activated("prelu"), false},
		"prelu of one slope":               {first + "s = 0.3\nPRelu c s -> z" + last, activated("prelu"), true},
		"an activation of the images":      {"Relu x -> a\nw: 4 3 3 3\nConv a w -> z" + last, []graph.Block{graph.Activate{Function: "relu"}, conv, graph.GlobalAveragePool{}}, false},
		"a pool within a block":            {first + "Relu c -> r\nMaxPool r -> z kernel_shape=[2,2] strides=[2,2]" + last, []graph.Block{with(func(c *graph.Conv) { c.Activation, c.Pool = "relu", 2 }), graph.GlobalAveragePool{}}, true},
		"an overlapping pool":              {first + "MaxPool c -> z kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,1] ceil_mode=0" + last, []graph.Block{conv, graph.MaxPool{Size: 3, Stride: 2, Padding: 1}, graph.GlobalAveragePool{}}, true},
		"an average pool":                  {first + "AveragePool c -> z kernel_shape=[2,2] strides=[2,2]" + last, []graph.Block{conv, graph.AveragePool{Size: 2}, graph.GlobalAveragePool{}}, true},
		"an average pool of all":           {first + "AveragePool c -> p kernel_shape=[4,4]\nFlatten p -> y", []graph.Block{conv, graph.AveragePool{Size: 4, Stride: 1}, graph.Flatten{}}, false},
		"a mean of the pixels":             {first + "ReduceMean c -> y axes=[-1,-2] keepdims=0", []graph.Block{conv, graph.GlobalAveragePool{}}, false},
		"a mean of a list of pixels":       {first + "s = 0 4 -1\na = 2\nReshape c s -> d\nReduceMean d a -> y keepdims=0", []graph.Block{conv, graph.GlobalAveragePool{}}, false},
		"a pool of the last axes":          {first + "a = 1 2\nTranspose c -> t perm=[0,2,3,1]\nReduceMean t a -> y keepdims=0", []graph.Block{conv, graph.GlobalAveragePool{}}, false},
		"an output of one pixel":           {first + "GlobalAveragePool c -> y", []graph.Block{conv, graph.GlobalAveragePool{}}, true},
		"a fully connected layer":          {first + "Flatten c -> f\nf1: 5 64\nf2: 5\nGemm f f1 f2 -> y transB=1 alpha=1.0 beta=1.0", []graph.Block{conv, graph.Flatten{}, graph.Linear{Units: 5}}, true},
		"one that is transposed":           {first + "Flatten c -> f\nf1: 64 5\nGemm f f1 -> y", []graph.Block{conv, graph.Flatten{}, graph.Linear{Units: 5, NoBias: true}}, false},
		"a product and a sum":              {first + "s = 0 -1\nReshape c s -> f\nf1: 64 5\nf2: 5\nMatMul f f1 -> g\nAdd f2 g -> h\nRelu h -> y", []graph.Block{conv, graph.Flatten{}, graph.Linear{Units: 5, Activation: "relu"}}, false},
		"a convolution of one pixel":       {first + "GlobalAveragePool c -> p\nf1: 5 4 1 1\nf2: 5\nConv p f1 f2 -> q\nFlatten q -> y", []graph.Block{conv, graph.GlobalAveragePool{}, graph.Linear{Units: 5}}, false},
		"a shape that is computed":         {first + "Shape c -> s\ni = 0\nGather s i -> n\nl = -1\nConcat n l -> t axis=0\nReshape c t -> y", []graph.Block{conv, graph.Flatten{}}, false},
		"squeezed axes":                    {first + "GlobalAveragePool c -> p\na = 3 2\nSqueeze p a -> y", []graph.Block{conv, graph.GlobalAveragePool{}}, false},
		"identities":                       {first + "Identity c -> d\nDropout d -> e\nCast e -> z to=1" + last, []graph.Block{conv, graph.GlobalAveragePool{}}, false},
		"layer norm":                       {first + "Transpose c -> t perm=[0,2,3,1]\ng: 4\nh: 4\nLayerNormalization t g h -> u axis=-1 epsilon=0.1\nTranspose u -> z perm=[0,3,1,2]" + last, []graph.Block{conv, graph.LayerNorm{Epsilon: 0.1}, graph.GlobalAveragePool{}}, true},
		"layer norm of the second axis":    {first + "ReduceMean c -> m axes=[1]\nSub c m -> d\ne = 2.0\nPow d e -> q\nReduceMean q -> v axes=[1]\no = 0.1\nAdd v o -> a\nSqrt a -> r\nDiv d r -> n\ng: 4 1 1\nh: 4 1 1\nMul g n -> k\nAdd k h -> z" + last, []graph.Block{conv, graph.LayerNorm{Epsilon: 0.1}, graph.GlobalAveragePool{}}, false},
		"a scale":                          {first + "s: 4 1 1\nMul s c -> z" + last, []graph.Block{conv, graph.Scale{}, graph.GlobalAveragePool{}}, true},
		"a scale of one number":            {first + "s = 2.0\nDiv c s -> z" + last, []graph.Block{conv, graph.Scale{}, graph.GlobalAveragePool{}}, true},
		"a sum as a bias":                  {first + "s: 4 1 1\nSub c s -> z" + last, []graph.Block{with(func(c *graph.Conv) { c.NoBias = false }), graph.GlobalAveragePool{}}, true},
		"a scale and a sum of the images":  {"s: 3 1 1\nd: 1 3 1 1\nSub x d -> a\nDiv a s -> b\nw: 4 3 3 3\nConv b w -> z kernel_shape=[3,3] strides=[1,1] pads=[1,1,1,1]" + last, []graph.Block{graph.Conv{Filters: 3, Kernel: 1, Groups: 3}, graph.Scale{}, with(func(c *graph.Conv) { c.Padding = 1 }), graph.GlobalAveragePool{}}, true},
		"unit length":                      {first + "ReduceMean c -> p axes=[2,3] keepdims=0\nReduceL2 p -> l axes=[1]\nm = 0.000000000001\nClip l m -> k\nShape p -> s\nExpand k s -> e\nDiv p e -> y", []graph.Block{conv, graph.GlobalAveragePool{}, graph.Normalize{}}, false},
		"unit length by name":              {first + "ReduceMean c -> p axes=[2,3] keepdims=0\nLpNormalization p -> y axis=1 p=2", []graph.Block{conv, graph.GlobalAveragePool{}, graph.Normalize{}}, false},
		"gem":                              {first + "m = 0.001\np = 3.0\ni = 0.33333334\nClip c m -> a\nPow a p -> b\nReduceMean b -> d axes=[2,3] keepdims=0\nPow d i -> y", []graph.Block{conv, graph.GeM{Epsilon: 0.001}}, false},
		"a residual block":                 {first + "v: 4 4 3 3\nConv c v -> d pads=[1,1,1,1]\nAdd c d -> e\nRelu e -> z" + last, []graph.Block{conv, graph.Residual{Body: []graph.Block{with(func(c *graph.Conv) { c.Padding = 1 })}, Activation: "relu"}, graph.GlobalAveragePool{}}, false},
		"a block with a shortcut":          {"w: 4 3 3 3\nv: 4 3 1 1\nConv x v -> s strides=[2,2]\nConv x w -> a strides=[2,2] pads=[1,1,1,1]\nu: 4 4 1 1\nConv a u -> b\nAdd b s -> z" + last, []graph.Block{graph.Residual{Body: []graph.Block{with(func(c *graph.Conv) { c.Stride, c.Padding = 2, 1 }), graph.Conv{Filters: 4, Kernel: 1, NoBias: true}}, Shortcut: []graph.Block{graph.Conv{Filters: 4, Kernel: 1, Stride: 2, NoBias: true}}}, graph.GlobalAveragePool{}}, false},
		"residual blocks of one beginning": {first + "Relu c -> r\nv: 4 4 1 1\nConv r v -> a\nAdd a r -> b\nConv b v -> d\nAdd r d -> z" + last, []graph.Block{with(func(c *graph.Conv) { c.Activation = "relu" }), graph.Residual{Body: []graph.Block{graph.Residual{Body: []graph.Block{graph.Conv{Filters: 4, Kernel: 1, NoBias: true}}}, graph.Conv{Filters: 4, Kernel: 1, NoBias: true}}}, graph.GlobalAveragePool{}}, false},
		"a tensor twice":                   {first + "Add c c -> z" + last, []graph.Block{conv, graph.Residual{}, graph.GlobalAveragePool{}}, true},
		"squeeze-and-excite by vectors":    {first + "ReduceMean c -> o axes=[2,3] keepdims=0\na: 4 2\nb: 2\nMatMul o a -> q\nAdd q b -> r\nRelu r -> s\nd: 4 2\nGemm s d -> e transB=1\nHardSigmoid e -> f alpha=0.16666667\nk = 2 3\nUnsqueeze f k -> g\nMul c g -> z" + last, []graph.Block{conv, graph.SqueezeExcite{Channels: 2, Gate: "hardsigmoid"}, graph.GlobalAveragePool{}}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			model, blocks := importedBlocks(t, test.text, 0, 3, 6, 6)
			if diff := cmp.Diff(test.want, blocks); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
			if test.computed {
				expectSameAsInterpreter(t, model, build(test.text, 0, 3, 6, 6))
			}
		})
	}
}

// A network that begins with a transpose takes images with the channels last, as TensorFlow's
// do.
func TestImportOfChannelsLast(t *testing.T) {
	model, _ := importedBlocks(t, "Transpose x -> a perm=[0,3,1,2]\nw: 4 3 3 3\nConv a w -> b\nGlobalAveragePool b -> y", 1, 5, 6, 3)
	if want := (imaging.Size{Height: 5, Width: 6, Channels: 3}); model.Preprocessing.Size != want {
		t.Errorf("found the size %v, want %v", model.Preprocessing.Size, want)
	}
}

// What cannot be read is refused with the node and the reason, never by a panic.
func TestImportRefuses(t *testing.T) {
	const first, last = "w: 4 3 3 3\nConv x w -> c\n", "\nGlobalAveragePool z -> y"
	branches := first + "v: 4 4 1 1\nConv c v -> a\nConv c v -> b\n"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"an unknown operator":        {first + "Softplus c -> z" + last, []string{`node "node z" (Softplus)`, "Softplus is not supported", `"c"`, "--cut"}},
		"another domain":             {first + "com.microsoft.FusedConv c -> z" + last, []string{"com.microsoft.FusedConv"}},
		"a cycle":                    {first + "Add c q -> p\nRelu p -> q\nAdd p q -> z" + last, []string{"cycle"}},
		"a missing input":            {first + "Add c q -> z" + last, []string{`"node z"`, `"q" is missing`}},
		"a tensor of two nodes":      {first + "Relu c -> z\nTanh c -> z" + last, []string{`"z" is computed twice`}},
		"two constants of a name":    {first + "w: 1" + last, []string{`"w"`, "duplicate"}},
		"no output":                  {first, []string{`"y"`}},
		"a concatenation":            {branches + "Concat a b -> z axis=1" + last, []string{"Concat"}},
		"three branches":             {branches + "Add a b -> d\nTanh c -> e\nRelu c -> f\nMul e f -> z" + last, []string{"(Mul)"}},
		"branches that cross":        {first + "v: 4 4 1 1\nConv c v -> a\nConv c v -> b\nRelu a -> d\nRelu b -> e\nAdd a e -> f\nAdd b d -> g\nAdd f g -> z" + last, []string{"joins branches"}},
		"a product of two branches":  {branches + "Mul a b -> z" + last, []string{`"node z" (Mul)`, "squeeze-and-excite"}},
		"sums of two shapes":         {first + "v: 4 4 1 1\nConv c v -> a strides=[2,2]\nAdd a c -> z" + last, []string{`"node z" (Add)`, "equal shapes"}},
		"dilations":                  {"w: 4 3 3 3\nConv x w -> z dilations=[2,2]" + last, []string{"dilations"}},
		"an oblong kernel":           {"w: 4 3 3 1\nConv x w -> z" + last, []string{"square"}},
		"two strides":                {"w: 4 3 3 3\nConv x w -> z strides=[1,2]" + last, []string{"strides"}},
		"channels that do not fit":   {"w: 4 2 3 3\nConv x w -> z" + last, []string{"[4 2 3 3]"}},
		"an unknown attribute":       {first + "Relu c -> z speed=3" + last, []string{`attribute "speed"`}},
		"an attribute of a type":     {"w: 4 3 3 3\nConv x w -> z group=a" + last, []string{`attribute "group"`, "integer"}},
		"a large kernel":             {"w: 4 3 9 9\nConv x w -> z" + last, []string{"kernel of 9"}},
		"a huge stride":              {first + "MaxPool c -> z kernel_shape=[1,1] strides=[99999,99999]" + last, []string{"strides"}},
		"a huge padding":             {"w: 4 3 3 3\nConv x w -> z pads=[99999,99999,99999,99999]" + last, []string{"pads"}},
		"negative padding":           {"w: 4 3 3 3\nConv x w -> z pads=[-1,-1,-1,-1]" + last, []string{"pads"}},
		"padding on one side":        {"w: 4 3 3 3\nConv x w -> z pads=[0,0,0,1]" + last, []string{"padding"}},
		"other limits":               {first + "l = -1.0\nh = 1.0\nClip c l h -> z" + last, []string{`(Clip)`, "-1 and 1"}},
		"another hard-sigmoid":       {first + "HardSigmoid c -> z" + last, []string{"alpha 0.2"}},
		"another gelu":               {first + "Gelu c -> z approximate=tanh" + last, []string{"tanh"}},
		"batch norm in training":     {first + "g: 4\nBatchNormalization c g g g g -> z training_mode=1" + last, []string{"training mode"}},
		"half a batch norm":          {first + "g: 4\nBatchNormalization c g g g -> z" + last, []string{"(BatchNormalization)"}},
		"a statistic of another":     {first + "g: 4\nh: 5\nBatchNormalization c g g g h -> z" + last, []string{`"h"`, "[5]"}},
		"dropout of training":        {first + "r = 0.5\nt = 1\nDropout c r t -> z" + last, []string{"training"}},
		"a padded average pool":      {first + "AveragePool c -> z kernel_shape=[3,3] pads=[1,1,1,1]" + last, []string{"padding"}},
		"windows beyond the image":   {first + "MaxPool c -> z kernel_shape=[3,3] strides=[2,2] ceil_mode=1" + last, []string{"ceil_mode"}},
		"a pool without a kernel":    {first + "MaxPool c -> z" + last, []string{"kernel_shape"}},
		"an axis that is none":       {first + "ReduceMean c -> y axes=[2,7]", []string{"axes [2 7]"}},
		"a mean of the channels":     {first + "ReduceMean c -> y axes=[1]", []string{"axes [1]"}},
		"no axes":                    {first + "ReduceMean c -> y", []string{"no axes"}},
		"flattened from axis 2":      {first + "Flatten c -> y axis=2", []string{"axis 2"}},
		"flattened channels last":    {first + "Transpose c -> t perm=[0,2,3,1]\nFlatten t -> y", []string{"channels last"}},
		"another order of axes":      {first + "Transpose c -> z perm=[0,1,3,2]" + last, []string{"[0 1 3 2]"}},
		"channels in groups":         {first + "s = 0 2 2 4 4\nReshape c s -> z" + last, []string{"(Reshape)", "(batch, 2, 2, 4, 4)"}},
		"another number of elements": {first + "s = 0 65\nReshape c s -> y", []string{"64 features"}},
		"images as vectors":          {first + "v: 4 4\nGemm c v -> y", []string{"(Gemm)", "(batch, features)"}},
		"layer norm of the columns":  {first + "g: 4\nLayerNormalization c g -> z" + last, []string{"(LayerNormalization)"}},
		"images as an output":        {first + "Relu c -> y", []string{`"y"`, "(batch, 4, 4, 4)", "--cut"}},
		"zeros around a pool":        {first + "k = 0 0 1 1 0 0 1 1\nPad c k -> p\nMaxPool p -> z kernel_shape=[2,2]" + last, []string{"Pad before it"}},
		"a frame of ones":            {"k = 0 0 1 1 0 0 1 1\nv = 1.0\nPad x k v -> p\nw: 4 3 3 3\nConv p w -> z" + last, []string{"value 1"}},
		"a computed weight":          {first + "Conv c c -> z" + last, []string{`"node z" (Conv)`}},
		"a constant of each pixel":   {first + "s: 4 4 4\nMul c s -> z" + last, []string{"[4 4 4]"}},
		"a sum of vectors":           {first + "ReduceMean c -> p axes=[2,3] keepdims=0\nTanh p -> q\ns: 4\nAdd q s -> y", []string{`"node y" (Add)`}},
		"only the images":            {"Identity x -> y", []string{"output"}},
		"a division by zero":         {first + "i = 0\nShape c -> s\nDiv s i -> t\nReshape c t -> y", []string{"batch"}},
		"the second output":          {first + "MaxPool c -> p q kernel_shape=[2,2]\nAdd p q -> z" + last, []string{"joins branches"}},
		"no layers":                  {"", []string{`"y"`}},
		"nested blocks": {first + strings.Join(nested(40), "\n") + "\nGlobalAveragePool s0 -> y", []string{
			"nested more than"}},
	} {
		t.Run(name, func(t *testing.T) { expectRefused(t, build(test.text, 0, 3, 6, 6), onnx.ImportOptions{}, test.want...) })
	}
}

// nested are residual blocks one within the other.
func nested(depth int) []string {
	var lines []string
	for i := range depth {
		lines = append(lines, fmt.Sprintf("Tanh %s -> t%d", map[bool]string{true: "c", false: fmt.Sprintf("t%d", i-1)}[i == 0], i))
	}
	for i := depth - 1; i >= 0; i-- {
		inner := fmt.Sprintf("s%d", i+1)
		if i == depth-1 {
			lines = append(lines, fmt.Sprintf("Relu t%d -> %s", i, inner))
		}
		lines = append(lines, fmt.Sprintf("Add %s t%d -> s%d", inner, i, i))
	}
	return lines
}

func expectRefused(t *testing.T, file []byte, o onnx.ImportOptions, want ...string) {
	t.Helper()
	_, err := onnx.Read(file, "bad.onnx", o)
	if err == nil {
		t.Fatal("found no error, expected one")
	}
	for _, text := range append(want, "import bad.onnx") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("found the error %v, want %q in it", err, text)
		}
	}
}
