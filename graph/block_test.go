package graph_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gonum.org/v1/gonum/stat"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Every block passes a finite-difference check by its weights and its input,
// in one tower, in two and in three that share the weights. The weights are moved
// away from their first values, ones and zeros, where some mistakes do not show.
func TestBlockGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("finite differences repeat the same steps: they show nothing of goroutines")
	}
	image, vector := []int{3, 6, 7, 2}, []int{4, 5}
	tests := map[string]struct {
		shape  []int
		blocks []graph.Block
	}{
		"convolution":         {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3}}},
		"stride and padding":  {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Stride: 2, Padding: 1}}},
		"same padding":        {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Stride: 2, SamePadding: true}}},
		"depthwise":           {image, []graph.Block{graph.Conv{Filters: 2, Kernel: 3, Groups: 2, Padding: 1}}},
		"depthwise, strided":  {image, []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Groups: 2, Stride: 2, SamePadding: true, BatchNorm: true, NoBias: true, Activation: "tanh"}}},
		"groups":              {image, []graph.Block{graph.Conv{Filters: 4, Kernel: 1}, graph.Conv{Filters: 6, Kernel: 3, Groups: 2, Activation: "prelu", Pool: 2}}},
		"without bias":        {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, NoBias: true}}},
		"relu":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "relu"}}},
		"prelu":               {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "prelu"}}},
		"sigmoid":             {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "sigmoid"}}},
		"tanh":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "tanh"}}},
		"pool":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "tanh", Pool: 2}}},
		"batch norm":          {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Padding: 1, BatchNorm: true, NoBias: true, Activation: "tanh", Pool: 2}}},
		"batch norm alone":    {image, []graph.Block{graph.BatchNorm{}}},
		"batch norm of rows":  {vector, []graph.Block{graph.BatchNorm{}}},
		"max pool":            {image, []graph.Block{graph.MaxPool{Size: 2}}},
		"overlapping pool":    {image, []graph.Block{graph.MaxPool{Size: 3, Stride: 2}}},
		"average pool":        {image, []graph.Block{graph.AveragePool{Size: 2}}},
		"trainable average":   {image, []graph.Block{graph.AveragePool{Size: 2, Trainable: true}}},
		"global average":      {image, []graph.Block{graph.GlobalAveragePool{}}},
		"flatten and linear":  {image, []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}},
		"linear without bias": {vector, []graph.Block{graph.Linear{Units: 3, NoBias: true, Activation: "sigmoid"}}},
		"dropout":             {vector, []graph.Block{graph.Dropout{Rate: 0.4}}},
		"normalize":           {vector, []graph.Block{graph.Normalize{}}},
		"prelu alone":         {vector, []graph.Block{graph.Activate{Function: "prelu"}}},
		"residual":            {image, []graph.Block{graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 3, Padding: 1, Activation: "tanh"}}, Activation: "sigmoid", Pool: 2}}},
		"relu6":               {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, BatchNorm: true, Activation: "relu6", Pool: 2}}},
		"silu":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, BatchNorm: true, Activation: "silu"}}},
		"silu and pool":       {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "silu", Pool: 2}}},
		"gelu":                {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, Activation: "gelu"}}},
		"hard-swish":          {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, BatchNorm: true, Activation: "hardswish", Pool: 2}}},
		"hard-sigmoid":        {image, []graph.Block{graph.Conv{Filters: 3, Kernel: 3, BatchNorm: true, Activation: "hardsigmoid", Pool: 2}}},
		"linear with gelu":    {vector, []graph.Block{graph.Linear{Units: 3, Activation: "gelu"}}},
		"padded pool":         {image, []graph.Block{graph.MaxPool{Size: 3, Stride: 2, Padding: 1}}},
		"gem":                 {image, []graph.Block{graph.Activate{Function: "sigmoid"}, graph.GeM{}}},
		"layer norm":          {image, []graph.Block{graph.LayerNorm{Epsilon: 0.01}}},
		"layer norm of rows":  {vector, []graph.Block{graph.LayerNorm{}}},
		"scale":               {image, []graph.Block{graph.Scale{Initial: 0.5}}},
		"squeeze-excite":      {image, []graph.Block{graph.SqueezeExcite{Channels: 3, Activation: "silu"}}},
		"residual, silu":      {vector, []graph.Block{graph.Residual{Body: []graph.Block{graph.Linear{Units: 5}}, Activation: "silu"}}},
		"residual, prelu":     {vector, []graph.Block{graph.Residual{Body: []graph.Block{graph.Linear{Units: 5}}, Activation: "prelu"}}},
		"stochastic depth":    {image, []graph.Block{graph.Residual{Body: []graph.Block{graph.Conv{Filters: 2, Kernel: 1}}, Drop: 0.5}}},
		"residual, shortcut": {image, []graph.Block{graph.Residual{
			Body:     []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "tanh"}, graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true}},
			Shortcut: []graph.Block{graph.Conv{Filters: 4, Kernel: 1, BatchNorm: true}},
		}}},
	}
	for name, test := range tests {
		for towers := 1; towers <= 3; towers++ {
			t.Run(name, func(t *testing.T) {
				draw := func(b *graph.Builder) graph.Outputs {
					var cost *graph.Node
					for tower := range towers {
						x := b.Weight([]string{"left", "right", "third"}[tower], graph.Bias, graph.Normal(0, 1), test.shape...)
						y := b.Sequence(test.blocks, x)
						// A cost without symmetry: every element counts differently.
						weight := b.Weight("importance", graph.Bias, graph.Normal(0, 1), y.Shape()...)
						term := b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(weight, b.Node(gorgonia.Square(y))))))
						if cost == nil {
							cost = term
						} else {
							cost = b.Node(gorgonia.Add(cost, term))
						}
					}
					return graph.Outputs{graph.Cost: cost}
				}
				weights := graph.NewWeights(graph.Float64, 1)
				build(t, weights, graph.Training, draw)
				for _, w := range weights.All() {
					for i, change := range normal(w.Value.Size(), w.Name) {
						if w.Trainable() {
							w.Value.Data().([]float64)[i] += 0.3 * change
						}
					}
				}
				gradcheck.Check(t, weights, nil, draw)
			})
		}
	}
}

