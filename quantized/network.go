package quantized

import (
	"encoding/binary"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Network is a network in integers, made by Quantize or New. It does not change, and its methods
// are safe for concurrent use.
type Network struct {
	plan *plan
	// The first steps compute images, each by itself; those from tail on compute vectors, of all images
	// at once, because they read many weights for each.
	tail    int
	keep    []bool // the values that steps of the tail read or write
	pool    chan *memory
	buffers buffers
}

// Parameter is an array of numbers of a network.
type Parameter struct {
	Name  string
	Shape []int
	Data  any // []int8, []uint8, []int32, []int64, []float32 or []float64
}

// network completes a plan whose steps are prepared.
func (p *plan) network() *Network {
	n := &Network{plan: p, tail: len(p.steps), keep: make([]bool, len(p.values))}
	for n.tail > 1 {
		s := p.steps[n.tail-1].at()
		vectors := s.out < 0 || p.values[s.out].isVector()
		for _, x := range s.in {
			vectors = vectors && p.values[x].isVector()
		}
		if !vectors {
			break
		}
		n.tail--
	}
	for _, s := range p.steps[n.tail:] {
		for _, x := range append(slices.Clone(s.at().in), s.at().out) {
			if x >= 0 {
				n.keep[x] = true
			}
		}
	}
	n.buffers = p.assign(n.tail, n.keep)
	n.pool = make(chan *memory, 64)
	return n
}

// buffers are the arrays of the values of images: arrays of values that are not needed at the same
// time are shared, so that one image takes little memory, which stays in caches.
type buffers struct {
	of    []int // the buffer of each value; -1 for none
	sizes []int // in elements
	kinds []kind
}

// assign assigns buffers to the values of the first steps. Values that are kept have their own.
func (p *plan) assign(tail int, keep []bool) buffers {
	b := buffers{of: make([]int, len(p.values))}
	last := make([]int, len(p.values)) // the last step that reads each value
	for i := range b.of {
		b.of[i] = -1
	}
	for i, s := range p.steps[:tail] {
		for _, x := range s.at().in {
			last[x] = i
		}
	}
	var free []int
	for i, s := range p.steps[:tail] {
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

// newMemory is memory for the values of the first steps.
func (n *Network) newMemory() *memory {
	m := n.emptyMemory()
	bytesOf, wordsOf, sumsOf := make([][]uint8, len(n.buffers.sizes)), make([][]uint16, len(n.buffers.sizes)), make([][]int64, len(n.buffers.sizes))
	for i, size := range n.buffers.sizes {
		switch n.buffers.kinds[i] {
		case bytes:
			bytesOf[i] = make([]uint8, size)
		case words:
			wordsOf[i] = make([]uint16, size)
		default:
			sumsOf[i] = make([]int64, size)
		}
	}
	for i, b := range n.buffers.of {
		if b < 0 {
			continue
		}
		switch v := n.plan.values[i]; v.kind {
		case bytes:
			m.bytes[i] = bytesOf[b][:v.len()]
		case words:
			m.words[i] = wordsOf[b][:v.len()]
		default:
			m.sums[i] = sumsOf[b][:v.len()]
		}
	}
	return m
}

func (n *Network) emptyMemory() *memory {
	values := len(n.plan.values)
	return &memory{bytes: make([][]uint8, values), words: make([][]uint16, values), sums: make([][]int64, values)}
}

// kept is memory for the values that the tail reads or writes.
func (n *Network) kept() *memory {
	m := n.emptyMemory()
	for i, v := range n.plan.values {
		if !n.keep[i] {
			continue
		}
		switch v.kind {
		case bytes:
			m.bytes[i] = make([]uint8, v.len())
		case words:
			m.words[i] = make([]uint16, v.len())
		default:
			m.sums[i] = make([]int64, v.len())
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
	tails := make([]*memory, len(images))
	// Many images are divided among the threads, and few by rows within each layer.
	if threads := parallel.Threads(); len(images) >= threads {
		parallel.ForWorkers(threads, len(images), func(_, i int) { tails[i] = n.first(images[i]) })
	} else {
		for i := range images {
			tails[i] = n.first(images[i])
		}
	}
	for _, s := range n.plan.steps[n.tail:] {
		s.run(n.plan, tails)
	}
	embeddings = make([][]float32, len(images))
	for i, m := range tails {
		embeddings[i] = m.result
	}
	return embeddings, nil
}

// first runs the steps of images, and returns what the others need.
func (n *Network) first(image []uint8) *memory {
	var m *memory
	select {
	case m = <-n.pool:
	default:
		m = n.newMemory()
	}
	tail := n.kept()
	m.pixels, tail.pixels = image, image
	for i := range n.keep { // the last of these steps write to the memory of the tail
		if n.keep[i] {
			m.bytes[i], m.words[i], m.sums[i] = tail.bytes[i], tail.words[i], tail.sums[i]
		}
	}
	one := []*memory{m}
	for _, s := range n.plan.steps[:n.tail] {
		s.run(n.plan, one)
	}
	m.pixels = nil
	select {
	case n.pool <- m:
	default:
	}
	return tail
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
	return p.network(), nil
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
