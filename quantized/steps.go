package quantized

import (
	"math"
	"math/bits"

	"github.com/likeness-go/likeness/internal/integer"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

const (
	mostByte = 1<<8 - 1
	mostWord = 1<<16 - 1
	// mostIndex is the largest word that is the index of a table.
	mostIndex = 1<<12 - 1
)

// step computes one value from others.
type step interface {
	at() *base
	// fields are the parameters, as a file has them.
	fields(p *plan) []field
	// quantize sets the parameters and the scales of the result.
	quantize(q *quantizer) error
	// prepare checks the parameters, which may come from a file that others wrote, and sets the
	// zero point of the result.
	prepare(p *plan) error
	// run computes the value for all images of the memory.
	run(p *plan, m *memory)
}

// base is what all steps have.
type base struct {
	name string
	in   []int // the values that are read
	out  int   // the value that is written
}

func (b *base) at() *base { return b }

// field is one array of parameters.
type field struct {
	name  string
	shape []int
	data  any // *[]int8, *[]uint8, *[]int32, *[]int64, *[]float32 or *[]float64
}

// memory has the values of some images, by their indices; each in the array of its kind, one image
// after the other.
type memory struct {
	images int
	pixels [][]uint8
	bytes  [][]uint8
	words  [][]uint16
	sums   [][]int64
	result [][]float32
}

// limits are the zero point, the least and the largest number of a result.
type limits []int32

func (l limits) check(most int32) error {
	if zero, low, high := l[0], l[1], l[2]; zero < 0 || zero > most || low < 0 || low > high || high > most {
		return errors.Errorf("found the zero point %d and the limits %d and %d, expected numbers from 0 to %d, the limits in ascending order", zero, low, high, most)
	}
	return nil
}

// clamp adds the zero point and limits the result.
func (l limits) clamp(y int64) int64 { return min(max(int64(l[0])+y, int64(l[1])), int64(l[2])) }

// scaled returns x·m/2ˢ rounded to the nearest integer, halves away from zero, for s from 1 to
// maxShift. Its magnitude is at most 2⁶⁰.
func scaled(x int64, m, s int32) int64 {
	high, low := bits.Mul64(magnitude(x), magnitude(int64(m)))
	low, carry := bits.Add64(low, 1<<(s-1), 0)
	high += carry
	y := low>>s | high<<(64-s)
	if high>>s != 0 || y > 1<<60 {
		y = 1 << 60
	}
	if (x < 0) != (m < 0) {
		return -int64(y)
	}
	return int64(y)
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

const maxShift = 62

// factors are numbers multiplier/2^shift, with one shift for all.
type factors struct {
	multiplier []int32
	shift      []int32 // one element
}

func (f *factors) fields(name string, n int) []field {
	return []field{{name + ".multiplier", []int{n}, &f.multiplier}, {name + ".shift", []int{1}, &f.shift}}
}

func (f *factors) check() error {
	if s := f.shift[0]; s < 1 || s > maxShift {
		return errors.Errorf("found the shift %d, expected 1 to %d", s, maxShift)
	}
	return nil
}

// factorsOf returns the factors nearest to numbers.
func factorsOf(numbers []float64) factors {
	var largest float64
	for _, x := range numbers {
		largest = max(largest, math.Abs(x))
	}
	_, exponent := math.Frexp(largest) // largest < 2^exponent
	s := min(max(31-exponent, 1), maxShift)
	f := factors{shift: []int32{int32(s)}}
	for _, x := range numbers {
		f.multiplier = append(f.multiplier, int32(min(max(math.RoundToEven(math.Ldexp(x, s)), -math.MaxInt32), math.MaxInt32)))
	}
	return f
}

// inputStep maps pixels to bytes by a table of each channel, which normalizes them.
type inputStep struct {
	base
	table  []uint8 // (channels, 256)
	limits limits
}

func (s *inputStep) fields(p *plan) []field {
	return []field{{"input.table", []int{p.size.Channels, 256}, &s.table}, {"input.limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *inputStep) prepare(p *plan) error {
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(mostByte)
}

func (s *inputStep) run(p *plan, m *memory) {
	parallel.For(m.images, func(image int) {
		x, y := m.pixels[image], m.bytes[s.out][image*p.size.Len():][:p.size.Len()]
		if p.size.Channels == 1 {
			table := (*[256]uint8)(s.table)
			for i, v := range x {
				y[i] = table[v]
			}
			return
		}
		red, green, blue := (*[256]uint8)(s.table), (*[256]uint8)(s.table[256:]), (*[256]uint8)(s.table[512:])
		for i := 0; i+2 < len(y); i += 3 {
			y[i], y[i+1], y[i+2] = red[x[i]], green[x[i+1]], blue[x[i+2]]
		}
	})
}

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
	s.kernel, err = integer.NewLinear(s.inputs, s.units, integer.Shape{}, integer.Weights{Values: s.weight}, nil)
	return err
}

func (s *linearStep) run(p *plan, m *memory) {
	if p.values[s.in[0]].kind == bytes {
		y := make([]int32, m.images*s.units)
		s.kernel.Sums(y, m.bytes[s.in[0]], m.images)
		for i, sum := range y {
			m.sums[s.out][i] = s.initial[i%s.units] + int64(sum)
		}
		return
	}
	// The bytes of lower and of higher digits are two rows.
	x, y := make([]uint8, 2*m.images*s.inputs), make([]int32, 2*m.images*s.units)
	for image := range m.images {
		low, high := x[2*image*s.inputs:][:s.inputs], x[(2*image+1)*s.inputs:][:s.inputs]
		for j, v := range m.words[s.in[0]][image*s.inputs:][:s.inputs] {
			low[j], high[j] = uint8(v), uint8(v>>8)
		}
	}
	s.kernel.Sums(y, x, 2*m.images)
	for image := range m.images {
		low, high := y[2*image*s.units:][:s.units], y[(2*image+1)*s.units:][:s.units]
		for u := range s.units {
			m.sums[s.out][image*s.units+u] = s.initial[u] + int64(low[u]) + int64(high[u])<<8
		}
	}
}

// requantizeStep maps sums to words.
type requantizeStep struct {
	base
	bounds bounds

	factors          // of each channel
	negative []int32 // multipliers of negative sums, with a slope
	limits   limits
}

func (s *requantizeStep) fields(p *plan) []field {
	channels := p.values[s.in[0]].channels
	fields := append(s.factors.fields(s.name, channels), field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)})
	if s.bounds.slope != "" {
		fields = append(fields, field{s.name + ".negative", []int{channels}, &s.negative})
	}
	return fields
}

func (s *requantizeStep) prepare(p *plan) error {
	if err := s.factors.check(); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(p.values[s.out].largest())
}

func (s *requantizeStep) run(_ *plan, m *memory) {
	y, channels := m.words[s.out], len(s.multiplier)
	for i, x := range m.sums[s.in[0]] {
		factor := s.multiplier[i%channels]
		if x < 0 && len(s.negative) > 0 {
			factor = s.negative[i%channels]
		}
		y[i] = uint16(s.limits.clamp(scaled(x, factor, s.shift[0])))
	}
}

// tableStep is an activation function: a table of bytes, or of words up to mostIndex.
type tableStep struct {
	base
	function func(float64) float64
	slope    string // weight of a PReLU, of which there is a row for each channel

	table  []uint8 // (1, 256), or a row for each channel, for bytes
	wide   []int32 // (1, mostIndex+1), likewise, for words
	limits limits
}

// rows is the number of rows of the table.
func (s *tableStep) rows(p *plan) int {
	if s.slope == "" {
		return 1
	}
	return p.values[s.in[0]].channels
}

func (s *tableStep) fields(p *plan) []field {
	table := field{s.name + ".table", []int{s.rows(p), mostByte + 1}, &s.table}
	if p.values[s.in[0]].kind == words {
		table = field{s.name + ".table", []int{s.rows(p), mostIndex + 1}, &s.wide}
	}
	return []field{table, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *tableStep) prepare(p *plan) error {
	most := p.values[s.out].largest()
	for i, v := range s.wide {
		if v < 0 || v > most {
			return errors.Errorf("entry %d of the table is %d, expected 0 to %d", i, v, most)
		}
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(most)
}

func (s *tableStep) run(p *plan, m *memory) {
	rows := s.rows(p)
	switch from, to := p.values[s.in[0]].kind, p.values[s.out].kind; {
	case from == words && to == words:
		y := m.words[s.out]
		for i, x := range m.words[s.in[0]] {
			y[i] = uint16(s.wide[i%rows*(mostIndex+1)+int(x)])
		}
	case from == words:
		y := m.bytes[s.out]
		for i, x := range m.words[s.in[0]] {
			y[i] = uint8(s.wide[i%rows*(mostIndex+1)+int(x)])
		}
	case rows == 1:
		integer.Lookup(m.bytes[s.out], m.bytes[s.in[0]], s.table)
	default:
		y := m.bytes[s.out]
		for i, x := range m.bytes[s.in[0]] {
			y[i] = s.table[i%rows<<8|int(x)]
		}
	}
}

// addStep is the sum of a residual block whose body does not end in a convolution.
type addStep struct {
	base
	bounds bounds

	scale   []float32 // two, for bytes
	factors           // two, for words
	limits  limits

	kernel *integer.Add
}

func (s *addStep) fields(p *plan) []field {
	l := field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}
	if p.values[s.out].kind == words {
		return append(s.factors.fields(s.name, 2), l)
	}
	return []field{{s.name + ".scale", []int{2}, &s.scale}, l}
}

func (s *addStep) prepare(p *plan) (err error) {
	p.values[s.out].zero = s.limits[0]
	if p.values[s.out].kind == words {
		if err := s.factors.check(); err != nil {
			return err
		}
		return s.limits.check(p.values[s.out].largest())
	}
	if err := s.limits.check(mostByte); err != nil {
		return err
	}
	s.kernel, err = integer.NewAdd(uint8(p.values[s.in[0]].zero), integer.Requantize{
		Scale: s.scale[:1], Zero: uint8(s.limits[0]), Low: uint8(s.limits[1]), High: uint8(s.limits[2]),
		Addend: &integer.Addend{Zero: uint8(p.values[s.in[1]].zero), Scale: s.scale[1]},
	})
	return err
}

func (s *addStep) run(p *plan, m *memory) {
	if p.values[s.out].kind == bytes {
		s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]])
		return
	}
	a, b, y := m.words[s.in[0]], m.words[s.in[1]], m.words[s.out]
	zeroA, zeroB := int64(p.values[s.in[0]].zero), int64(p.values[s.in[1]].zero)
	for i := range y {
		sum := (int64(a[i])-zeroA)*int64(s.multiplier[0]) + (int64(b[i])-zeroB)*int64(s.multiplier[1])
		y[i] = uint16(s.limits.clamp(scaled(sum, 1, s.shift[0])))
	}
}

