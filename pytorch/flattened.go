package pytorch

import (
	"strconv"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// flattened is the size (channels, height, width) of the images that were
// flattened before the fully connected layer of the named weight.
func flattened(model *likeness.Model, name string) ([3]int, error) {
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return [3]int{}, errors.Errorf("the backbone is of type %T: only in a list of blocks can be seen what was flattened", model.Backbone)
	}
	flatten, linear := -1, 0 // the last flatten block, and the number of linear ones
	for i, block := range network.Blocks {
		switch block.(type) {
		case graph.Flatten:
			flatten = i
		case graph.Linear:
			linear++
			if name == "linear"+strconv.Itoa(linear)+".weight" && flatten >= 0 {
				return sizeBefore(network, model.Weights, flatten)
			}
			flatten = -1
		}
	}
	return [3]int{}, errors.New("no flatten block comes directly before the layer")
}

// sizeBefore is the size of the images that a block takes.
func sizeBefore(network backbone.Network, weights *graph.Weights, block int) (size [3]int, err error) {
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		images := b.Sequence(network.Blocks[:block], b.Input("images", 1, network.Size.Height, network.Size.Width, network.Size.Channels))
		shape := images.Shape()
		size = [3]int{shape[3], shape[1], shape[2]}
		return graph.Outputs{"images": images}
	})
	if err != nil {
		return size, err
	}
	return size, program.Close()
}
