package quantized

import (
	"math"
	"math/bits"

	"github.com/likeness-go/likeness/internal/integer"
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
	// run computes the value for each of some images.
	run(p *plan, images []*memory)
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

// memory has the values of one image, by their indices; each in the array of its kind.
type memory struct {
	pixels []uint8
	bytes  [][]uint8
	words  [][]uint16
	sums   [][]int64
	result []float32
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

func (s *inputStep) run(p *plan, images []*memory) {
	channels := p.size.Channels
	for _, m := range images {
		y := m.bytes[s.out]
		if channels == 1 {
			for i, v := range m.pixels {
				y[i] = s.table[v]
			}
			continue
		}
		for c := range channels {
			table := (*[256]uint8)(s.table[256*c:])
			for i := c; i < len(y); i += channels {
				y[i] = table[m.pixels[i]]
			}
		}
	}
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

func (s *convStep) run(p *plan, images []*memory) {
	for _, m := range images {
		var addend []uint8
		if len(s.in) > 1 {
			addend = m.bytes[s.in[1]]
		}
		s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], addend, 1)
	}
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

func (s *linearStep) run(p *plan, images []*memory) {
	planes, wide := 1, p.values[s.in[0]].kind == words
	if wide {
		planes = 2
	}
	rows := len(images) * planes
	x, y := make([]uint8, rows*s.inputs), make([]int32, rows*s.units)
	for i, m := range images {
		if !wide {
			copy(x[i*s.inputs:], m.bytes[s.in[0]])
			continue
		}
		low, high := x[2*i*s.inputs:][:s.inputs], x[(2*i+1)*s.inputs:][:s.inputs]
		for j, v := range m.words[s.in[0]] {
			low[j], high[j] = uint8(v), uint8(v>>8)
		}
	}
	s.kernel.Sums(y, x, rows)
	for i, m := range images {
		to, from := m.sums[s.out], y[i*planes*s.units:][:planes*s.units]
		for u := range to {
			to[u] = s.initial[u] + int64(from[u])
			if wide {
				to[u] += int64(from[s.units+u]) << 8
			}
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

func (s *requantizeStep) run(_ *plan, images []*memory) {
	for _, m := range images {
		y := m.words[s.out]
		for i, x := range m.sums[s.in[0]] {
			factor := s.multiplier[i]
			if x < 0 && len(s.negative) > 0 {
				factor = s.negative[i]
			}
			y[i] = uint16(s.limits.clamp(scaled(x, factor, s.shift[0])))
		}
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

func (s *tableStep) run(p *plan, images []*memory) {
	channels := p.values[s.in[0]].channels
	for _, m := range images {
		switch from, to := p.values[s.in[0]].kind, p.values[s.out].kind; {
		case from == words && to == words:
			y := m.words[s.out]
			for i, x := range m.words[s.in[0]] {
				y[i] = uint16(s.wide[s.row(i)*(mostIndex+1)+int(x)])
			}
		case from == words:
			y := m.bytes[s.out]
			for i, x := range m.words[s.in[0]] {
				y[i] = uint8(s.wide[s.row(i)*(mostIndex+1)+int(x)])
			}
		case s.slope == "":
			integer.Lookup(m.bytes[s.out], m.bytes[s.in[0]], s.table)
		default:
			y := m.bytes[s.out]
			for i, x := range m.bytes[s.in[0]] {
				y[i] = s.table[i%channels<<8|int(x)]
			}
		}
	}
}

// row is the row of the table for element i of a vector.
func (s *tableStep) row(i int) int {
	if s.slope == "" {
		return 0
	}
	return i
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

func (s *addStep) run(p *plan, images []*memory) {
	for _, m := range images {
		if p.values[s.out].kind == bytes {
			s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]])
			continue
		}
		a, b, y := m.words[s.in[0]], m.words[s.in[1]], m.words[s.out]
		zeroA, zeroB := int64(p.values[s.in[0]].zero), int64(p.values[s.in[1]].zero)
		for i := range y {
			sum := (int64(a[i])-zeroA)*int64(s.multiplier[0]) + (int64(b[i])-zeroB)*int64(s.multiplier[1])
			y[i] = uint16(s.limits.clamp(scaled(sum, 1, s.shift[0])))
		}
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

func (s *maxPoolStep) run(_ *plan, images []*memory) {
	for _, m := range images {
		s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], 1)
	}
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

func (s *averageStep) run(p *plan, images []*memory) {
	v, w := p.values[s.in[0]], p.values[s.out]
	for _, m := range images {
		if v.kind == words { // a vector
			for c, x := range m.words[s.in[0]] {
				m.words[s.out][c] = uint16(s.result(int64(x)-int64(v.zero), c))
			}
			continue
		}
		x, y := m.bytes[s.in[0]], m.bytes[s.out]
		for row := range w.height {
			for column := range w.width {
				for c := range v.channels {
					sum := -int64(v.zero) * int64(s.window*s.window)
					for i := range s.window {
						at := ((row*s.stride+i)*v.width+column*s.stride)*v.channels + c
						for j := range s.window {
							sum += int64(x[at+j*v.channels])
						}
					}
					y[(row*w.width+column)*v.channels+c] = uint8(s.result(sum, c))
				}
			}
		}
	}
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

func (s *sumStep) run(p *plan, images []*memory) {
	sums := make([]int32, p.values[s.out].channels)
	for _, m := range images {
		s.kernel.Sums(sums, m.bytes[s.in[0]], 1)
		for c, sum := range sums {
			m.sums[s.out][c] = int64(sum)
		}
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

func (s *gemStep) run(p *plan, images []*memory) {
	channels := p.values[s.out].channels
	totals := make([]uint64, channels)
	for _, m := range images {
		clear(totals)
		x := m.bytes[s.in[0]]
		for i := 0; i < len(x); i += channels {
			for c, v := range x[i:][:channels] {
				totals[c] += uint64(s.power[v])
			}
		}
		for c, total := range totals {
			m.words[s.out][c] = uint16(s.root[gemIndex(total)])
		}
	}
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

func (s *gateStep) run(p *plan, images []*memory) {
	v := p.values[s.out]
	for _, m := range images {
		s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]], v.height*v.width, v.channels, 1)
	}
}

// flattenStep orders an image as PyTorch does, channels first.
type flattenStep struct{ base }

func (s *flattenStep) fields(*plan) []field { return nil }

func (s *flattenStep) prepare(p *plan) error {
	p.values[s.out].zero = p.values[s.in[0]].zero
	return nil
}

func (s *flattenStep) run(p *plan, images []*memory) {
	for _, m := range images {
		integer.Flatten(m.bytes[s.out], m.bytes[s.in[0]], p.values[s.in[0]].shape(), 1)
	}
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

func (s *normalizeStep) run(p *plan, images []*memory) {
	v := p.values[s.in[0]]
	for _, m := range images {
		at := func(i int) int64 { return int64(m.bytes[s.in[0]][i]) - int64(v.zero) }
		if v.kind == words {
			at = func(i int) int64 { return int64(m.words[s.in[0]][i]) - int64(v.zero) }
		}
		var squares uint64
		for i := range v.channels {
			squares += uint64(at(i) * at(i))
		}
		length := int64(squareRoot(squares << rootBits)) // in units of 2^(-rootBits/2)
		for i := range m.sums[s.out] {
			y, x := int64(0), at(i)
			if length > 0 {
				y = int64(magnitude(x)<<(unitBits+rootBits/2)+uint64(length)/2) / length
			}
			if x < 0 {
				y = -y
			}
			m.sums[s.out][i] = y
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

func (s *outputStep) run(p *plan, images []*memory) {
	v := p.values[s.in[0]]
	for _, m := range images {
		m.result = make([]float32, v.channels)
		for i := range m.result {
			var x int64
			switch v.kind {
			case bytes:
				x = int64(m.bytes[s.in[0]][i]) - int64(v.zero)
			case words:
				x = int64(m.words[s.in[0]][i]) - int64(v.zero)
			default:
				x = m.sums[s.in[0]][i]
			}
			m.result[i] = float32(float64(x) * s.scale[i])
		}
	}
}
