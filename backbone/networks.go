package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// Hadsell is the network of Hadsell, Chopra & LeCun 2006, §4.1, for MNIST: 15
// maps of 6×6, a trainable 3×3 subsampling, 30 maps of 9×9, and a fully
// connected layer to the given number of features, 2 in the paper. Its input
// is 32×32 pixels: the first convolution pads 28×28 pixels with two rows and columns
// of zeros on each side. The paper does not name its activation
// function; here it is tanh, after each convolution, as in LeCun et al. 1998.
func Hadsell(features int) Network {
	return Network{Name: "hadsell", Size: imaging.Size{Height: 28, Width: 28, Channels: 1}, Blocks: []graph.Block{
		graph.Conv{Filters: 15, Kernel: 6, Padding: 2, Activation: "tanh", Weight: graph.Xavier},
		graph.AveragePool{Size: 3, Trainable: true},
		graph.Conv{Filters: 30, Kernel: 9, Activation: "tanh", Weight: graph.Xavier},
		graph.Flatten{},
		graph.Linear{Units: features, Weight: graph.Xavier},
	}}
}

// Koch is the network of Koch, Zemel & Salakhutdinov 2015, figure 4: 105×105
// gray pixels to 4,096 sigmoid units, 38,947,648 parameters. Initial values
// are the paper's (§3.2): convolutions N(0, 0.01²), biases N(0.5, 0.01²),
// fully connected weights N(0, 0.2²).
func Koch() Network {
	conv := func(filters, kernel, pool int) graph.Conv {
		return graph.Conv{
			Filters: filters, Kernel: kernel, Activation: "relu", Pool: pool,
			Weight: graph.Normal(0, 0.01), Bias: graph.Normal(0.5, 0.01),
		}
	}
	return Network{Name: "koch", Size: imaging.Size{Height: 105, Width: 105, Channels: 1}, Blocks: []graph.Block{
		conv(64, 10, 2),
		conv(128, 7, 2),
		conv(128, 4, 2),
		conv(256, 4, 0),
		graph.Flatten{},
		graph.Linear{Units: 4096, Activation: "sigmoid", Weight: graph.Normal(0, 0.2), Bias: graph.Normal(0.5, 0.01)},
	}}
}

// embedding initializes the last convolution of Hoffer & Ailon's networks with small
// values, so that distances are initially about 1. With He's initializer they are
// several times as large, where the softmax ratio has a very small gradient for the
// triplets that are ranked wrongly. The paper names no initial values.
var embedding = graph.Normal(0, 0.01)

// HofferMNIST is the network of Hoffer & Ailon 2015 for MNIST: filters of 5, 3
// and 3, maps 32, 64 and 128, each followed by ReLU and a 2×2 max pool, down
// to one pixel of 128 features. The dropout of 0.25 after each pool is that of the
// authors' code.
func HofferMNIST() Network {
	return Network{Name: "hoffer-mnist", Size: imaging.Size{Height: 28, Width: 28, Channels: 1}, Blocks: []graph.Block{
		graph.Conv{Filters: 32, Kernel: 5, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.25},
		graph.Conv{Filters: 64, Kernel: 3, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.25},
		graph.Conv{Filters: 128, Kernel: 3, Activation: "relu", Pool: 2, Weight: embedding},
		graph.Dropout{Rate: 0.25},
		graph.Flatten{},
	}}
}

// HofferCIFAR is the network of Hoffer & Ailon 2015 for 32×32 color images:
// filters of 5, 3, 3 and 2, maps 64, 128, 256 and 128; pools and dropout as in
// HofferMNIST, but none after the last convolution.
func HofferCIFAR() Network {
	return Network{Name: "hoffer-cifar", Size: imaging.Size{Height: 32, Width: 32, Channels: 3}, Blocks: []graph.Block{
		graph.Conv{Filters: 64, Kernel: 5, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.25},
		graph.Conv{Filters: 128, Kernel: 3, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.25},
		graph.Conv{Filters: 256, Kernel: 3, Activation: "relu", Pool: 2},
		graph.Dropout{Rate: 0.25},
		graph.Conv{Filters: 128, Kernel: 2, Activation: "relu", Weight: embedding},
		graph.Flatten{},
	}}
}

