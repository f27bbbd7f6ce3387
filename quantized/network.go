package quantized

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/integer"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Network is a network in integers, made by Quantize or New. It does not change, and its methods
// are safe for concurrent use.
type Network struct {
	plan  *plan
	steps []step
	// The first steps compute images, a few at a time, so that these stay in caches; those from tail
	// on compute vectors, of all images at once, because they read many weights for each.
	tail    int
	keep    []bool // the values that steps of the tail read or write
	buffers buffers
	images  int // that a thread computes at a time

	mutex   sync.Mutex
	idle    []*memory // for the first steps
	release func()    // of the scratch memory and the threads that package integer keeps; nil before the first use
}

// Parameter is an array of numbers of a network.
type Parameter struct {
	Name  string
	Shape []int
	Data  any // []int8, []uint8, []int32, []int64, []float32 or []float64
}

// network completes a plan whose steps are prepared.
func (p *plan) network() (*Network, error) {
	steps, err := p.combined()
	if err != nil {
		return nil, err
	}
	n := &Network{plan: p, steps: steps, tail: len(steps), keep: make([]bool, len(p.values))}
	for n.tail > 1 {
		s := steps[n.tail-1].at()
		vectors := s.out < 0 || p.values[s.out].isVector()
		for _, x := range s.in {
			vectors = vectors && p.values[x].isVector()
		}
		if !vectors {
			break
		}
		n.tail--
	}
	for _, s := range steps[n.tail:] {
		for _, x := range append(slices.Clone(s.at().in), s.at().out) {
			if x >= 0 {
				n.keep[x] = true
			}
		}
	}
	n.buffers = p.assign(steps[:n.tail], n.keep)
	n.images = imagesOf(n.buffers, steps[:n.tail])
	return n, nil
}

// buffers are the arrays of the values of images: values that are not needed at the same time share
// one, so that an image takes little memory.
type buffers struct {
	of    []int // the buffer of each value; -1 for none
	sizes []int // in elements of an image
	kinds []kind
}

// groupBytes is about the size of the values that a thread computes at a time, which stay in its level
// 2 cache. Of networks whose weights are much larger than the values of an image, a thread computes up to
// mostShared images at a time, which share the weights that it reads from memory.
const (
	groupBytes = 512 << 10
	mostShared = 4
)

// imagesOf returns the number of images that a thread computes at a time.
func imagesOf(b buffers, steps []step) int {
	weights := 0
	for _, s := range steps {
		if c, ok := s.(*convStep); ok {
			weights += len(c.weight)
		}
	}
	const muchLarger = 4
	return max(1, groupBytes/b.bytes(), min(mostShared, weights/(muchLarger*b.bytes())))
}

// bytes is the size of the buffers of an image.
func (b buffers) bytes() int {
	size := 1
	for _, elements := range b.sizes {
		size += elements
	}
	return size
}

// assign assigns buffers to the results of steps, except those that are kept.
func (p *plan) assign(steps []step, keep []bool) buffers {
	b := buffers{of: make([]int, len(p.values))}
	last := make([]int, len(p.values)) // the last step that reads each value
	for i := range b.of {
		b.of[i] = -1
	}
	for i, s := range steps {
		for _, x := range s.at().in {
			last[x] = i
		}
	}
	var free []int
	for i, s := range steps {
		out := s.at().out
		v := p.values[out]
		if !keep[out] {
			at := slices.IndexFunc(free, func(f int) bool { return b.kinds[f] == v.kind })
			if at < 0 {
				b.of[out] = len(b.sizes)
				b.sizes, b.kinds = append(b.sizes, v.len()), append(b.kinds, v.kind)
			} else {
				b.of[out] = free[at]
				b.sizes[free[at]] = max(b.sizes[free[at]], v.len())
				free = slices.Delete(free, at, at+1)
			}
		}
		for _, x := range slices.Compact(slices.Sorted(slices.Values(s.at().in))) {
			if last[x] == i && b.of[x] >= 0 {
				free = append(free, b.of[x])
			}
		}
	}
	return b
}