// given is a weight of known value.
type given struct {
	name     string
	role     graph.Role
	shape    []int
	elements []float64
}

func givenWeights(t *testing.T, all ...given) *graph.Weights {
	t.Helper()
	weights := graph.NewWeights(graph.Float64, 1)
	for _, w := range all {
		if err := weights.Add(w.name, w.role, w.shape, w.elements); err != nil {
			t.Fatal(err)
		}
	}
	return weights
}

// Every block gives values worked by hand, in training as in evaluation.
func TestBlockValues(t *testing.T) {
	nine := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	// Two rows and three columns of two channels, the second in the tens.
	twoChannels := []float64{1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60}
	tests := map[string]struct {
		weights  []given
		block    graph.Block
		shape    []int
		x        []float64
		expected []float64
	}{
		"convolution": {
			[]given{{"conv1.weight", graph.Kernel, []int{1, 1, 3, 3}, nine}, {"conv1.bias", graph.Bias, []int{1}, []float64{0.5}}},
			graph.Conv{Filters: 1, Kernel: 3}, []int{1, 3, 3, 1}, nine,
			[]float64{1 + 4 + 9 + 16 + 25 + 36 + 49 + 64 + 81 + 0.5},
		},
		// A one in the window's first corner moves the image down and right: the
		// window is not flipped.
		"orientation": {
			[]given{{"conv1.weight", graph.Kernel, []int{1, 1, 3, 3}, []float64{1, 0, 0, 0, 0, 0, 0, 0, 0}}},
			graph.Conv{Filters: 1, Kernel: 3, Padding: 1, NoBias: true}, []int{1, 3, 3, 1}, nine,
			[]float64{0, 0, 0, 0, 1, 2, 0, 4, 5},
		},
		"stride": {
			[]given{{"conv1.weight", graph.Kernel, []int{1, 1, 1, 1}, []float64{2}}},
			graph.Conv{Filters: 1, Kernel: 1, Stride: 2, NoBias: true}, []int{1, 3, 3, 1}, nine,
			[]float64{2, 6, 14, 18},
		},
		// Three columns and two results of a 2×2 kernel: the zeros are on the right. Of two
		// rows there is one result, which needs no padding.
		"same padding": {
			[]given{{"conv1.weight", graph.Kernel, []int{1, 1, 2, 2}, []float64{1, 10, 100, 1000}}},
			graph.Conv{Filters: 1, Kernel: 2, Stride: 2, SamePadding: true, NoBias: true}, []int{1, 2, 3, 1}, []float64{1, 2, 3, 4, 5, 6},
			[]float64{5421, 603},
		},
		// Each channel has a filter of its own: the difference, and the sum, of neighbors.
		"depthwise": {
			[]given{{"conv1.weight", graph.Kernel, []int{2, 1, 2, 2}, []float64{-1, 1, 0, 0, 1, 1, 0, 0}}, {"conv1.bias", graph.Bias, []int{2}, []float64{0.5, 0}}},
			graph.Conv{Filters: 2, Kernel: 2, Groups: 2}, []int{1, 2, 3, 2}, twoChannels,
			[]float64{1.5, 30, 1.5, 50},
		},
		// The first of two groups sees the first channel, and has the first two filters.
		"groups": {
			[]given{{"conv1.weight", graph.Kernel, []int{4, 1, 1, 1}, []float64{1, 2, 3, 4}}},
			graph.Conv{Filters: 4, Kernel: 1, Groups: 2, NoBias: true}, []int{1, 1, 1, 2}, []float64{1, 10},
			[]float64{1, 2, 30, 40},
		},
		// Filters by channels: (1, 0), (0, 1) and (1, −1).
		"channels": {
			[]given{{"conv1.weight", graph.Kernel, []int{3, 2, 1, 1}, []float64{1, 0, 0, 1, 1, -1}}},
			graph.Conv{Filters: 3, Kernel: 1, NoBias: true}, []int{1, 1, 2, 2}, []float64{1, 10, 2, 20},
			[]float64{1, 10, -9, 2, 20, -18},
		},
		// (x − 5)/2·3 + 1, then the slope 0.5 below zero, then the largest of four.
		"all of a block": {
			[]given{
				{"conv1.weight", graph.Kernel, []int{1, 1, 1, 1}, []float64{1}},
				{"norm1.weight", graph.Gain, []int{1}, []float64{3}}, {"norm1.bias", graph.Bias, []int{1}, []float64{1}},
				{"norm1.running_mean", graph.Buffer, []int{1}, []float64{5}}, {"norm1.running_var", graph.Buffer, []int{1}, []float64{4 - 1e-5}},
				{"conv1_prelu.weight", graph.Gain, []int{1}, []float64{0.5}},
			},
			graph.Conv{Filters: 1, Kernel: 1, NoBias: true, BatchNorm: true, Activation: "prelu", Pool: 2}, []int{1, 2, 4, 1},
			[]float64{1, 2, 3, 4, 0, 3, 7, 5}, []float64{-1, 4},
		},
		"linear": {
			[]given{{"linear1.weight", graph.Kernel, []int{2, 3}, []float64{1, 2, 3, 0, 0, -1}}, {"linear1.bias", graph.Bias, []int{2}, []float64{10, 20}}},
			graph.Linear{Units: 2}, []int{2, 3}, []float64{1, 1, 1, 1, 0, 2},
			[]float64{16, 19, 17, 18},
		},
		"linear with PReLU": {
			[]given{{"linear1.weight", graph.Kernel, []int{2, 1}, []float64{1, -1}}, {"linear1_prelu.weight", graph.Gain, []int{2}, []float64{0.1, 0.2}}},
			graph.Linear{Units: 2, NoBias: true, Activation: "prelu"}, []int{2, 1}, []float64{5, -5},
			[]float64{5, -1, -0.5, 5},
		},
		"flatten is channel by channel": {nil, graph.Flatten{}, []int{1, 2, 3, 2}, twoChannels,
			[]float64{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60}},
		"max pool drops a column": {nil, graph.MaxPool{Size: 2}, []int{1, 2, 3, 2}, twoChannels, []float64{5, 50}},
		"overlapping max pool":    {nil, graph.MaxPool{Size: 2, Stride: 1}, []int{1, 2, 3, 2}, twoChannels, []float64{5, 50, 6, 60}},
		"average pool":            {nil, graph.AveragePool{Size: 2, Stride: 1}, []int{1, 2, 3, 2}, twoChannels, []float64{3, 30, 4, 40}},
		"trainable average pool": {
			[]given{{"averagepool1.weight", graph.Gain, []int{2}, []float64{2, -1}}, {"averagepool1.bias", graph.Bias, []int{2}, []float64{0.5, 1}}},
			graph.AveragePool{Size: 2, Trainable: true}, []int{1, 2, 3, 2}, twoChannels, []float64{6.5, -29},
		},
		"global average pool": {nil, graph.GlobalAveragePool{}, []int{1, 2, 3, 2}, twoChannels, []float64{3.5, 35}},
		"relu":                {nil, graph.Activate{Function: "relu"}, []int{1, 4}, []float64{-2, 0, 0.5, 3}, []float64{0, 0, 0.5, 3}},
		"sigmoid":             {nil, graph.Activate{Function: "sigmoid"}, []int{1, 3}, []float64{0, math.Log(3), -math.Log(3)}, []float64{0.5, 0.75, 0.25}},
		"tanh":                {nil, graph.Activate{Function: "tanh"}, []int{1, 2}, []float64{0, math.Log(2)}, []float64{0, 0.6}},
		"identity":            {nil, graph.Activate{}, []int{1, 2}, []float64{-1, 1}, []float64{-1, 1}},
		"prelu has a slope for each channel": {
			[]given{{"prelu1.weight", graph.Gain, []int{2}, []float64{0.25, -1}}},
			graph.Activate{Function: "prelu"}, []int{2, 2}, []float64{-4, -4, 4, 4}, []float64{-1, 4, 4, 4},
		},
		"normalize keeps zero": {nil, graph.Normalize{}, []int{3, 2}, []float64{3, 4, 0, 0, 0, -2}, []float64{0.6, 0.8, 0, 0, 0, -1}},
		"no dropout":           {nil, graph.Dropout{}, []int{1, 2}, []float64{1, 2}, []float64{1, 2}},
		// x + 2x, halved below zero, then the largest of four.
		"residual": {
			[]given{{"residual1.conv1.weight", graph.Kernel, []int{1, 1, 1, 1}, []float64{2}}, {"residual1_prelu.weight", graph.Gain, []int{1}, []float64{0.5}}},
			graph.Residual{Body: []graph.Block{graph.Conv{Filters: 1, Kernel: 1, NoBias: true}}, Activation: "prelu", Pool: 2},
			[]int{1, 2, 4, 1}, []float64{-1, -2, 0, 1, -3, -4, 2, 0}, []float64{-1.5, 6},
		},
		"residual with shortcut": {
			[]given{{"residual1.conv1.weight", graph.Kernel, []int{1, 1, 1, 1}, []float64{2}}, {"residual1.shortcut.conv1.weight", graph.Kernel, []int{1, 1, 1, 1}, []float64{-10}}},
			graph.Residual{
				Body:     []graph.Block{graph.Conv{Filters: 1, Kernel: 1, NoBias: true}},
				Shortcut: []graph.Block{graph.Conv{Filters: 1, Kernel: 1, NoBias: true}},
			},
			[]int{1, 1, 2, 1}, []float64{1, 2}, []float64{-8, -16},
		},
		"relu6":       {nil, graph.Activate{Function: "relu6"}, []int{1, 4}, []float64{-2, 0, 5.5, 7}, []float64{0, 0, 5.5, 6}},
		"silu":        {nil, graph.Activate{Function: "silu"}, []int{1, 3}, []float64{0, math.Log(3), -math.Log(3)}, []float64{0, 0.75 * math.Log(3), -0.25 * math.Log(3)}},
		"gelu":        {nil, graph.Activate{Function: "gelu"}, []int{1, 3}, []float64{0, 1, -1}, []float64{0, 0.8413447460685429, -0.15865525393145705}},
		"hardsigmoid": {nil, graph.Activate{Function: "hardsigmoid"}, []int{1, 4}, []float64{-4, 0, 1.5, 4}, []float64{0, 0.5, 0.75, 1}},
		"hardswish":   {nil, graph.Activate{Function: "hardswish"}, []int{1, 4}, []float64{-4, -1.5, 1.5, 4}, []float64{0, -0.375, 1.125, 4}},
		// Padding is not the largest, even of numbers below zero.
		"padded max pool": {nil, graph.MaxPool{Size: 3, Stride: 2, Padding: 1}, []int{1, 2, 3, 1}, []float64{-1, -2, -3, -4, -5, -6}, []float64{-1, -2}},
		// √((1 + 49)/2) and √((4 + 4)/2), with numbers below zero as zeros.
		"gem": {
			[]given{{"gem1.weight", graph.Gain, []int{1}, []float64{2}}},
			graph.GeM{Epsilon: 1e-12}, []int{1, 1, 2, 2}, []float64{1, 2, 7, 2}, []float64{5, 2},
		},
		"layer norm": {
			[]given{{"layernorm1.weight", graph.Gain, []int{2}, []float64{2, 3}}, {"layernorm1.bias", graph.Bias, []int{2}, []float64{10, 20}}},
			graph.LayerNorm{Epsilon: 3}, []int{1, 1, 2, 2}, []float64{4, 6, 5, 5}, []float64{9, 21.5, 10, 20},
		},
		"scale":   {[]given{{"scale1.weight", graph.Gain, []int{2}, []float64{2, -1}}}, graph.Scale{}, []int{2, 2}, []float64{1, 2, 3, 4}, []float64{2, -2, 6, -4}},
		"initial": {nil, graph.Scale{Initial: 1e-6}, []int{1, 2}, []float64{1, 2}, []float64{1e-6, 2e-6}},
		// The means 3.5 and 35 are reduced to 3.5 − 3 and 30 − 3.5 < 0, and expanded to 0.5
		// and ln 3.
		"squeeze-excite": {
			[]given{
				{"squeezeexcite1.reduce.weight", graph.Kernel, []int{2, 2}, []float64{1, 0, 1, -1}}, {"squeezeexcite1.reduce.bias", graph.Bias, []int{2}, []float64{-3, 0}},
				{"squeezeexcite1.expand.weight", graph.Kernel, []int{2, 2}, []float64{1, 100, 0, 100}}, {"squeezeexcite1.expand.bias", graph.Bias, []int{2}, []float64{-0.5, math.Log(3)}},
			},
			graph.SqueezeExcite{Channels: 2}, []int{1, 2, 3, 2}, twoChannels,
			[]float64{0.5, 7.5, 1, 15, 1.5, 22.5, 2, 30, 2.5, 37.5, 3, 45},
		},
		"residual of nothing": {nil, graph.Residual{}, []int{1, 1, 2, 1}, []float64{1, 2}, []float64{2, 4}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []graph.Mode{graph.Evaluation, graph.Training} {
				weights := givenWeights(t, test.weights...)
				if mode == graph.Training && len(test.weights) > 0 { // running statistics in training too
					if err := weights.Freeze("*"); err != nil {
						t.Fatal(err)
					}
				}
				found := apply(t, weights, mode, []graph.Block{test.block}, test.x, test.shape...)
				expectNear(t, "output", found, test.expected, 1e-14)
			}
		})
	}
}

