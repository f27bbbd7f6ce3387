package backbone

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// Conv4 is the usual small network of few-shot learning (Vinyals et al. 2016):
// four 3×3 convolutions of the given width, each followed by batch norm if
// wanted, ReLU and a 2×2 max pool, then flattened. 28×28 pixels give as many
// features as the width.
func Conv4(size imaging.Size, width int, batchNorm bool) Network {
	block := graph.Conv{Filters: width, Kernel: 3, Padding: 1, NoBias: batchNorm, BatchNorm: batchNorm, Activation: "relu", Pool: 2}
	return Network{Name: "conv4", Size: size, Blocks: []graph.Block{block, block, block, block, graph.Flatten{}}}
}

// Conv7 is seven 3×3 convolutions, each with batch norm and ReLU: one of the
// given width, three of twice and three of four times the width, with 2×2 max
// pools after the first, fourth and seventh, then flattened. 28×28 pixels give 36
// times the width as features. Of equal cost it tells classes apart that it has
// not seen better than Conv4, whose last map is one pixel.
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

// Digits is a small network whose embeddings have two dimensions and can be
// drawn: convolutions of 5×5 with 32 and 64 maps, each with PReLU and a 2×2
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

// Residual is a small residual network (He et al. 2016) with batch norm: a
// convolution of the given width, two residual blocks of twice the width and
// two of four times, 2×2 max pools after the first, third and fifth, then
// flattened and scaled to length 1.
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