// newMemory is memory for some images, for the values that are chosen: without buffers of their own,
// or in the given ones.
func (n *Network) newMemory(images int, chosen func(i int) bool, shared *buffers) *memory {
	values := len(n.plan.values)
	m := &memory{images: images, bytes: make([][]uint8, values), words: make([][]uint16, values), sums: make([][]int64, values)}
	var bytesOf [][]uint8
	if shared != nil {
		for i, size := range shared.sizes {
			bytesOf = append(bytesOf, nil)
			if shared.kinds[i] == bytes {
				bytesOf[i] = make([]uint8, images*size)
			}
		}
	}
	for i, v := range n.plan.values {
		if !chosen(i) {
			continue
		}
		switch {
		case v.kind == bytes && shared != nil:
			m.bytes[i] = bytesOf[shared.of[i]][:images*v.len()]
		case v.kind == bytes:
			m.bytes[i] = make([]uint8, images*v.len())
		case v.kind == words:
			m.words[i] = make([]uint16, images*v.len())
		default:
			m.sums[i] = make([]int64, images*v.len())
		}
	}
	return m
}

// Features is the number of features of an embedding.
func (n *Network) Features() int {
	if n == nil || n.plan == nil {
		return 0
	}
	return n.plan.values[n.plan.steps[len(n.plan.steps)-1].at().in[0]].channels
}

// Embed returns the embedding of each image, (height, width, channels) bytes as
// imaging.Preprocessing.Pixels returns them. An embedding is the same, bit for bit, whatever the
// other images, the number of threads and the instructions of the processor are.
func (n *Network) Embed(images [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			embeddings, err = nil, errors.New(guard.Text(r))
		}
		err = errors.Wrap(err, "embed in integers")
	}()
	if n == nil || n.plan == nil {
		return nil, errors.New("found no network, expected one of Quantize or New")
	}
	for i, image := range images {
		if len(image) != n.plan.size.Len() {
			return nil, errors.Errorf("image %d has %d values, expected %d for %v", i, len(image), n.plan.size.Len(), n.plan.size)
		}
	}
	if len(images) == 0 {
		return [][]float32{}, nil
	}
	// Threads divide the images of a group, and the rows of one image. Of small images several are
	// computed at a time.
	group := min(parallel.Threads()*n.images, len(images))
	tail := n.newMemory(len(images), func(i int) bool { return n.keep[i] }, nil)
	tail.pixels = images
	for from := 0; from < len(images); from += group {
		n.first(tail, from, min(group, len(images)-from))
	}
	for _, s := range n.steps[n.tail:] {
		s.run(n.plan, tail)
	}
	return tail.result, nil
}

// first runs the steps that compute images, for some images from an index on, and writes what the
// others need to the memory of the tail.
func (n *Network) first(tail *memory, from, images int) {
	m := n.borrow(images)
	defer n.giveBack(m)
	m.pixels = tail.pixels[from : from+images]
	for i, v := range n.plan.values {
		if !n.keep[i] {
			continue
		}
		switch size := v.len(); v.kind {
		case bytes:
			m.bytes[i] = tail.bytes[i][from*size:][:images*size]
		case words:
			m.words[i] = tail.words[i][from*size:][:images*size]
		default:
			m.sums[i] = tail.sums[i][from*size:][:images*size]
		}
	}
	for _, s := range n.steps[:n.tail] {
		s.run(n.plan, m)
	}
}

// borrow returns memory for the first steps.
func (n *Network) borrow(images int) *memory {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.release == nil {
		n.release = integer.Retain()
		runtime.AddCleanup(n, func(release func()) { release() }, n.release)
	}
	if at := slices.IndexFunc(n.idle, func(m *memory) bool { return m.images == images }); at >= 0 {
		m := n.idle[at]
		n.idle = slices.Delete(n.idle, at, at+1)
		return m
	}
	return n.newMemory(images, func(i int) bool { return n.buffers.of[i] >= 0 }, &n.buffers)
}

// maxIdle limits the memory that is kept between calls.
const maxIdle = 4