// Convolutions of any shape agree with a sum over the window, element by
// element.
func TestConvolutionIsTheNaiveSum(t *testing.T) {
	const batch, height, width, channels, filters, kernel = 2, 5, 6, 3, 4, 3
	x := normal(batch*height*width*channels, "x")
	for _, stride := range []int{1, 2} {
		for _, padding := range []int{0, 1, 2} {
			weights := graph.NewWeights(graph.Float64, 1)
			found := apply(t, weights, graph.Evaluation, []graph.Block{graph.Conv{Filters: filters, Kernel: kernel, Stride: stride, Padding: padding, NoBias: true}}, x, batch, height, width, channels)
			w := elements(weights.Get("conv1.weight"))
			var expected []float64
			for n := range batch {
				for top := -padding; top+kernel <= height+padding; top += stride {
					for side := -padding; side+kernel <= width+padding; side += stride {
						for f := range filters {
							sum := 0.0
							for c := range channels {
								for i := max(0, -top); i < kernel && top+i < height; i++ {
									for j := max(0, -side); j < kernel && side+j < width; j++ {
										sum += w[((f*channels+c)*kernel+i)*kernel+j] * x[((n*height+top+i)*width+side+j)*channels+c]
									}
								}
							}
							expected = append(expected, sum)
						}
					}
				}
			}
			expectNear(t, "convolution", found, expected, 1e-12)
		}
	}
}

