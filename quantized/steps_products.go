package quantized

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/integer"
	"github.com/pkg/errors"
)

// convStep is a convolution, with a second value that is added at the end of a residual block.
type convStep struct {
	base
	shape   integer.ConvShape
	weights linearWeights
	bounds  bounds

	weight   []int8    // (filters, channels/groups, kernel, kernel)
	bias     []int32   // (filters)
	scale    []float32 // (filters)
	negative []float32 // (filters), the scales of negative sums, with a slope
	addend   []float32 // one number, if a value is added
	limits   limits

	kernel *integer.Conv
}

// patch is the number of weights of a filter.
func (s *convStep) patch() int {
	return s.shape.KernelHeight * s.shape.KernelWidth * s.shape.Input.Channels / max(s.shape.Groups, 1)
}

func (s *convStep) fields(*plan) []field {
	c := s.shape
	fields := []field{
		{s.name + ".weight", []int{c.Filters, c.Input.Channels / max(c.Groups, 1), c.KernelHeight, c.KernelWidth}, &s.weight},
		{s.name + ".bias", []int{c.Filters}, &s.bias},
		{s.name + ".scale", []int{c.Filters}, &s.scale},
		{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)},
	}
	if s.bounds.slope != "" {
		fields = append(fields, field{s.name + ".negative", []int{c.Filters}, &s.negative})
	}
	if len(s.in) > 1 {
		fields = append(fields, field{s.name + ".addend", []int{1}, &s.addend})
	}
	return fields
}

func (s *convStep) prepare(p *plan) (err error) {
	if err := s.limits.check(mostByte); err != nil {
		return err
	}
	if err := checkWeights(s.weight); err != nil {
		return err
	}
	q := integer.Requantize{Scale: s.scale, Zero: uint8(s.limits[0]), Low: uint8(s.limits[1]), High: uint8(s.limits[2])}
	if s.bounds.slope != "" {
		q.NegativeScale = s.negative
	}
	if len(s.in) > 1 {
		q.Addend = &integer.Addend{Zero: uint8(p.values[s.in[1]].zero), Scale: s.addend[0]}
	}
	p.values[s.out].zero = s.limits[0]
	s.kernel, err = integer.NewConv(s.shape, integer.Weights{Values: s.weight, Bias: s.bias, Zero: uint8(p.values[s.in[0]].zero)}, q)
	return err
}

// checkWeights refuses the one number of 8 bits that no quantized network has.
func checkWeights(weights []int8) error {
	for i, w := range weights {
		if w == math.MinInt8 {
			return errors.Errorf("weight %d is -128, expected -127 to 127", i)
		}
	}
	return nil
}

func (s *convStep) run(_ *plan, m *memory) {
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], s.added(m), m.images)
}

// added is the value that is added; nil for none.
func (s *convStep) added(m *memory) []uint8 {
	if len(s.in) > 1 {
		return m.bytes[s.in[1]]
	}
	return nil
}

// linearStep is a fully connected layer from bytes or words to sums. Words are computed as two
// bytes each.
type linearStep struct {
	base
	inputs, units int
	weights       linearWeights

	weight []int8  // (units, inputs)
	bias   []int64 // (units)

	initial []int64
	kernel  *integer.Linear
	image   int // that the kernel reads in place of the input, which is that image flattened; -1 for none
}

func (s *linearStep) fields(*plan) []field {
	return []field{{s.name + ".weight", []int{s.units, s.inputs}, &s.weight}, {s.name + ".bias", []int{s.units}, &s.bias}}
}

// maxBias limits the biases of sums.
const maxBias = 1 << 56

func (s *linearStep) prepare(p *plan) (err error) {
	if err := checkWeights(s.weight); err != nil {
		return err
	}
	s.initial = make([]int64, s.units)
	for u := range s.initial {
		var sum int64
		for _, w := range s.weight[u*s.inputs:][:s.inputs] {
			sum += int64(w)
		}
		if b := s.bias[u]; b < -maxBias || b > maxBias {
			return errors.Errorf("bias %d is %d, expected a magnitude of at most 2⁵⁶", u, b)
		}
		s.initial[u] = s.bias[u] - int64(p.values[s.in[0]].zero)*sum
	}
	var shape integer.Shape
	image, flattened := p.flattened(s.in[0])
	if s.image = -1; flattened {
		s.image, shape = image, p.values[image].shape()
	}
	s.kernel, err = integer.NewLinear(s.inputs, s.units, shape, integer.Weights{Values: s.weight}, nil)
	return err
}