// maxPoolStep is a max pool of bytes.
type maxPoolStep struct {
	base
	pool   integer.Pool
	kernel *integer.MaxPool
}

func (s *maxPoolStep) fields(*plan) []field { return nil }

func (s *maxPoolStep) prepare(p *plan) (err error) {
	v := p.values[s.in[0]]
	p.values[s.out].zero = v.zero
	s.kernel, err = integer.NewMaxPool(v.shape(), s.pool)
	return err
}

func (s *maxPoolStep) run(_ *plan, m *memory) {
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.images)
}

// averageStep is the sum of each window, with a factor and a term for each channel: an average
// pool, a batch norm that follows no convolution, or a scale.
type averageStep struct {
	base
	window, stride int
	factor, addend string  // weights; "" for 1 and 0
	norm           string  // prefix of the weights of a batch norm; "" for none
	epsilon        float64 // of the batch norm

	factors
	term   []int64 // of each channel, in units of the factors
	limits limits
}

func (s *averageStep) fields(p *plan) []field {
	channels := p.values[s.in[0]].channels
	return append(s.factors.fields(s.name, channels), field{s.name + ".term", []int{channels}, &s.term}, field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)})
}

func (s *averageStep) prepare(p *plan) error {
	for c, t := range s.term {
		if t < -1<<60 || t > 1<<60 {
			return errors.Errorf("the term of channel %d is %d, expected a magnitude of at most 2⁶⁰", c, t)
		}
	}
	if err := s.factors.check(); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(p.values[s.out].largest())
}