// The same kinds in one sequence have weights of their own, under the names
// that their docstrings promise.
func TestWeightNames(t *testing.T) {
	prelu := graph.Conv{Filters: 2, Kernel: 1, BatchNorm: true, Activation: "prelu"}
	weights := graph.NewWeights(graph.Float64, 1)
	apply(t, weights, graph.Evaluation, []graph.Block{
		prelu, graph.Conv{Filters: 3, Kernel: 1, NoBias: true}, graph.Activate{Function: "prelu"}, graph.BatchNorm{},
		graph.AveragePool{Size: 1, Trainable: true},
		graph.Residual{Body: []graph.Block{graph.Conv{Filters: 3, Kernel: 1}}, Shortcut: []graph.Block{graph.Conv{Filters: 3, Kernel: 1}}, Activation: "prelu"},
		graph.LayerNorm{}, graph.Scale{}, graph.SqueezeExcite{Channels: 2},
		graph.GeM{}, graph.Linear{Units: 4, Activation: "prelu"},
	}, []float64{1}, 1, 1, 1, 1)
	shapes := map[string]string{}
	for _, weight := range weights.All() {
		shapes[weight.Name] = fmt.Sprint(weight.Role, weight.Value.Shape())
	}
	expectEqual(t, "weights", shapes, map[string]string{
		"conv1.weight": "kernel (2, 1, 1, 1)", "conv1.bias": "bias (2)", "conv1_prelu.weight": "gain (2)",
		"norm1.weight": "gain (2)", "norm1.bias": "bias (2)", "norm1.running_mean": "buffer (2)", "norm1.running_var": "buffer (2)",
		"conv2.weight": "kernel (3, 2, 1, 1)", "prelu1.weight": "gain (3)",
		"batchnorm1.weight": "gain (3)", "batchnorm1.bias": "bias (3)", "batchnorm1.running_mean": "buffer (3)", "batchnorm1.running_var": "buffer (3)",
		"averagepool1.weight": "gain (3)", "averagepool1.bias": "bias (3)",
		"residual1.conv1.weight": "kernel (3, 3, 1, 1)", "residual1.conv1.bias": "bias (3)",
		"residual1.shortcut.conv1.weight": "kernel (3, 3, 1, 1)", "residual1.shortcut.conv1.bias": "bias (3)", "residual1_prelu.weight": "gain (3)",
		"layernorm1.weight": "gain (3)", "layernorm1.bias": "bias (3)", "scale1.weight": "gain (3)", "gem1.weight": "gain (1)",
		"squeezeexcite1.reduce.weight": "kernel (2, 3)", "squeezeexcite1.reduce.bias": "bias (2)",
		"squeezeexcite1.expand.weight": "kernel (3, 2)", "squeezeexcite1.expand.bias": "bias (3)",
		"linear1.weight": "kernel (4, 3)", "linear1.bias": "bias (4)", "linear1_prelu.weight": "gain (4)",
	})
}

