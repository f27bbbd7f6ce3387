package works

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
)

// Embedding is a work without a loss: the embeddings of images, from bytes, in
// evaluation mode.
type Embedding struct {
	work   Work
	model  *likeness.Model
	pixels [][]uint8
}

// Embedding makes the work ready.
func (w Work) Embedding() (*Embedding, error) {
	model, err := w.model(heads.L2{}) // any would do
	return &Embedding{w, model, w.pixels()}, err
}

// Do embeds all images. The cost is zero.
func (e *Embedding) Do() (cost float64, err error) {
	_, err = e.model.EmbedPixels(e.pixels)
	return 0, err
}

// Close does nothing.
func (e *Embedding) Close() error { return nil }
