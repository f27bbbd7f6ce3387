package likeness

import (
	"context"
	"fmt"
	"image"
	"runtime"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Embed returns the embedding of each image, in order. An embedding does not depend on
// the other images except for rounding, because layers add up in another order for one
// image than for many; that of a quantized model does not depend on them at all.
func (m *Model) Embed(images ...image.Image) (embeddings [][]float32, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			embeddings, err = nil, errors.Wrap(err, "embed")
		}
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	pixels := make([][]uint8, len(images))
	for i, img := range images {
		if pixels[i], err = m.Preprocessing.Prepare(img); err != nil {
			return nil, fmt.Errorf("image %d %w", i, err)
		}
	}
	return m.embedPixels(pixels)
}

// EmbedPixels is Embed for preprocessed images that are not yet normalized: (height,
// width, channels) bytes each, as Preprocessing.Pixels and the data sets of package
// datasets provide them.
func (m *Model) EmbedPixels(pixels [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			embeddings, err = nil, errors.Wrap(err, "embed")
		}
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	return m.embedPixels(pixels)
}

// BatchSizes returns, for each of n images, the size of the batch in which EmbedPixels embeds
// it among them. Layers may add up in another order in a batch of one image than in a larger
// one, so that the size determines the last bits of an embedding. It is nil for a model that
// is not valid, and for n below 1.
func (m *Model) BatchSizes(n int) []int {
	if guard(m.check) != nil || n < 1 {
		return nil
	}
	length := m.Preprocessing.Size.Len()
	sizes := make([]int, 0, n)
	for len(sizes) < n {
		batch := batchFor(n-len(sizes), length)
		for range min(batch, n-len(sizes)) {
			sizes = append(sizes, batch)
		}
	}
	return sizes
}

// EmbedBatches is EmbedPixels in batches of one size, which must be one of BatchSizes, so that
// an image has, bit for bit, the embedding that it has there. A batch that is not full takes
// as long as a full one.
func (m *Model) EmbedBatches(batch int, pixels [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			embeddings, err = nil, errors.Wrap(err, "embed")
		}
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	if sizes := batchSizes(m.Preprocessing.Size.Len()); !slices.Contains(sizes, batch) {
		return nil, errors.Errorf("found batches of %d images, expected one of the sizes %v", batch, sizes)
	}
	return m.embedIn(pixels, func(int) int { return batch })
}

// Images is a sequence of preprocessed images that need not be in memory. Every
// datasets.Images implements it, and so does Pixels.
type Images interface {
	// Len is the number of images.
	Len() int
	// Read writes image i to pixels: (height, width, channels), 0 to 255. It may be
	// called by several goroutines at once and keeps no reference to pixels.
	Read(i int, pixels []uint8) error
}

// Pixels are prepared images in memory, as EmbedPixels takes them.
type Pixels [][]uint8

// Len is the number of images.
func (p Pixels) Len() int { return len(p) }

// Read copies image i.
func (p Pixels) Read(i int, pixels []uint8) error {
	if i < 0 || i >= len(p) {
		return errors.Errorf("found the index %d, expected 0 to %d", i, len(p)-1)
	}
	if len(p[i]) != len(pixels) {
		return errors.Errorf("found %d values, expected %d", len(p[i]), len(pixels))
	}
	copy(pixels, p[i])
	return nil
}

// EmbedAll is EmbedPixels for many images, which are read in parallel while earlier ones
// are embedded. It returns the embeddings as one array. If progress is not nil, it is
// called with the number of images embedded since the last call.
func (m *Model) EmbedAll(images Images, progress func(images int)) (evaluate.Embeddings, error) {
	if err := guard(m.check); err != nil {
		return evaluate.Embeddings{}, errors.Wrap(err, "embed")
	}
	if images == nil {
		return evaluate.Embeddings{}, errors.New("embed: found no images, expected a datasets.Images or Pixels")
	}
	count := 0
	if err := guard(func() error { count = images.Len(); return nil }); err != nil {
		return evaluate.Embeddings{}, errors.Wrap(err, "embed")
	}
	stop := make(chan struct{})
	portions := m.readPortions(images, count, stop)
	defer func() {
		close(stop)
		for range portions { // until the reader has ended
		}
	}()
	rows := make([][]float32, 0, count)
	for portion := range portions {
		if portion.err != nil {
			return evaluate.Embeddings{}, errors.WithMessage(portion.err, "embed")
		}
		embeddings, err := m.EmbedPixels(portion.pixels)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		rows = append(rows, embeddings...)
		if progress != nil {
			progress(len(embeddings))
		}
	}
	return evaluate.FromRows(rows)
}