const dropped = 2_000 // elements

func dropoutTowers(b *graph.Builder) graph.Outputs {
	outputs := graph.Outputs{}
	cost := b.Constant(0)
	for _, name := range []string{"left", "right"} {
		y := b.Sequence([]graph.Block{graph.Dropout{Rate: 0.3}}, weight(b, name, 10, dropped/10))
		outputs[name] = y
		cost = b.Node(gorgonia.Add(cost, b.Node(gorgonia.Sum(y))))
	}
	outputs[graph.Cost] = cost
	return outputs
}

// An element is kept with probability 1 − rate and then divided by 1 − rate,
// and the gradient goes the same way.
func TestDropoutScale(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Training, dropoutTowers)
	run(t, program)
	x, y, gradient := elements(weights.Get("left")), get(t, program, "left"), gradients(t, program)["left"]
	kept := 0
	for i := range x {
		if y[i] != 0 {
			kept++
			expectNear(t, "kept", y[i], x[i]/0.7, 1e-14)
			expectNear(t, "gradient of a kept element", gradient[i], 1/0.7, 1e-14)
		} else if gradient[i] != 0 {
			t.Errorf("gradient of a dropped element is %v", gradient[i])
		}
	}
	// Five standard deviations of the binomial distribution.
	if deviation := math.Sqrt(dropped * 0.3 * 0.7); math.Abs(float64(kept)-0.7*dropped) > 5*deviation {
		t.Errorf("%d of %d elements are kept, expected about %v", kept, dropped, 0.7*dropped)
	}
}