func (s *linearStep) run(p *plan, m *memory) {
	if p.values[s.in[0]].kind == bytes {
		x := m.bytes[s.in[0]]
		if s.image >= 0 {
			x = m.bytes[s.image]
		}
		y := m.scratch(m.images * s.units)
		s.kernel.Sums(y, x, m.images)
		eachVector(m.images, s.units, func(first, last, unit int) {
			to, initial := m.sums[s.out][first:last], s.initial[unit:][:last-first]
			for i, sum := range y[first:last] {
				to[i] = initial[i] + int64(sum)
			}
		})
		return
	}
	// The bytes of lower and of higher digits are two rows.
	x, y := make([]uint8, 2*m.images*s.inputs), m.scratch(2*m.images*s.units)
	for image := range m.images {
		low, high := x[2*image*s.inputs:][:s.inputs], x[(2*image+1)*s.inputs:][:s.inputs]
		for j, v := range m.words[s.in[0]][image*s.inputs:][:s.inputs] {
			low[j], high[j] = uint8(v), uint8(v>>8)
		}
	}
	s.kernel.Sums(y, x, 2*m.images)
	eachVector(m.images, s.units, func(first, last, unit int) {
		to, initial := m.sums[s.out][first:last], s.initial[unit:][:last-first]
		at := first/s.units*2*s.units + unit
		low, high := y[at:][:len(to)], y[at+s.units:][:len(to)]
		for i := range to {
			to[i] = initial[i] + int64(low[i]) + int64(high[i])<<8
		}
	})
}

// scratch returns memory of unspecified contents for a number of products.
func (m *memory) scratch(n int) []int32 {
	if cap(m.products) < n {
		m.products = make([]int32, n)
	}
	return m.products[:n]
}

// invertedStep is the three convolutions of an inverted residual, computed a few rows at a time. It
// replaces them when a network runs; the first may be nil.
type invertedStep struct {
	step // the last
	base
	last   *convStep
	kernel *integer.Inverted
}

func (s *invertedStep) at() *base { return &s.base }

func (s *invertedStep) run(_ *plan, m *memory) {
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], s.last.added(m), m.images)
}

// chooseAlgorithms says whether the convolutions of a network use Winograd's algorithms for a single image, which
// threads divide. On the Intel processor on which this was measured, they also made the layers after them about a
// twentieth slower, so they have to save more than that of the instructions of the network.
func chooseAlgorithms(steps []step) {
	var all, saved float64
	for _, s := range steps {
		if c, ok := s.(*convStep); ok {
			products, fewer := c.kernel.Instructions()
			all, saved = all+products, saved+fewer
		}
	}
	const least = 0.1
	if saved >= least*all {
		return
	}
	for _, s := range steps {
		if c, ok := s.(*convStep); ok {
			c.kernel.DivideWithoutWinograd()
		}
	}
}

// imageLinearStep is a fully connected layer that reads the image that was flattened for it. It replaces both steps
// when a network runs.
type imageLinearStep struct {
	*linearStep
	own base
}

func (s *imageLinearStep) at() *base { return &s.own }

// combined returns the steps of a plan as they run: inverted residuals are one step, and so are fully connected layers
// with the flattening before them.
func (p *plan) combined() ([]step, error) {
	readers := make([]int, len(p.values))
	for _, s := range p.steps {
		for _, x := range s.at().in {
			readers[x]++
		}
	}
	var all []step
	for i := 0; i < len(p.steps); i++ {
		all = append(all, p.steps[i])
		if linear, ok := p.steps[i].(*linearStep); ok && linear.image >= 0 {
			all = slices.DeleteFunc(all, func(s step) bool { return s.at().out == linear.in[0] })
			all[len(all)-1] = &imageLinearStep{linear, base{linear.name, []int{linear.image}, linear.out}}
			continue
		}
		depthwise, ok := p.steps[i].(*convStep)
		if !ok || i+1 == len(p.steps) || depthwise.shape.Groups < 2 || depthwise.shape.Groups != depthwise.shape.Input.Channels || len(depthwise.in) > 1 || readers[depthwise.out] > 1 {
			continue
		}
		project, ok := p.steps[i+1].(*convStep)
		if !ok || project.in[0] != depthwise.out || project.shape.KernelHeight > 1 {
			continue
		}
		first, in := (*integer.Conv)(nil), depthwise.in[0]
		if i > 0 {
			if expand, ok := p.steps[i-1].(*convStep); ok && expand.out == in && readers[in] == 1 && len(expand.in) == 1 && expand.shape.KernelHeight == 1 && expand.shape.Pool.Size == 0 {
				first, in = expand.kernel, expand.in[0]
				all = all[:len(all)-1]
			}
		}
		kernel, err := integer.NewInverted(first, depthwise.kernel, project.kernel)
		if err != nil {
			return nil, err
		}
		inputs := append([]int{in}, project.in[1:]...)
		all[len(all)-1] = &invertedStep{step: project, base: base{project.name, inputs, project.out}, last: project, kernel: kernel}
		i++
	}
	chooseAlgorithms(all)
	var last *convStep // weights of the next convolution are loaded into the cache
	for _, s := range all {
		if c, ok := s.(*convStep); ok {
			if last != nil {
				last.kernel.Then(c.kernel)
			}
			last = c
		}
	}
	return all, nil
}