// portion is images that were read, or why they were not.
type portion struct {
	pixels [][]uint8
	err    error
}

// readPortions reads the images in order, one portion ahead of the caller. Portions
// are multiples of the largest batch, so that images share a batch as they do in one
// call of EmbedPixels.
func (m *Model) readPortions(images Images, count int, stop <-chan struct{}) <-chan portion {
	const maxMemory = 16 << 20 // of a portion
	length := m.Preprocessing.Size.Len()
	sizes := batchSizes(length)
	largest := sizes[len(sizes)-1]
	size := largest * min(16, max(1, maxMemory/(largest*length)))
	portions := make(chan portion)
	go func() {
		defer close(portions)
		for first := 0; first < count; first += size {
			next := portion{pixels: make([][]uint8, min(size, count-first))}
			memory := make([]uint8, len(next.pixels)*length)
			for i := range next.pixels {
				next.pixels[i] = memory[i*length:][:length:length]
			}
			next.err = readAll(images, first, next.pixels)
			select {
			case portions <- next:
			case <-stop:
				return
			}
			if next.err != nil {
				return
			}
		}
	}()
	return portions
}

// readAll reads consecutive images in parallel and returns the error of the first
// one that cannot be read.
func readAll(images Images, first int, pixels [][]uint8) error {
	return parallel.Each(context.Background(), parallel.MaxOpenFiles, len(pixels), func(i int) error {
		return errors.WithMessagef(images.Read(first+i, pixels[i]), "image %d", first+i)
	})
}

// guard turns a panic of user-defined code into an error.
func guard(call func() error) (err error) {
	defer func() { caught(recover(), &err) }()
	return call()
}

// quantizedBatch is the number of images for which a network in integers reads the weights of its fully
// connected layers once. Their embeddings do not depend on it.
const quantizedBatch = 64

func (m *Model) embedPixels(pixels [][]uint8) ([][]float32, error) {
	if m.Quantized != nil {
		return m.embedIn(pixels, func(int) int { return quantizedBatch })
	}
	length := m.Preprocessing.Size.Len()
	return m.embedIn(pixels, func(left int) int { return batchFor(left, length) })
}

// embedIn embeds images in batches of the sizes that batchOf returns for the number of images
// that are left.
func (m *Model) embedIn(pixels [][]uint8, batchOf func(left int) int) ([][]float32, error) {
	size := m.Preprocessing.Size.Len()
	for i, p := range pixels {
		if len(p) != size {
			return nil, errors.Errorf("image %d has %d values, expected %d for %v", i, len(p), size, m.Preprocessing.Size)
		}
	}
	embeddings := make([][]float32, 0, len(pixels))
	for len(pixels) > 0 {
		batch := batchOf(len(pixels))
		take := min(batch, len(pixels))
		rows, err := m.embedBatch(pixels[:take], batch)
		if err != nil {
			return nil, err
		}
		embeddings = append(embeddings, rows...)
		pixels = pixels[take:]
	}
	return embeddings, nil
}

// batchSizes are those that a model for images of so many values has programs for, in
// ascending order. A graph has one batch size. The activations of a network for photographs
// take tens of megabytes for each image, and eight such images occupy all processors.
func batchSizes(length int) []int {
	const small = 128 * 128 * 3
	if length > small {
		return []int{1, 8}
	}
	return []int{1, 8, 64}
}

// batchFor returns the batch size for the first of n images of so many values: the smallest that holds all
// of them, if they fill more than half of it, or else the largest that they fill. So nine
// images are a batch of eight and one of one, and less than half of what is computed is
// padding.
func batchFor(n, length int) int {
	sizes := batchSizes(length)
	larger, exact := slices.BinarySearch(sizes, n)
	if exact || larger < len(sizes) && 2*n > sizes[larger] {
		return sizes[larger]
	}
	return sizes[larger-1]
}