func TestNoDropoutInEvaluation(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Evaluation, dropoutTowers)
	run(t, program)
	expectEqual(t, "left", get(t, program, "left"), elements(weights.Get("left")))
}

// Masks differ between towers and between runs, and the number of the run
// gives them back, in another program too.
func TestDropoutMasks(t *testing.T) {
	masks := func(program *graph.Program) (left, right []bool) {
		t.Helper()
		run(t, program)
		others := get(t, program, "right")
		for i, y := range get(t, program, "left") {
			left, right = append(left, y != 0), append(right, others[i] != 0)
		}
		return left, right
	}
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, dropoutTowers)
	left, right := masks(program)
	if slices.Equal(left, right) {
		t.Error("two towers have one mask")
	}
	second, _ := masks(program)
	if slices.Equal(left, second) {
		t.Error("two runs have one mask")
	}
	if step := program.Step(); step != 2 {
		t.Errorf("found step %d after two runs", step)
	}
	program.SetStep(0)
	again, _ := masks(program)
	expectEqual(t, "mask of run 0", again, left)

	resumed := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, dropoutTowers)
	resumed.SetStep(1)
	again, _ = masks(resumed)
	expectEqual(t, "mask of run 1 in another program", again, second)

	other := build(t, graph.NewWeights(graph.Float64, 2), graph.Training, dropoutTowers)
	foreign, _ := masks(other)
	if slices.Equal(left, foreign) {
		t.Error("two seeds have one mask")
	}
}

