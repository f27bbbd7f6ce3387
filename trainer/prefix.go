package trainer

import (
	"context"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// maxPrefix is the largest number of bytes that the results of a prefix may take. It is a
// constant, so that one training gives the same weights on machines of any memory.
const maxPrefix = 1 << 30

// prefix is the first blocks of a network that training does not change, and their results
// for all training images, which are computed once.
type prefix struct {
	network backbone.Network
	blocks  int   // number of them
	shape   []int // of the result for one image
	values  []float32
}

// frozenPrefix returns the longest prefix whose weights are all frozen and whose results
// are the same in every step; nil if there is none, or if its results would take too much
// memory.
func (t *Trainer) frozenPrefix() (*prefix, error) {
	network, ok := t.Model.Backbone.(backbone.Network)
	if !ok || t.Augment != nil {
		return nil, nil
	}
	frozen := func(name string) bool {
		weight := t.Model.Weights.Get(name)
		return weight != nil && weight.Frozen
	}
	var found *prefix
	weights := graph.NewZeroWeights(graph.Float32)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := network.Size
		x := b.Input("images", 1, size.Height, size.Width, size.Channels)
		for i, block := range network.Blocks {
			if !constant(block) {
				break
			}
			before := len(weights.All())
			x = b.SequenceFrom(i, network.Blocks[:i+1], x)
			all := weights.All()
			for _, weight := range all {
				if !frozen(weight.Name) {
					return graph.Outputs{"result": x}
				}
			}
			if len(all) > before { // blocks without weights alone are not worth it
				found = &prefix{network: network, blocks: i + 1, shape: x.Shape()[1:]}
			}
		}
		return graph.Outputs{"result": x}
	})
	if err != nil {
		return nil, errors.Wrap(err, "frozen layers")
	}
	if err := program.Close(); err != nil {
		return nil, err
	}
	if found == nil || found.blocks == len(network.Blocks) || float64(t.Images.Len())*float64(found.length()) > maxPrefix/4 {
		return nil, nil
	}
	return found, nil
}

// constant reports whether a block with frozen weights computes the same in training as in
// evaluation. User-defined blocks may not.
func constant(block graph.Block) bool {
	switch block := block.(type) {
	case graph.Residual:
		for _, inner := range append(append([]graph.Block{}, block.Body...), block.Shortcut...) {
			if !constant(inner) {
				return false
			}
		}
		return block.Drop == 0
	case graph.Conv, graph.Linear, graph.BatchNorm, graph.MaxPool, graph.AveragePool, graph.GlobalAveragePool, graph.GeM,
		graph.Flatten, graph.Normalize, graph.Activate, graph.LayerNorm, graph.Scale, graph.SqueezeExcite:
		return true
	}
	return false
}

// length is the number of values of one image.
func (p *prefix) length() int {
	n := 1
	for _, extent := range p.shape {
		n *= extent
	}
	return n
}

// embed adds the blocks after the prefix to the graph of a step.
func (p *prefix) embed(b *graph.Builder, tower string, count int) *graph.Node {
	return b.SequenceFrom(p.blocks, p.network.Blocks, b.Input(tower, append([]int{count}, p.shape...)...))
}

// fill writes the results for images.
func (p *prefix) fill(dst []float32, indices []int) {
	n := p.length()
	for i, index := range indices {
		copy(dst[i*n:(i+1)*n], p.values[index*n:])
	}
}

// prefixBatch is the number of images that are computed at a time.
const prefixBatch = 16

// compute computes the results for all images. It does nothing without a prefix.
func (p *prefix) compute(ctx context.Context, model *likeness.Model, images datasets.Images) error {
	if p == nil {
		return nil
	}
	size := images.ImageSize()
	program, err := graph.Build(model.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Input("images", prefixBatch, size.Height, size.Width, size.Channels)
		return graph.Outputs{"result": b.Sequence(p.network.Blocks[:p.blocks], x)}
	})
	if err != nil {
		return errors.Wrap(err, "frozen layers")
	}
	defer func() { _ = program.Close() }()
	n := p.length()
	p.values = make([]float32, images.Len()*n)
	input := make([]float32, prefixBatch*size.Len())
	indices := make([]int, prefixBatch)
	for from := 0; from < images.Len() && ctx.Err() == nil; from += prefixBatch {
		for i := range indices {
			indices[i] = min(from+i, images.Len()-1) // the last images fill the batch
		}
		if err := p.one(program, input, images, indices, model.Preprocessing); err != nil {
			return err
		}
		result, err := program.Float32s("result")
		if err != nil {
			return err
		}
		result = result[:min(prefixBatch, images.Len()-from)*n]
		for i, v := range result {
			if v-v != 0 { // NaN or infinite
				return errors.Errorf("frozen layers: their result for image %s is %v, expected finite numbers: the weights or the preprocessing are extreme", images.Source(from+i/n), v)
			}
		}
		copy(p.values[from*n:], result)
	}
	return nil
}

// one runs the program on a batch.
func (p *prefix) one(program *graph.Program, input []float32, images datasets.Images, indices []int, preprocessing imaging.Preprocessing) error {
	if err := datasets.Fill(input, images, indices, preprocessing, nil, 0, 0, "images"); err != nil {
		return err
	}
	if err := program.Set("images", input); err != nil {
		return err
	}
	return program.Run()
}
