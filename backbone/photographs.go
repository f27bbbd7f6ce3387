package backbone

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Poolings are the values of Options.Pooling: how the last feature map, (batch, height,
// width, channels), becomes (batch, channels).
var Poolings = []string{"average", "gem"}

// ResNet is a residual network (He et al. 2016) in torchvision's form, without its
// classifier: a 7×7 convolution and a 3×3 max pool, both of stride 2, and four stages with
// the given numbers of residual blocks. A block has two 3×3 convolutions or, as a
// bottleneck, 1×1, 3×3 and 1×1 ones with four times as many filters at the end; its
// stride is in the 3×3 convolution. ResNet-18 has stages of 2, 2, 2 and 2 blocks, ResNet-34
// of 3, 4, 6 and 3, and ResNet-50 the same with bottlenecks. The embedding dimension is
// 512, or 2,048 with bottlenecks.
func ResNet(size imaging.Size, stages [4]int, bottleneck bool) Network {
	return resNet(size, stages, bottleneck).network
}

// MobileNetV2 is the network of Sandler et al. 2018, table 2, without its classifier:
// inverted residual blocks of depthwise convolutions with ReLU6. The embedding dimension
// is 1,280.
func MobileNetV2(size imaging.Size) Network { return mobileNetV2(size).network }

// EfficientNetB0 is the network of Tan & Le 2019, table 1, in torchvision's form, without
// its classifier: inverted residual blocks with squeeze-and-excite and SiLU. The embedding
// dimension is 1,280.
func EfficientNetB0(size imaging.Size) Network {
	return efficientNet("efficientnet-b0", size).network
}

// EfficientNetLite0 is EfficientNetB0 without squeeze-and-excite and with ReLU6, as its
// authors published it in 2020 for small processors, without its classifier. It pads as
// TensorFlow does. The embedding dimension is 1,280.
func EfficientNetLite0(size imaging.Size) Network {
	return efficientNet("efficientnet-lite0", size).network
}

// ConvNeXtTiny is the network of Liu et al. 2022, without its classifier but with the
// layer norm before it: blocks of a 7×7 depthwise convolution, layer norm, and two 1×1
// convolutions with GELU between them. The embedding dimension is 768.
func ConvNeXtTiny(size imaging.Size) Network { return convNeXtTiny(size).network }

// Published are the names of the networks for photographs, for which others have published
// weights.
var Published = []string{"resnet18", "resnet34", "resnet50", "mobilenet-v2", "efficientnet-lite0", "efficientnet-b0", "convnext-tiny"}

// photographSize is the size of images that their published weights were trained with.
var photographSize = imaging.Size{Height: 224, Width: 224, Channels: 3}

// photograph returns the network of a name and true, or false if it is no network for
// photographs.
func photograph(name string, size imaging.Size) (published, bool) {
	switch name {
	case "resnet18":
		return resNet(size, [4]int{2, 2, 2, 2}, false), true
	case "resnet34":
		return resNet(size, [4]int{3, 4, 6, 3}, false), true
	case "resnet50":
		return resNet(size, [4]int{3, 4, 6, 3}, true), true
	case "mobilenet-v2":
		return mobileNetV2(size), true
	case "efficientnet-lite0", "efficientnet-b0":
		return efficientNet(name, size), true
	case "convnext-tiny":
		return convNeXtTiny(size), true
	}
	return published{}, false
}

// PublishedNames returns the names that the layers of a named network have in the files
// of its published weights, by the names that they have in this module: "residual1.conv1"
// is "layer1.0.conv1" in torchvision's ResNet-18. A name with the suffix ".weight" is that
// of a single tensor. It returns an error for a network without published weights.
func PublishedNames(name string) (map[string]string, error) {
	p, known := photograph(name, photographSize)
	if !known {
		return nil, errors.Errorf("backbone %s: found no published weights, expected one of %v", name, Published)
	}
	return p.names, nil
}

// published is a network with the published names of its layers.
type published struct {
	network Network
	names   map[string]string
}

// layers collects the blocks of a sequence with the published names of their layers.
type layers struct {
	blocks  []graph.Block
	names   map[string]string // by the names in the network
	scope   string            // of the sequence, with a dot at its end
	numbers map[string]int
}

func newLayers(names map[string]string, scope string) *layers {
	return &layers{names: names, scope: scope, numbers: map[string]int{}}
}

// add appends a block and returns its name.
func (l *layers) add(block graph.Block) string {
	l.blocks = append(l.blocks, block)
	l.numbers[block.Kind()]++
	return fmt.Sprintf("%s%s%d", l.scope, block.Kind(), l.numbers[block.Kind()])
}

// conv appends a convolution, whose batch norm may have a name of its own.
func (l *layers) conv(c graph.Conv, name, norm string) {
	l.names[l.add(c)] = name
	if c.BatchNorm {
		l.names[fmt.Sprintf("%snorm%d", l.scope, l.numbers["conv"])] = norm
	}
}

// layer appends a block whose weights have a common prefix.
func (l *layers) layer(block graph.Block, name string) { l.names[l.add(block)] = name }

// residual appends a residual block with a body and, unless it is nil, a shortcut.
func (l *layers) residual(r graph.Residual, body, shortcut func(*layers)) {
	scope := fmt.Sprintf("%sresidual%d.", l.scope, l.numbers["residual"]+1)
	inner := newLayers(l.names, scope)
	body(inner)
	r.Body = inner.blocks
	if shortcut != nil {
		inner = newLayers(l.names, scope+"shortcut.")
		shortcut(inner)
		r.Shortcut = inner.blocks
	}
	l.add(r)
}

// end completes the network.
func (l *layers) end(name string, size imaging.Size) published {
	return published{Network{Name: name, Size: size, Blocks: l.blocks}, l.names}
}

func resNet(size imaging.Size, stages [4]int, bottleneck bool) published {
	depth, convolutions, expansion := 2, 2, 1
	if bottleneck {
		convolutions, expansion = 3, 4
	}
	for _, blocks := range stages {
		depth += blocks * convolutions
	}
	l := newLayers(map[string]string{}, "")
	conv := func(l *layers, filters, kernel, stride int, activation, name, norm string) {
		l.conv(graph.Conv{
			Filters: filters, Kernel: kernel, Stride: stride, Padding: kernel / 2,
			NoBias: true, BatchNorm: true, Activation: activation,
		}, name, norm)
	}
	conv(l, 64, 7, 2, "relu", "conv1", "bn1")
	l.add(graph.MaxPool{Size: 3, Stride: 2, Padding: 1})
	channels := 64
	for stage, blocks := range stages {
		width := 64 << stage
		for i := range blocks {
			stride := 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			name := fmt.Sprintf("layer%d.%d.", stage+1, i)
			body := func(l *layers) {
				if bottleneck {
					conv(l, width, 1, 1, "relu", name+"conv1", name+"bn1")
					conv(l, width, 3, stride, "relu", name+"conv2", name+"bn2")
					conv(l, 4*width, 1, 1, "", name+"conv3", name+"bn3")
					return
				}
				conv(l, width, 3, stride, "relu", name+"conv1", name+"bn1")
				conv(l, width, 3, 1, "", name+"conv2", name+"bn2")
			}
			var shortcut func(*layers)
			if stride > 1 || channels != width*expansion {
				shortcut = func(l *layers) {
					conv(l, width*expansion, 1, stride, "", name+"downsample.0", name+"downsample.1")
				}
			}
			l.residual(graph.Residual{Activation: "relu"}, body, shortcut)
			channels = width * expansion
		}
	}
	l.add(graph.GlobalAveragePool{})
	return l.end(fmt.Sprintf("resnet%d", depth), size)
}

// inverted is a stage of inverted residual blocks.
type inverted struct {
	expansion, kernel, stride, filters, blocks int
}

// invertedStyle is how the networks of inverted residual blocks differ.
type invertedStyle struct {
	activation        string
	same              bool // SamePadding
	epsilon, momentum float64
	squeeze           bool // squeeze-and-excite, of a quarter of the input channels
}

func (s invertedStyle) conv(filters, kernel, stride, groups int, activation string) graph.Conv {
	c := graph.Conv{
		Filters: filters, Kernel: kernel, Stride: stride, NoBias: true, BatchNorm: true, Activation: activation,
		SamePadding: s.same && kernel > 1, Epsilon: s.epsilon, Momentum: s.momentum,
	}
	if !s.same {
		c.Padding = kernel / 2
	}
	if groups > 1 {
		c.Groups = groups
	}
	return c
}

// block appends an inverted residual block. names gives the published names of the
// expansion, the depthwise convolution and the projection, each with its batch norm, and
// of the two layers of squeeze-and-excite.
func (s invertedStyle) block(l *layers, channels int, stage inverted, stride int, names invertedNames) {
	body := func(l *layers) {
		width := channels * stage.expansion
		if stage.expansion > 1 {
			l.conv(s.conv(width, 1, 1, 1, s.activation), names.expand, names.expandNorm)
		}
		l.conv(s.conv(width, stage.kernel, stride, width, s.activation), names.depthwise, names.depthwiseNorm)
		if s.squeeze {
			name := l.add(graph.SqueezeExcite{Channels: max(1, channels/4), Activation: s.activation})
			l.names[name+".reduce"], l.names[name+".expand"] = names.reduce, names.enlarge
		}
		l.conv(s.conv(stage.filters, 1, 1, 1, ""), names.project, names.projectNorm)
	}
	if stride > 1 || channels != stage.filters {
		body(l)
		return
	}
	l.residual(graph.Residual{}, body, nil)
}

type invertedNames struct {
	expand, expandNorm, depthwise, depthwiseNorm, reduce, enlarge, project, projectNorm string
}

func mobileNetV2(size imaging.Size) published {
	l := newLayers(map[string]string{}, "")
	style := invertedStyle{activation: "relu6"}
	l.conv(style.conv(32, 3, 2, 1, "relu6"), "features.0.0", "features.0.1")
	channels, number := 32, 1
	for _, stage := range []inverted{
		{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 3, 2, 32, 3}, {6, 3, 2, 64, 4}, {6, 3, 1, 96, 3}, {6, 3, 2, 160, 3}, {6, 3, 1, 320, 1},
	} {
		for i := range stage.blocks {
			stride := 1
			if i == 0 {
				stride = stage.stride
			}
			name := fmt.Sprintf("features.%d.conv.", number)
			names := invertedNames{
				expand: name + "0.0", expandNorm: name + "0.1", depthwise: name + "1.0", depthwiseNorm: name + "1.1",
				project: name + "2", projectNorm: name + "3",
			}
			if stage.expansion == 1 {
				names = invertedNames{depthwise: name + "0.0", depthwiseNorm: name + "0.1", project: name + "1", projectNorm: name + "2"}
			}
			style.block(l, channels, stage, stride, names)
			channels = stage.filters
			number++
		}
	}
	l.conv(style.conv(1280, 1, 1, 1, "relu6"), "features.18.0", "features.18.1")
	l.add(graph.GlobalAveragePool{})
	return l.end("mobilenet-v2", size)
}

func efficientNet(name string, size imaging.Size) published {
	lite := name == "efficientnet-lite0"
	style := invertedStyle{activation: "silu", squeeze: true}
	if lite {
		style = invertedStyle{activation: "relu6", same: true, epsilon: 1e-3, momentum: 0.01}
	}
	l := newLayers(map[string]string{}, "")
	stem, last := [2]string{"features.0.0", "features.0.1"}, [2]string{"features.8.0", "features.8.1"}
	if lite {
		stem, last = [2]string{"_conv_stem", "_bn0"}, [2]string{"_conv_head", "_bn1"}
	}
	l.conv(style.conv(32, 3, 2, 1, style.activation), stem[0], stem[1])
	channels, number := 32, 0
	for k, stage := range []inverted{
		{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1},
	} {
		for i := range stage.blocks {
			stride := 1
			if i == 0 {
				stride = stage.stride
			}
			names := torchvisionNames(fmt.Sprintf("features.%d.%d.block.", k+1, i), stage.expansion > 1)
			if lite {
				names = liteNames(fmt.Sprintf("_blocks.%d.", number), stage.expansion > 1)
			}
			style.block(l, channels, stage, stride, names)
			channels = stage.filters
			number++
		}
	}
	l.conv(style.conv(1280, 1, 1, 1, style.activation), last[0], last[1])
	l.add(graph.GlobalAveragePool{})
	return l.end(name, size)
}

// torchvisionNames are those of a block of torchvision's EfficientNet.
func torchvisionNames(block string, expands bool) (n invertedNames) {
	first := 0
	if expands {
		n.expand, n.expandNorm = block+"0.0", block+"0.1"
		first = 1
	}
	at := func(i int, suffix string) string { return fmt.Sprintf("%s%d.%s", block, first+i, suffix) }
	n.depthwise, n.depthwiseNorm = at(0, "0"), at(0, "1")
	n.reduce, n.enlarge = at(1, "fc1"), at(1, "fc2")
	n.project, n.projectNorm = at(2, "0"), at(2, "1")
	return n
}

// liteNames are those of a block of EfficientNet-Lite0 in PyTorch.
func liteNames(block string, expands bool) (n invertedNames) {
	if expands {
		n.expand, n.expandNorm = block+"_expand_conv", block+"_bn0"
	}
	n.depthwise, n.depthwiseNorm = block+"_depthwise_conv", block+"_bn1"
	n.project, n.projectNorm = block+"_project_conv", block+"_bn2"
	return n
}

func convNeXtTiny(size imaging.Size) published {
	const epsilon = 1e-6
	norm := graph.LayerNorm{Epsilon: epsilon}
	l := newLayers(map[string]string{}, "")
	l.conv(graph.Conv{Filters: 96, Kernel: 4, Stride: 4}, "features.0.0", "")
	l.layer(norm, "features.0.1")
	for stage, blocks := range []int{3, 3, 9, 3} {
		width := 96 << stage
		if stage > 0 {
			name := fmt.Sprintf("features.%d.", 2*stage)
			l.layer(norm, name+"0")
			l.conv(graph.Conv{Filters: width, Kernel: 2, Stride: 2}, name+"1", "")
		}
		for i := range blocks {
			name := fmt.Sprintf("features.%d.%d.", 2*stage+1, i)
			l.residual(graph.Residual{}, func(l *layers) {
				l.conv(graph.Conv{Filters: width, Kernel: 7, Padding: 3, Groups: width}, name+"block.0", "")
				l.layer(norm, name+"block.2")
				l.conv(graph.Conv{Filters: 4 * width, Kernel: 1, Activation: "gelu"}, name+"block.3", "")
				l.conv(graph.Conv{Filters: width, Kernel: 1}, name+"block.5", "")
				scale := l.add(graph.Scale{Initial: 1e-6})
				l.names[scale+".weight"] = name + "layer_scale"
			}, nil)
		}
	}
	l.add(graph.GlobalAveragePool{})
	l.layer(norm, "classifier.0")
	return l.end("convnext-tiny", size)
}