// Random numbers of an operation are in [0, 1) with the mean 1/2 and the variance 1/12, differ
// between names, towers and runs, and are the same in both precisions and for the same run.
func TestUniform(t *testing.T) {
	const n = 4096
	draw := func(b *graph.Builder) graph.Outputs {
		x := b.Weight("x", graph.Bias, graph.Initializer{}, n)
		return graph.Outputs{"first": b.Uniform("samples", x), "second": b.Uniform("samples", x), "other": b.Uniform("others", x)}
	}
	var values [2][]float64
	for i, dtype := range []tensor.Dtype{graph.Float64, graph.Float32} {
		program := build(t, graph.NewWeights(dtype, 1), graph.Evaluation, draw)
		run(t, program)
		values[i] = get(t, program, "first")
		for _, name := range []string{"second", "other"} {
			if slices.Equal(values[i], get(t, program, name)) {
				t.Errorf("first and %s are equal", name)
			}
		}
		run(t, program)
		if slices.Equal(values[i], get(t, program, "first")) {
			t.Error("two runs have the same numbers")
		}
		program.SetStep(0)
		run(t, program)
		expectEqual(t, "numbers of run 0", get(t, program, "first"), values[i])
	}
	expectEqual(t, "float32", values[1], values[0])
	mean, variance := stat.MeanVariance(values[0], nil)
	// The standard errors of n numbers are 0.0045 and 0.0012.
	if low, high := slices.Min(values[0]), slices.Max(values[0]); low < 0 || high >= 1 || math.Abs(mean-0.5) > 0.02 || math.Abs(variance-1./12) > 0.005 {
		t.Errorf("found numbers from %v to %v with mean %v and variance %v", low, high, mean, variance)
	}
}