// embedBatch embeds up to batch images; missing ones are zeros, which change
// nothing because the images of an evaluation graph do not see each other.
func (m *Model) embedBatch(pixels [][]uint8, batch int) ([][]float32, error) {
	if m.Quantized != nil {
		return m.Quantized.Embed(pixels) // an embedding does not depend on the batch
	}
	program, err := m.programs.borrow(m, batch)
	if err != nil {
		return nil, err
	}
	defer m.programs.giveBack(batch, program)
	if err := program.Fill("images", func(values []float32) { m.normalize(values, pixels) }); err != nil {
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

// normalize writes the normalized pixels of images to the first values, and zeros to the others.
func (m *Model) normalize(values []float32, pixels [][]uint8) {
	parts := max(1, 4/max(1, len(pixels))) // of an image, so that a single one is divided over the processors
	size := m.Preprocessing.Size
	clear(values[len(pixels)*size.Len():])
	parallel.For(parts*len(pixels), func(i int) {
		image, part := i/parts, i%parts
		first := part * size.Height / parts * size.Width * size.Channels
		last := (part + 1) * size.Height / parts * size.Width * size.Channels
		m.Preprocessing.Normalize(values[image*size.Len():][first:last], pixels[image][first:last])
	})
}

// Close frees the graphs that the model keeps between calls of its methods. Calling it is
// optional, since the garbage collector frees them with the model. A model may be used
// after Close and then builds its graphs again.
func (m *Model) Close() error {
	if m == nil {
		return nil
	}
	if err := m.Quantized.Close(); err != nil {
		return errors.Wrap(err, "close model")
	}
	return errors.Wrap(m.programs.close(), "close model")
}

// programs lends each caller a separate evaluation graph: one program is not safe for two
// goroutines. All bind the model's weights. There are only so many of each batch size as
// keep the processors at work; who comes when all are lent waits.
type programs struct {
	mutex sync.Mutex
	pools map[int]*pool // by batch size
}

// pool is the programs of one batch size.
type pool struct {
	lent chan struct{}    // has an element for each program that is lent
	idle []*graph.Program // under the mutex of programs
}

// programsFor is how many programs of a batch size there may be. The images of a
// batch are divided over the processors, so that one large batch occupies them
// all; a second one is prepared meanwhile.
func programsFor(batch int) int { return max(2, runtime.GOMAXPROCS(0)/batch) }

// of is the pool of a batch size.
func (p *programs) of(batch int) *pool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.pools == nil {
		p.pools = map[int]*pool{}
	}
	if p.pools[batch] == nil {
		p.pools[batch] = &pool{lent: make(chan struct{}, programsFor(batch))}
	}
	return p.pools[batch]
}

// borrow waits for a program and builds it if there is none. The mutex is not held
// meanwhile, so that those that are built are lent.
func (p *programs) borrow(m *Model, batch int) (*graph.Program, error) {
	pool := p.of(batch)
	pool.lent <- struct{}{}
	if program := p.take(pool, m.Weights); program != nil {
		return program, nil
	}
	program, err := graph.Build(m.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": m.embed(b, batch)}
	})
	if err != nil {
		<-pool.lent
	}
	return program, err
}

// take returns an idle program, nil if there is none. Those of weights that the
// model no longer has are dropped.
func (p *programs) take(pool *pool, weights *graph.Weights) *graph.Program {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for len(pool.idle) > 0 {
		last := len(pool.idle) - 1
		program := pool.idle[last]
		pool.idle = slices.Delete(pool.idle, last, last+1)
		if program.Weights() == weights {
			return program
		}
		_ = program.Close() // an evaluation graph has nothing to lose
	}
	return nil
}

func (p *programs) giveBack(batch int, program *graph.Program) {
	pool := p.of(batch)
	p.mutex.Lock()
	pool.idle = append(pool.idle, program)
	p.mutex.Unlock()
	<-pool.lent
}

// close drops the idle programs.
func (p *programs) close() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var first error
	for _, pool := range p.pools {
		for _, program := range pool.idle {
			if err := program.Close(); err != nil && first == nil {
				first = err
			}
		}
		pool.idle = nil
	}
	return first
}