func (s *averageStep) run(p *plan, m *memory) {
	v, w := p.values[s.in[0]], p.values[s.out]
	if v.kind == words { // vectors
		for i, x := range m.words[s.in[0]] {
			m.words[s.out][i] = uint16(s.result(int64(x)-int64(v.zero), i%v.channels))
		}
		return
	}
	parallel.For(m.images*w.height, func(i int) {
		x, row := m.bytes[s.in[0]][i/w.height*v.len():][:v.len()], i%w.height
		y := m.bytes[s.out][i*w.width*w.channels:][:w.width*w.channels]
		for column := range w.width {
			for c := range v.channels {
				sum := -int64(v.zero) * int64(s.window*s.window)
				for i := range s.window {
					at := ((row*s.stride+i)*v.width+column*s.stride)*v.channels + c
					for j := range s.window {
						sum += int64(x[at+j*v.channels])
					}
				}
				y[column*v.channels+c] = uint8(s.result(sum, c))
			}
		}
	})
}

func (s *averageStep) result(sum int64, c int) int64 {
	return s.limits.clamp(scaled(sum*int64(s.multiplier[c])+s.term[c], 1, s.shift[0]))
}

// sumStep is the sum of all pixels of each channel, without their zero point.
type sumStep struct {
	base
	kernel *integer.AveragePool
}

