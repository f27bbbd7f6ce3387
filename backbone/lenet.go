package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// LeNet is a small network in the manner of LeCun et al. 1998: two 5×5
// convolutions with half the width and the width as maps, each with batch
// norm, ReLU and a 2×2 max pool, and a fully connected layer to the given
// number of features. A 28×28 image costs about a million multiply-adds at a
// width of 32. The last layer begins small, N(0, 0.02²), so that distances
// begin near the usual margin of 1 and not at many times it, from where the
// contrastive loss spends its first hundreds of steps shrinking them.
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
