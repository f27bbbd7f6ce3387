package integer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// network is a sequence of layers with random weights.
type network struct {
	input  Shape
	shape  Shape
	size   int // of the largest tensor
	steps  []step
	macs   float64
	last   *Conv
	random *rand.Rand
}

type step struct {
	name string
	macs float64
	run  func(y, x, addend []uint8, batch int)
	out  Shape
	add  bool
}

func newNetwork(input Shape) *network {
	return &network{input: input, shape: input, size: input.Size(), random: rand.New(rand.NewPCG(1, 2))}
}

// conv appends a convolution.
func (n *network) conv(filters, kernel, stride, padding, groups int, pool Pool, add bool) *Conv {
	s := ConvShape{Input: n.shape, Filters: filters, KernelHeight: kernel, KernelWidth: kernel, Stride: stride, Padding: Padding{padding, padding, padding, padding}, Groups: groups, Pool: pool}
	w := Weights{Values: make([]int8, filters*s.patch()), Zero: 3}
	for i := range w.Values {
		w.Values[i] = int8(n.random.IntN(255) - 127)
	}
	q := Requantize{Scale: make([]float32, filters), High: 255}
	for i := range q.Scale {
		q.Scale[i] = 1e-4
	}
	if add {
		q.Addend = &Addend{Scale: 0.7}
	}
	c, err := NewConv(s, w, q)
	if err != nil {
		panic(err)
	}
	if n.last != nil {
		n.last.Then(c)
	}
	n.last = c
	out := s.convolved()
	macs := float64(out.Height * out.Width * filters * s.patch())
	name := fmt.Sprintf("%d×%d/%d %v→%d", kernel, kernel, stride, n.shape, filters)
	if groups > 1 {
		name = "dw " + name
	}
	n.macs += macs
	n.shape = s.Output()
	n.size = max(n.size, n.shape.Size())
	n.steps = append(n.steps, step{name: name, macs: macs, run: c.Forward, out: n.shape, add: add})
	return c
}

// inverted appends an inverted residual.
func (n *network) inverted(factor, kernel, stride, filters int, add bool) {
	before, macs, in := len(n.steps), n.macs, n.shape
	var expand *Conv
	if factor > 1 {
		expand = n.conv(factor*in.Channels, 1, 1, 0, 1, Pool{}, false)
	}
	depthwise := n.conv(n.shape.Channels, kernel, stride, kernel/2, n.shape.Channels, Pool{}, false)
	project := n.conv(filters, 1, 1, 0, 1, Pool{}, add)
	k, err := NewInverted(expand, depthwise, project)
	if err != nil {
		panic(err)
	}
	name := fmt.Sprintf("inverted %v·%d %d×%d/%d→%d", in, factor, kernel, kernel, stride, filters)
	n.steps = append(n.steps[:before], step{name: name, macs: n.macs - macs, run: k.Forward, out: n.shape, add: add})
}

func (n *network) linear(outputs int) {
	w := Weights{Values: make([]int8, outputs*n.shape.Size())}
	for i := range w.Values {
		w.Values[i] = int8(n.random.IntN(255) - 127)
	}
	l, err := NewLinear(n.shape.Size(), outputs, n.shape, w, &Requantize{Scale: []float32{1e-4}, High: 255})
	if err != nil {
		panic(err)
	}
	macs := float64(len(w.Values))
	n.macs += macs
	n.steps = append(n.steps, step{name: fmt.Sprintf("linear %v→%d", n.shape, outputs), macs: macs, run: l.Forward, out: Shape{1, 1, outputs}})
	n.shape = Shape{1, 1, outputs}
}

func (n *network) average() {
	a, err := NewAveragePool(n.shape, n.shape.Height, n.shape.Width, 1, 0, &Requantize{Scale: []float32{0.02}, High: 255})
	if err != nil {
		panic(err)
	}
	n.shape = a.Output()
	n.steps = append(n.steps, step{name: "average", run: func(y, x, _ []uint8, batch int) { a.Forward(y, x, batch) }, out: n.shape})
}

// runner has the tensors of a batch.
type runner struct {
	*network
	batch   int
	tensors [3][]uint8
	spent   []time.Duration // the least of each step
}

func (n *network) runner(batch int) *runner {
	r := &runner{network: n, batch: batch, spent: make([]time.Duration, len(n.steps))}
	for i := range r.tensors {
		r.tensors[i] = make([]uint8, batch*n.size)
	}
	for i := range r.tensors[0] {
		r.tensors[0][i] = uint8(n.random.Uint32())
	}
	return r
}