func (s *sumStep) fields(*plan) []field { return nil }

func (s *sumStep) prepare(p *plan) (err error) {
	v := p.values[s.in[0]]
	s.kernel, err = integer.NewAveragePool(v.shape(), v.height, v.width, 1, uint8(v.zero), nil)
	return err
}

func (s *sumStep) run(_ *plan, m *memory) {
	sums := make([]int32, len(m.sums[s.out]))
	s.kernel.Sums(sums, m.bytes[s.in[0]], m.images)
	for i, sum := range sums {
		m.sums[s.out][i] = int64(sum)
	}
}

// gemStep is generalized-mean pooling: powers by a table, their sum over the pixels, and the
// root by a table of numbers with gemDigits binary digits.
type gemStep struct {
	base
	epsilon  float64
	exponent string // weight

	power  []int32 // (256)
	root   []int32 // (gemRoots), words
	limits limits
}

const (
	gemDigits = 9
	gemBits   = 40 // of a sum
	gemRoots  = (gemBits - gemDigits + 2) << (gemDigits - 1)
	maxPower  = 1 << 24
)

// gemIndex is the place of a sum in the table of roots: its exponent and its first digits.
func gemIndex(sum uint64) int {
	exponent := max(0, bits.Len64(sum)-gemDigits)
	return exponent<<(gemDigits-1) + int(sum>>exponent)
}

// gemNumber is the middle of the sums with an index.
func gemNumber(index int) float64 {
	exponent := max(0, index>>(gemDigits-1)-1)
	digits := index - exponent<<(gemDigits-1)
	if exponent == 0 {
		return float64(digits)
	}
	return math.Ldexp(float64(digits)+0.5, exponent)
}

func (s *gemStep) fields(*plan) []field {
	return []field{{s.name + ".power", []int{256}, &s.power}, {s.name + ".root", []int{gemRoots}, &s.root}, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *gemStep) prepare(p *plan) error {
	for i, v := range s.power {
		if v < 0 || v > maxPower {
			return errors.Errorf("power %d is %d, expected 0 to %d", i, v, maxPower)
		}
	}
	for i, v := range s.root {
		if v < 0 || v > mostWord {
			return errors.Errorf("root %d is %d, expected 0 to %d", i, v, mostWord)
		}
	}
	v := p.values[s.in[0]]
	if v.height*v.width > 1<<(gemBits-25) {
		return errors.Errorf("found an image of %d×%d, expected at most %d pixels", v.height, v.width, 1<<(gemBits-25))
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(mostWord)
}

func (s *gemStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	parallel.For(m.images, func(image int) {
		x, totals := m.bytes[s.in[0]][image*v.len():][:v.len()], make([]uint64, v.channels)
		for i := 0; i < len(x); i += v.channels {
			for c, a := range x[i:][:v.channels] {
				totals[c] += uint64(s.power[a])
			}
		}
		for c, total := range totals {
			m.words[s.out][image*v.channels+c] = uint16(s.root[gemIndex(total)])
		}
	})
}

// gateStep multiplies the channels of an image by the bytes of a vector.
type gateStep struct {
	base
	scale  []float32 // one
	limits limits

	kernel *integer.Multiply
}

func (s *gateStep) fields(*plan) []field {
	return []field{{s.name + ".scale", []int{1}, &s.scale}, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *gateStep) prepare(p *plan) (err error) {
	if err := s.limits.check(mostByte); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	s.kernel, err = integer.NewMultiply(uint8(p.values[s.in[0]].zero), uint8(p.values[s.in[1]].zero),
		integer.Requantize{Scale: s.scale, Zero: uint8(s.limits[0]), Low: uint8(s.limits[1]), High: uint8(s.limits[2])})
	return err
}

func (s *gateStep) run(p *plan, m *memory) {
	v := p.values[s.out]
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]], v.height*v.width, v.channels, m.images)
}