// Conv4 is the standard small network of few-shot learning (Vinyals et al. 2016): four
// 3×3 convolutions with width filters, each followed by optional batch norm, ReLU and a
// 2×2 max pool, then flattened. For 28×28 pixels the embedding dimension is width.
func Conv4(size imaging.Size, width int, batchNorm bool) Network {
	block := graph.Conv{Filters: width, Kernel: 3, Padding: 1, NoBias: batchNorm, BatchNorm: batchNorm, Activation: "relu", Pool: 2}
	return Network{Name: "conv4", Size: size, Blocks: []graph.Block{block, block, block, block, graph.Flatten{}}}
}

// Conv7 consists of seven 3×3 convolutions, each with batch norm and ReLU: one with width
// filters, three with twice and three with four times as many, with 2×2 max pools after
// the first, fourth and seventh, then flattened. For 28×28 pixels the embedding dimension
// is 36·width. For the same computing time it distinguishes unseen classes better than
// Conv4, whose last feature map is a single pixel.
func Conv7(size imaging.Size, width int) Network {
	block := func(filters, pool int) graph.Conv {
		return graph.Conv{Filters: filters, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: pool}
	}
	return Network{Name: "conv7", Size: size, Blocks: []graph.Block{
		block(width, 2),
		block(2*width, 0), block(2*width, 0), block(2*width, 2),
		block(4*width, 0), block(4*width, 0), block(4*width, 2),
		graph.Flatten{},
	}}
}

// Digits is a small network whose embeddings have two dimensions and can be plotted: convolutions of 5×5 with 32 and 64 maps, each with PReLU and a 2×2
// max pool, and fully connected layers 256, 256, 2.
func Digits(size imaging.Size) Network {
	return Network{Name: "digits", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 32, Kernel: 5, Activation: "prelu", Pool: 2},
		graph.Conv{Filters: 64, Kernel: 5, Activation: "prelu", Pool: 2},
		graph.Flatten{},
		graph.Linear{Units: 256, Activation: "prelu"},
		graph.Linear{Units: 256, Activation: "prelu"},
		graph.Linear{Units: 2},
	}}
}

// Residual is a small residual network (He et al. 2016) with batch norm: a convolution
// with width filters, two residual blocks with twice and two with four times as many, 2×2
// max pools after the first, third and fifth, then flattened and scaled to length 1.
func Residual(size imaging.Size, width int) Network {
	block := func(filters int, widen bool, pool int) graph.Residual {
		first := graph.Conv{Filters: filters, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu"}
		second := first
		second.Activation = ""
		r := graph.Residual{Body: []graph.Block{first, second}, Activation: "relu", Pool: pool}
		if widen {
			r.Shortcut = []graph.Block{graph.Conv{Filters: filters, Kernel: 1, NoBias: true, BatchNorm: true}}
		}
		return r
	}
	return Network{Name: "residual", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: width, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
		block(2*width, true, 0),
		block(2*width, false, 2),
		block(4*width, true, 0),
		block(4*width, false, 2),
		graph.Flatten{},
		graph.Normalize{},
	}}
}

// LeNet is a small network like that of LeCun et al. 1998: two 5×5 convolutions with half
// the width and the width as maps, each with batch norm, ReLU and a 2×2 max pool, and a
// fully connected layer to the given number of features. A 28×28 image takes about a
// million multiply-adds at a width of 32. The last layer is initialized with small
// values, N(0, 0.02²), so that initial distances are near the default margin of 1.
// Otherwise they are many times larger, and the contrastive loss needs hundreds of steps
// to reduce them.
func LeNet(size imaging.Size, width, features int) Network {
	conv := func(filters int) graph.Conv {
		return graph.Conv{Filters: filters, Kernel: 5, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2}
	}
	return Network{Name: "lenet", Size: size, Blocks: []graph.Block{
		conv(max(width/2, 1)),
		conv(width),
		graph.Flatten{},
		graph.Linear{Units: features, Weight: graph.Normal(0, 0.02)},
	}}
}
