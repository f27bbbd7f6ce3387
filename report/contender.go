package report

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// contender is a way to measure how alike images are.
type contender interface {
	embed(*datasets.Dataset) (evaluate.Embeddings, error)
	metric() (evaluate.Metric, error)
}

// network is a model, trained or not.
type network struct {
	*likeness.Model
	embedded func(images int) // nil, or told how many more are done
}

func (n network) metric() (evaluate.Metric, error) {
	if n.Model == nil {
		return nil, errors.New("there is no model")
	}
	return n.Metric()
}

func (n network) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	return n.Model.EmbedAll(d.Images, n.embedded)
}

// rawPixels compares images as they are, by the Euclidean distance between their
// bytes: whole numbers, so that equal distances are equal to the bit.
type rawPixels struct{ embedded func(images int) }

func (rawPixels) metric() (evaluate.Metric, error) { return evaluate.Euclidean{}, nil }

func (r rawPixels) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	data := make([]float32, 0, d.Len()*d.Size.Len())
	for _, image := range d.Images {
		for _, v := range image {
			data = append(data, float32(v))
		}
	}
	if r.embedded != nil {
		r.embedded(d.Len())
	}
	return evaluate.NewEmbeddings(d.Len(), d.Size.Len(), data)
}
