package quantized

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Network is a network in integers, made by Quantize or New. It does not change, and its methods
// are safe for concurrent use.
type Network struct {
	plan  *plan
	steps []step
	// The first steps compute images, some at a time; those from tail on compute vectors, of all images at
	// once, because they read many weights for each.
	tail  int
	keep  []bool // the values that steps of the tail read or write
	parts []part // of the first steps
	// crossing are the values, other than those of the tail, that a part writes and another one reads.
	crossing []bool

	mutex   sync.Mutex
	idle    []*groupMemory // for the first steps
	tails   []*memory      // for the others, of as many images as are computed at a time
	release func()         // of the scratch memory and the threads that package integer keeps; nil before the first use
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
		_, flattens := steps[n.tail-1].(*imageLinearStep)
		vectors := s.out < 0 || p.values[s.out].isVector()
		for _, x := range s.in {
			vectors = vectors && (flattens || p.values[x].isVector())
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
	n.divide(n.wanted)
	return n, nil
}

// part is some consecutive steps. Images are computed a few at a time, so that their values stay in caches;
// where values are small and weights are large, more of them, which share the weights.
type part struct {
	steps   []step
	images  int // that a thread computes at a time
	buffers buffers
}

// groupBytes is about the size of the values that a thread computes at a time, which stay in its level
// 2 cache. Where the weights are larger than the values of an image, or an algorithm needs several images that
// share transformed weights, a thread computes up to mostShared images at a time.
const (
	groupBytes  = 512 << 10
	sharedBytes = 4 * groupBytes // of values, for the sake of transformed weights
	mostShared  = 8
)

// divide divides the first steps into parts, given a function like wanted. A part ends where one value is all
// that later steps read, and where they want at least twice as many images at a time. It does not end where a
// few steps want half as many, because a value that crosses leaves the cache.
func (n *Network) divide(wantedBy func(steps []step, read int) int) {
	p, steps := n.plan, n.steps[:n.tail]
	last := make([]int, len(p.values)) // the last step that reads each value
	for i, s := range steps {
		for _, x := range s.at().in {
			last[x] = i
		}
	}
	n.parts, n.crossing = nil, make([]bool, len(p.values))
	begin, from, read := 0, 0, -1 // the first steps of the part and of the present interval, and what that reads of others
	images := 0
	for i := range steps {
		var alive []int // values that later steps read
		for _, s := range steps[:i+1] {
			if x := s.at().out; last[x] > i && !n.keep[x] {
				alive = append(alive, x)
			}
		}
		if (len(alive) > 1 || i == 0) && i+1 < len(steps) {
			continue
		}
		wanted := wantedBy(steps[from:i+1], read)
		switch {
		case from > 0 && read >= 0 && wanted >= 2*images:
			n.parts = append(n.parts, part{steps: steps[begin:from], images: images})
			n.crossing[read] = true
			begin, images = from, wanted
		case from == 0 || 4*wanted <= images:
			images = wanted
		}
		from, read = i+1, -1
		if len(alive) == 1 {
			read = alive[0]
		}
	}
	n.parts = append(n.parts, part{steps: steps[begin:], images: images})
	outside := make([]bool, len(p.values))
	for i := range outside {
		outside[i] = n.keep[i] || n.crossing[i]
	}
	for i := range n.parts {
		n.parts[i].buffers = p.assign(n.parts[i].steps, outside)
	}
}

// wanted returns the number of images that a thread should compute at a time in some steps, which read
// a value of earlier ones (-1 for none): the nearest power of two.
func (n *Network) wanted(steps []step, read int) int {
	weights, shared := 0, 1
	for _, s := range steps {
		if c, ok := s.(*convStep); ok {
			weights += len(c.weight)
			shared = max(shared, c.kernel.SharedImages())
		}
	}
	size := n.plan.assign(steps, make([]bool, len(n.plan.values))).bytes()
	if read >= 0 {
		size += n.plan.values[read].len()
	}
	if shared*size > sharedBytes {
		shared = 1
	}
	wanted, images := min(mostShared, max(shared, groupBytes/size, weights/size)), 1
	for 2*images <= wanted+wanted/2 {
		images *= 2
	}
	return images
}

// images returns the number of images of a group, which all parts compute before the next group.
func (n *Network) images(threads int) int {
	most := 1
	for _, p := range n.parts {
		most = max(most, p.images)
	}
	return most * threads
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
	// Threads divide the images that are computed at a time, and the rows of one image.
	threads := parallel.Threads()
	group := min(n.images(threads), len(images))
	tail := n.borrowTail(len(images), group)
	defer n.giveBackTail(tail, group)
	tail.pixels = images
	for from := 0; from < len(images); from += group {
		n.first(tail, from, min(group, len(images)-from), threads)
	}
	for _, s := range n.steps[n.tail:] {
		s.run(n.plan, tail)
	}
	return tail.result, nil
}

// first runs the steps that compute images, for a group of images from an index on, and writes what the
// others need to the memory of the tail.
func (n *Network) first(tail *memory, from, images, threads int) {
	g := n.borrow(images, threads)
	defer n.giveBack(g)
	for i := range n.parts {
		p := &n.parts[i]
		count := min(images, g.threads*p.images)
		for at := 0; at < images; at += count {
			m := g.parts[i].of(n, p, min(count, images-at))
			m.pixels = tail.pixels[from+at:][:m.images]
			for value, v := range n.plan.values {
				switch {
				case n.keep[value]:
					m.share(value, v, tail, from+at)
				case n.crossing[value]:
					m.share(value, v, g.crossing, at)
				}
			}
			for _, s := range p.steps {
				s.run(n.plan, m)
			}
			m.pixels = nil
		}
	}
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
	n.idle, n.tails = nil, nil
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
