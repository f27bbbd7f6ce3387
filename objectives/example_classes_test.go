package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// proxySoftmax has one trainable vector for each class, its proxy, and classifies
// an image by the softmax of its distances from them. Source: Teh, DeVries &
// Taylor 2020, "ProxyNCA++", equation 5.
type proxySoftmax struct {
	Temperature float64
}

func (proxySoftmax) Name() string                  { return "proxy-softmax" }
func (proxySoftmax) Kind() datasets.Kind           { return datasets.Labeled }
func (l proxySoftmax) Check(head heads.Head) error { return l.softmax().Check(head) }
func (l proxySoftmax) softmax() objectives.NCA     { return objectives.NCA{Temperature: l.Temperature} }

func (l proxySoftmax) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	features := batch.Embeddings[0].Shape()[1]
	batch.References = &objectives.References{
		Embeddings: batch.Weight(b, "proxies", graph.Kernel, graph.Normal(0, 1), batch.Classes, features),
		Labels:     batch.ClassLabels(b),
	}
	return l.softmax().Cost(b, batch)
}

// A loss of your own with class vectors: each image is compared with one trainable
// vector for each class instead of with the other images. The weight is named
// "loss.proxies"; checkpoints hold it, and a saved model does not.
func ExampleBatch_Weight() {
	fmt.Printf("%.4f\n", costOf(proxySoftmax{Temperature: 1}, heads.SquaredL2{}, []float32{0, 1, 3}, []float32{0, 1, 1}))
	// Output: 5.0465
}