// flattenStep orders an image as PyTorch does, channels first.
type flattenStep struct{ base }

func (s *flattenStep) fields(*plan) []field { return nil }

func (s *flattenStep) prepare(p *plan) error {
	p.values[s.out].zero = p.values[s.in[0]].zero
	return nil
}

func (s *flattenStep) run(p *plan, m *memory) {
	integer.Flatten(m.bytes[s.out], m.bytes[s.in[0]], p.values[s.in[0]].shape(), m.images)
}

// normalizeStep scales a vector to length 2^unitBits: the square root is the largest integer that
// is not larger, and quotients are rounded to the nearest integer.
type normalizeStep struct{ base }

const (
	unitBits = 24
	rootBits = 16 // twice the binary places of the root
)

func (s *normalizeStep) fields(*plan) []field { return nil }

func (s *normalizeStep) prepare(p *plan) error {
	if n := p.values[s.out].channels; n > 1<<14 {
		return errors.Errorf("found a vector of %d numbers, expected at most %d", n, 1<<14)
	}
	return nil
}

func (s *normalizeStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	x := make([]int64, v.channels)
	for image := range m.images {
		var squares uint64
		for i := range x {
			if v.kind == words {
				x[i] = int64(m.words[s.in[0]][image*v.channels+i])
			} else {
				x[i] = int64(m.bytes[s.in[0]][image*v.channels+i])
			}
			x[i] -= int64(v.zero)
			squares += uint64(x[i] * x[i])
		}
		length := squareRoot(squares << rootBits) // in units of 2^(-rootBits/2)
		for i, x := range x {
			var y int64
			if length > 0 {
				y = int64((magnitude(x)<<(unitBits+rootBits/2) + length/2) / length)
			}
			if x < 0 {
				y = -y
			}
			m.sums[s.out][image*v.channels+i] = y
		}
	}
}

// squareRoot returns the largest integer whose square is at most x, by Newton's method.
func squareRoot(x uint64) uint64 {
	if x == 0 {
		return 0
	}
	r := uint64(1) << ((bits.Len64(x) + 1) / 2) // not less than the root
	for {
		next := (r + x/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}

// outputStep multiplies the numbers of the last value by their scales, in float64.
type outputStep struct {
	base
	scale []float64
}

func (s *outputStep) fields(p *plan) []field {
	return []field{{"output.scale", []int{p.values[s.in[0]].channels}, &s.scale}}
}

func (s *outputStep) prepare(*plan) error {
	for i, v := range s.scale {
		if !(v > 0) || v > math.MaxFloat32 {
			return errors.Errorf("scale %d is %v, expected a positive number of float32", i, v)
		}
	}
	return nil
}

func (s *outputStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	m.result = make([][]float32, m.images)
	for image := range m.result {
		row := make([]float32, v.channels)
		for c := range row {
			var x int64
			switch i := image*v.channels + c; v.kind {
			case bytes:
				x = int64(m.bytes[s.in[0]][i]) - int64(v.zero)
			case words:
				x = int64(m.words[s.in[0]][i]) - int64(v.zero)
			default:
				x = m.sums[s.in[0]][i]
			}
			row[c] = float32(float64(x) * s.scale[c])
		}
		m.result[image] = row
	}
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

// combined returns the steps of a plan as they run: inverted residuals are one step.
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
