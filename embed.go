package likeness

import (
	"image"
	"sync"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Embed gives one embedding for each image, in order. It does not depend on the
// other images, but for rounding: layers add up otherwise for one image than for
// many.
func (m *Model) Embed(images ...image.Image) ([][]float32, error) {
	pixels := make([][]uint8, len(images))
	for i, img := range images {
		if img == nil || img.Bounds().Empty() {
			return nil, errors.Errorf("embed: image %d has no pixels", i)
		}
		if bounds := img.Bounds(); bounds.Dx() > imaging.MaxPixels/bounds.Dy() {
			return nil, errors.Errorf("embed: image %d has %d×%d pixels, at most %d are taken", i, bounds.Dx(), bounds.Dy(), imaging.MaxPixels)
		}
		pixels[i] = m.Preprocessing.Pixels(img)
	}
	return m.EmbedPixels(pixels)
}

// EmbedPixels is Embed for images that are prepared but for their
// normalisation: (height, width, channels) bytes each, as Preprocessing.Pixels
// and the data sets of package datasets give them.
func (m *Model) EmbedPixels(pixels [][]uint8) ([][]float32, error) {
	size := m.Preprocessing.Size.Len()
	for i, p := range pixels {
		if len(p) != size {
			return nil, errors.Errorf("embed: image %d has %d values, expected %d for %v", i, len(p), size, m.Preprocessing.Size)
		}
	}
	embeddings := make([][]float32, 0, len(pixels))
	for len(pixels) > 0 {
		batch := batchFor(len(pixels))
		take := min(batch, len(pixels))
		rows, err := m.embedBatch(pixels[:take], batch)
		if err != nil {
			return nil, errors.Wrap(err, "embed")
		}
		embeddings = append(embeddings, rows...)
		pixels = pixels[take:]
	}
	return embeddings, nil
}

// batchFor is the batch size to embed n images with. A graph has one batch
// size; a few sizes keep the programs few and the padding small.
func batchFor(n int) int {
	switch {
	case n == 1:
		return 1
	case n <= 8:
		return 8
	}
	return 64
}

// embedBatch embeds up to batch images; missing ones are zeros, which change
// nothing because the images of an evaluation graph do not see each other.
func (m *Model) embedBatch(pixels [][]uint8, batch int) ([][]float32, error) {
	program, err := m.programs.borrow(m, batch)
	if err != nil {
		return nil, err
	}
	defer m.programs.giveBack(batch, program)
	size := m.Preprocessing.Size.Len()
	inputs := make([]float32, batch*size)
	for i, p := range pixels {
		m.Preprocessing.Normalize(inputs[i*size:(i+1)*size], p)
	}
	if err := program.Set("images", inputs); err != nil {
		return nil, err
	}
	if err := program.Run(); err != nil {
		return nil, err
	}
	values, err := program.Float32s("embeddings")
	if err != nil {
		return nil, err
	}
	features := len(values) / batch
	rows := make([][]float32, len(pixels))
	for i := range rows {
		rows[i] = values[i*features : (i+1)*features : (i+1)*features]
	}
	return rows, nil
}

// programs lends each caller an evaluation graph of its own: one program is
// not safe for two goroutines. All bind the model's weights.
type programs struct {
	mutex sync.Mutex
	idle  map[int][]*graph.Program // by batch size
}

func (p *programs) borrow(m *Model, batch int) (*graph.Program, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if idle := p.idle[batch]; len(idle) > 0 {
		p.idle[batch] = idle[:len(idle)-1]
		return idle[len(idle)-1], nil
	}
	return graph.Build(m.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": m.embed(b, batch)}
	})
}

func (p *programs) giveBack(batch int, program *graph.Program) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.idle == nil {
		p.idle = map[int][]*graph.Program{}
	}
	p.idle[batch] = append(p.idle[batch], program)
}