func (r *runner) run(measure bool) {
	in, at := r.input, 0
	for i, s := range r.steps {
		start := time.Now()
		x, y := r.tensors[at%2][:r.batch*in.Size()], r.tensors[(at+1)%2][:r.batch*s.out.Size()]
		var addend []uint8
		if s.add {
			addend = r.tensors[2][:len(y)]
		}
		s.run(y, x, addend, r.batch)
		in, at = s.out, at+1
		if measure {
			if spent := time.Since(start); r.spent[i] == 0 || spent < r.spent[i] {
				r.spent[i] = spent
			}
		}
	}
}

// networks are those of the measurements.
var networks = []struct {
	name string
	make func() *network
}{
	{"resnet18", func() *network {
		n := newNetwork(Shape{224, 224, 3})
		n.conv(64, 7, 2, 3, 1, Pool{3, 2, 1}, false)
		for i, filters := range []int{64, 128, 256, 512} {
			n.conv(filters, 3, 1+min(i, 1), 1, 1, Pool{}, false)
			n.conv(filters, 3, 1, 1, 1, Pool{}, true)
			n.conv(filters, 3, 1, 1, 1, Pool{}, false)
			n.conv(filters, 3, 1, 1, 1, Pool{}, true)
		}
		n.average()
		return n
	}},
	{"resnet50", func() *network {
		n := newNetwork(Shape{224, 224, 3})
		n.conv(64, 7, 2, 3, 1, Pool{3, 2, 1}, false)
		for i, filters := range []int{64, 128, 256, 512} {
			for j := range []int{3, 4, 6, 3}[i] {
				stride := 1
				if i > 0 && j == 0 {
					stride = 2
				}
				n.conv(filters, 1, 1, 0, 1, Pool{}, false)
				n.conv(filters, 3, stride, 1, 1, Pool{}, false)
				n.conv(4*filters, 1, 1, 0, 1, Pool{}, true)
			}
		}
		n.average()
		return n
	}},
	{"lite0", func() *network {
		n := newNetwork(Shape{224, 224, 3})
		n.conv(32, 3, 2, 1, 1, Pool{}, false)
		for _, b := range [][5]int{{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}} {
			for j := range b[4] {
				stride := b[2]
				if j > 0 {
					stride = 1
				}
				n.inverted(b[0], b[1], stride, b[3], j > 0)
			}
		}
		n.conv(1280, 1, 1, 0, 1, Pool{}, false)
		n.average()
		return n
	}},
	{"conv4", func() *network {
		n := newNetwork(Shape{28, 28, 1})
		for range 4 {
			n.conv(64, 3, 1, 1, 1, Pool{Size: 2, Stride: 2}, false)
		}
		return n
	}},
	{"koch", func() *network {
		n := newNetwork(Shape{105, 105, 1})
		n.conv(64, 10, 1, 0, 1, Pool{Size: 2, Stride: 2}, false)
		n.conv(128, 7, 1, 0, 1, Pool{Size: 2, Stride: 2}, false)
		n.conv(128, 4, 1, 0, 1, Pool{Size: 2, Stride: 2}, false)
		n.conv(256, 4, 1, 0, 1, Pool{}, false)
		n.linear(4096)
		return n
	}},
}

func BenchmarkNetworks(b *testing.B) {
	defer Retain()()
	for _, each := range networks {
		for _, batch := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", each.name, batch), func(b *testing.B) {
				r := each.make().runner(batch)
				r.run(false)
				b.ReportAllocs()
				least := math.Inf(1)
				for b.Loop() {
					start := time.Now()
					r.run(false)
					least = min(least, time.Since(start).Seconds())
				}
				perImage := least / float64(batch)
				b.ReportMetric(1e3*perImage, "least-ms/image")
				b.ReportMetric(2*r.macs/perImage/1e9, "Gop/s")
			})
		}
	}
}

// The share of each layer.
func BenchmarkLayers(b *testing.B) {
	defer Retain()()
	for _, each := range networks {
		for _, batch := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", each.name, batch), func(b *testing.B) {
				r := each.make().runner(batch)
				r.run(false)
				for b.Loop() {
					r.run(true)
				}
				for i, s := range r.steps {
					each := r.spent[i].Seconds() / float64(batch)
					fmt.Printf("%-32s %8.1f µs %6.0f Gop/s\n", s.name, 1e6*each, 2*s.macs/each/1e9)
				}
			})
		}
	}
}