func (n *Network) giveBack(m *memory) {
	m.pixels = nil
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if len(n.idle) == maxIdle {
		n.idle = slices.Delete(n.idle, 0, 1)
	}
	n.idle = append(n.idle, m)
}

// Close releases the memory and, if no other network or program of the process has them, the threads
// that a network keeps between calls. Calling it is optional, since the garbage collector does so with
// the network. A network may be used after Close and then keeps them again.
func (n *Network) Close() error {
	if n == nil {
		return nil
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.idle = nil
	if n.release != nil {
		n.release()
		n.release = nil
	}
	return nil
}

// Parameters returns the arrays of the network, which must not be changed. With the network of
// blocks, they are all of it: New makes the same network of them.
func (n *Network) Parameters() []Parameter {
	if n == nil || n.plan == nil {
		return nil
	}
	var all []Parameter
	for _, s := range n.plan.steps {
		for _, f := range s.fields(n.plan) {
			p := Parameter{Name: f.name, Shape: f.shape}
			switch data := f.data.(type) {
			case *[]int8:
				p.Data = *data
			case *[]uint8:
				p.Data = *data
			case *[]int32:
				p.Data = *data
			case *[]int64:
				p.Data = *data
			case *[]float32:
				p.Data = *data
			case *[]float64:
				p.Data = *data
			}
			all = append(all, p)
		}
	}
	return all
}

// New makes the network of blocks from the arrays of Parameters. An array that is missing, has
// another shape or type or a number outside its range, and one that the network does not have, are
// errors.
func New(network backbone.Network, parameters []Parameter) (*Network, error) {
	n, err := newNetwork(network, parameters)
	return n, errors.Wrap(err, "integer network")
}

func newNetwork(network backbone.Network, parameters []Parameter) (*Network, error) {
	p, err := newPlan(network)
	if err != nil {
		return nil, err
	}
	given := map[string]Parameter{}
	for _, parameter := range parameters {
		if _, twice := given[parameter.Name]; twice {
			return nil, errors.Errorf("array %q is given twice", parameter.Name)
		}
		given[parameter.Name] = parameter
	}
	for _, s := range p.steps {
		for _, f := range s.fields(p) {
			parameter, found := given[f.name]
			if !found {
				return nil, errors.Errorf("array %q is missing", f.name)
			}
			delete(given, f.name)
			if !slices.Equal(parameter.Shape, f.shape) {
				return nil, errors.Errorf("array %q: found the shape %v, expected %v", f.name, parameter.Shape, f.shape)
			}
			if err := f.set(parameter.Data); err != nil {
				return nil, err
			}
		}
		if err := s.prepare(p); err != nil {
			return nil, errors.WithMessagef(err, "block %s", s.at().name)
		}
	}
	for name := range given {
		return nil, errors.Errorf("array %q is not part of the network", name)
	}
	return p.network()
}

// set sets the parameters of a field.
func (f field) set(data any) error {
	elements := 1
	for _, extent := range f.shape {
		elements *= extent
	}
	var ok bool
	switch to := f.data.(type) {
	case *[]int8:
		ok = assign(to, data, elements)
	case *[]uint8:
		ok = assign(to, data, elements)
	case *[]int32:
		ok = assign(to, data, elements)
	case *[]int64:
		ok = assign(to, data, elements)
	case *[]float32:
		ok = assign(to, data, elements)
	case *[]float64:
		ok = assign(to, data, elements)
	}
	if !ok {
		return errors.Errorf("array %q: found %T, expected %d elements of the type %T", f.name, data, elements, f.data)
	}
	return nil
}

func assign[T any](to *[]T, data any, elements int) bool {
	values, ok := data.([]T)
	*to = values
	return ok && len(values) == elements
}

// Size is the size of the images.
func (n *Network) Size() imaging.Size {
	if n == nil || n.plan == nil {
		return imaging.Size{}
	}
	return n.plan.size
}

// Bytes is the size of the arrays of Parameters in a file.
func (n *Network) Bytes() (size int64) {
	for _, p := range n.Parameters() {
		size += int64(binary.Size(p.Data))
	}
	return size
}
