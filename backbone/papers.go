package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// Hadsell is the network of Hadsell, Chopra & LeCun 2006, §4.1, for MNIST: 15
// maps of 6×6, a trainable 3×3 subsampling, 30 maps of 9×9, and a fully
// connected layer to the given number of features, 2 in the paper. It works on
// 32×32 pixels, which the first convolution makes of 28×28 by two rows and
// columns of zeros on each side. The paper does not name its squashing
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
// grey pixels to 4,096 sigmoid units, 38,947,648 parameters. Initial values
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

// embedding is how the last convolution of Hoffer & Ailon's networks begins:
// small, so that distances begin at about 1. From He's values they begin
// several times as far apart, where the softmax ratio has hardly a gradient
// left for the triplets that it gets wrong. The paper names no initial values.
var embedding = graph.Normal(0, 0.01)

// HofferMNIST is the network of Hoffer & Ailon 2015 for MNIST: filters of 5, 3
// and 3, maps 32, 64 and 128, each followed by ReLU and a 2×2 max pool, down
// to one pixel of 128 features. Dropout of 0.25 after each pool is that of the
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

// HofferCIFAR is the network of Hoffer & Ailon 2015 for 32×32 colour images:
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
